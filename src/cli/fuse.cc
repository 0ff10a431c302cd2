#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <optional>

#include "base/atomic_file.h"
#include "base/error.h"
#include "cli/fusion_flags.h"
#include "cli/model_input.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "data/preprocess.h"
#include "formats/model_io.h"

namespace xdn::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostPreprocessBytes = size_t{1} << 20;

struct FuseFlags {
  std::string model, out;
  FusionFlags fusion;
};

void check_request(const FuseFlags& flags) {
  flags.fusion.check();
  std::error_code ignored;
  for (const std::string& out : xdn::model_files(flags.out)) {
    check_output(out);
    for (const std::string& file : model_files(flags.model)) {
      if (fs::equivalent(file, out, ignored)) {
        throw input_error("is the model itself, expected another name to write to").in_file(out);
      }
    }
  }
}

int run(const FuseFlags& flags) {
  check_request(flags);
  Graph graph = load_model(flags.model);
  flags.fusion.apply(graph);

  // The preprocess file is prepared before, and renamed into place after, the model: both appear, or none.
  const std::string from = model_stem(flags.model) + ".preprocess.json";
  const std::string to = model_stem(flags.out) + ".preprocess.json";
  std::optional<AtomicFile> preprocess;
  std::error_code ignored;
  if (fs::exists(from, ignored) && !fs::equivalent(from, to, ignored)) {
    (void)read_preprocess(from);
    check_output(to);
    preprocess.emplace(to);
    preprocess->write(read_file(from, kMostPreprocessBytes));
  }
  save_model(graph, flags.out);
  if (preprocess) preprocess->commit();
  flags.fusion.finish(
      fmt::format("wrote {}{}\n", printable(flags.out), preprocess ? " and " + printable(to) : ""));
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
