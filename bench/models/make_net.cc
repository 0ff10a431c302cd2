// Well-known networks with random weights, for tests and for measuring speed: make_net resnet50 --size 224 -o
// resnet50_224.onnx.

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/error.h"
#include "data/preprocess.h"
#include "formats/model_io.h"
#include "models/nets.h"

namespace {

using namespace xdn;

void run(const bench::Net& net, int64_t size, bool batchnorm, const std::string& out) {
  const int64_t side = size > 0 ? size : net.size;
  Graph graph = net.make(side, batchnorm);
  graph.name = net.name;
  Preprocess preprocess;
  preprocess.scale = 1.0f / 255;
  preprocess.mean = {0.485f, 0.456f, 0.406f};
  preprocess.std = {0.229f, 0.224f, 0.225f};
  preprocess.height = preprocess.width = side;
  const std::string beside = model_stem(out) + ".preprocess.json";
  export_onnx(graph, out);
  write_preprocess(preprocess, beside);
  const NodeCost cost = graph_cost(graph);
  fmt::print("wrote {} and {}: {:.2f} GMACs, {:.2f} M parameters\n", printable(out), printable(beside),
             static_cast<double>(cost.macs) * 1e-9, static_cast<double>(cost.parameters) * 1e-6);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Writes a network with random weights as ONNX, and its preprocess file");
  std::string wanted, out;
  int64_t size = 0;
  bool batchnorm = false;
  std::vector<std::string> names;
  for (const auto& known : bench::all_nets()) names.push_back(known.name);
  app.add_option("NET", wanted)->required()->check(CLI::IsMember(names));
  app.add_option("--size", size, "Side of the images; as the network was published, if not given")
      ->check(CLI::Range(16, 4096));
  app.add_flag("--batchnorm", batchnorm, "BatchNorms stay nodes, as in training; default: biases");
  app.add_option("-o,--output", out, "FILE.onnx")->required();
  CLI11_PARSE(app, argc, argv);
  try {
    for (const auto& net : bench::all_nets()) {
      if (wanted == net.name) run(net, size, batchnorm, out);
    }
  } catch (const std::exception& error) {
    fmt::print(stderr, "make_net: {}\n", error.what());
    return 1;
  }
}
