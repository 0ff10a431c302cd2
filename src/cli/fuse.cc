#include <fmt/format.h>

#include <memory>

#include "base/error.h"
#include "cli/exec_options.h"
#include "cli/fusion_flags.h"
#include "cli/model_output.h"
#include "cli/verbs.h"
#include "formats/model_io.h"

namespace xdn::cli {
namespace {

struct FuseFlags {
  std::string model, out, weights = "float32";
  FusionFlags fusion;
};

int run(const FuseFlags& flags) {
  flags.fusion.check();
  check_model_output(flags.model, flags.out);
  ExportOptions options;
  options.half_weights = flags.weights == "float16";
  if (options.half_weights && model_files(flags.out).size() != 1)
    throw input_error("cannot hold float16 weights, expected OUT.onnx").in_file(flags.out);
  Graph graph = load_model(flags.model);
  flags.fusion.apply(graph);
  flags.fusion.finish(fmt::format("wrote {}\n", write_model(graph, flags.model, flags.out, options)));
  return 0;
}

}  // namespace

Action add_fuse(CLI::App& app) {
  const auto flags = std::make_shared<FuseFlags>();
  app.add_option("MODEL", flags->model, "The model to read")->required()->type_name("");
  app.add_option("-o,--output", flags->out, "The model to write; what stands beside MODEL goes beside it")
      ->required()
      ->type_name("OUT.onnx|OUT.prototxt:OUT.caffemodel");
  add_choice(app, "--weights", flags->weights, {"float32", "float16"},
             "How f32 weights are stored; float16 halves the file and rounds them");
  flags->fusion.add_options(app);
  return [flags] { return run(*flags); };
}

}  // namespace xdn::cli
