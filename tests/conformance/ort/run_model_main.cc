// xdn_run_model [--fixed] [--executor ISA] MODEL IN OUT
// Runs a model on the tensors of file IN (tensor_file.h), in the order of its inputs, and writes its outputs
// to OUT. The reference executor runs it, or with --executor the planned one, which takes one float image
// input.
// --fixed: a leading extent of 1 stays fixed.

#include <cstdio>
#include <string>
#include <vector>

#include "base/error.h"
#include "conformance/ort/tensor_file.h"
#include "executor/executor.h"
#include "executor/reference.h"
#include "formats/model_io.h"

namespace {

std::vector<xdn::Tensor> run_planned(xdn::Graph graph, const std::string& isa,
                                     const std::vector<xdn::Tensor>& inputs) {
  xdn::ExecOptions options;
  options.isa = xdn::parse_isa(isa);
  if (!options.isa) throw xdn::input_error("unknown isa '" + isa + "'");
  if (inputs.size() != 1) throw xdn::input_error("expected one input");
  xdn::Executor executor(std::move(graph), options);
  const int64_t images = inputs[0].dim(0);
  xdn::Tensor output(xdn::DType::kF32, {images, executor.output_size()});
  executor.run_f32(inputs[0].data<float>().data(), images, output.mutable_data<float>().data());
  return {output};
}

int run(const std::vector<std::string>& arguments) {
  xdn::ImportOptions import;
  std::string isa;
  std::vector<std::string> files;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--fixed") {
      import.free_batch = false;
    } else if (arguments[i] == "--executor" && i + 1 < arguments.size()) {
      isa = arguments[++i];
    } else {
      files.push_back(arguments[i]);
    }
  }
  if (files.size() != 3) throw xdn::Error(xdn::ErrorKind::kUsage, "expected MODEL IN OUT");
  xdn::Graph graph = xdn::load_model(files[0], import);
  const std::vector<xdn::Tensor> inputs = xdn::testing::read_tensor_file(files[1]);
  const std::vector<xdn::Tensor> outputs =
      isa.empty() ? xdn::run_reference(graph, inputs) : run_planned(std::move(graph), isa, inputs);
  xdn::testing::write_tensor_file(files[2], outputs);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "xdn_run_model: %s\n", error.what());
    return 2;
  }
}
