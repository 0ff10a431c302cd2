#include <fmt/format.h>

#include <memory>

#include "cli/fusion_flags.h"
#include "cli/model_output.h"
#include "cli/verbs.h"
#include "formats/model_io.h"

namespace xdn::cli {
namespace {

struct FuseFlags {
  std::string model, out;
  FusionFlags fusion;
};

int run(const FuseFlags& flags) {
  flags.fusion.check();
  check_model_output(flags.model, flags.out);
  Graph graph = load_model(flags.model);
  flags.fusion.apply(graph);
  flags.fusion.finish(fmt::format("wrote {}\n", write_model(graph, flags.model, flags.out)));
  return 0;
}

}  // namespace

Action add_fuse(CLI::App& app) {
  const auto flags = std::make_shared<FuseFlags>();
  app.add_option("MODEL", flags->model, "The model to read")->required()->type_name("");
  app.add_option("-o,--output", flags->out, "The model to write; what stands beside MODEL goes beside it")
      ->required()
      ->type_name("OUT.onnx|OUT.prototxt:OUT.caffemodel");
  flags->fusion.add_options(app);
  return [flags] { return run(*flags); };
}

}  // namespace xdn::cli
