#include "cli/experiment_inputs.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "cli/model_input.h"
#include "data/pack.h"

namespace xdn::cli {
namespace {

namespace fs = std::filesystem;
using experiment::ModelRole;

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

std::string from_environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// The path as typed from here, where that is shorter: commands are printed, and repeated.
std::string brief(const fs::path& path) {
  std::error_code error;
  const fs::path here = fs::current_path(error);
  const std::string whole = path.lexically_normal().string();
  if (error || !path.is_absolute()) return whole;
  std::string relative = path.lexically_normal().lexically_relative(here).string();
  return !relative.empty() && relative.size() < whole.size() ? relative : whole;
}

std::string tree_above(fs::path at) {
  for (; !at.empty(); at = at.parent_path()) {
    if (is_file(at / "bench/peers/pass.mjs")) return at.string();
    if (at == at.root_path()) break;
  }
  return "";
}

}  // namespace

std::string source_tree() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (!error) {
    if (std::string tree = tree_above(program); !tree.empty()) return tree;
  }
  const fs::path here = fs::current_path(error);
  return error ? "" : tree_above(here);
}

std::string why_missing(const std::string& model) {
  if (model.empty()) return "no such model was given or found";
  for (const std::string& file : model_files(model)) {
    if (!is_file(file)) return fmt::format("model missing: {}", printable(file));
  }
  return "";
}

void ExperimentInputs::add_options(CLI::App& app) {
  const auto add_model = [&](const char* name, std::string& value, const char* text) {
    app.add_option(name, value, text)->type_name("MODEL");
  };
  add_model("--original", original, "The trained model; default: the shared ResNet-50 below $XDN_MODELS");
  add_model("--b", b, "It, 60 % of its inner filters left; default: models/resnet50-B.onnx");
  add_model("--c", c, "It, pruned too far; default: models/resnet50-C.onnx");
  add_model("--pruned", pruned, "It, pruned by latency, float; default: models/resnet50-x6.onnx");
  add_model("--best", best, "It, pruned by latency, in 8 bits; default: models/resnet50-x6-int8.onnx");
  app.add_option("--data", data,
                 "Test images: a folder of JPEG or PNG; default: CIFAR-10's, $XDN_CIFAR10/test")
      ->type_name("DATA");
  app.add_option("--calibration", calibration,
                 "Images that ranges of 8 bits are drawn from; default: train/ beside the test images")
      ->type_name("DATA");
}

void ExperimentInputs::find() {
  const fs::path tree = source_tree();
  const auto in_models = [&](std::string& value, const char* name) {
    if (value.empty() && !tree.empty()) value = brief(tree / "models" / name);
  };
  if (original.empty()) {
    const std::string set = from_environment("XDN_MODELS");
    const fs::path models =
        set.empty() && !tree.empty() ? tree.parent_path() / "shared/models" : fs::path(set);
    const fs::path folder = models / "resnet50-cifar10";
    if (!models.empty()) {
      original =
          fmt::format("{}:{}", brief(folder / "resnet50.prototxt"), brief(folder / "resnet50.caffemodel"));
    }
  }
  in_models(b, "resnet50-B.onnx");
  in_models(c, "resnet50-C.onnx");
  in_models(pruned, "resnet50-x6.onnx");
  in_models(best, "resnet50-x6-int8.onnx");

  if (data.empty()) {
    const std::string set = from_environment("XDN_CIFAR10");
    const fs::path cifar = set.empty() && !tree.empty() ? tree / "build/data/cifar10" : fs::path(set);
    if (cifar.empty() || !is_folder(cifar / "test"))
      throw input_error(
          "found no test images: expected --data FOLDER, or XDN_CIFAR10 set to a folder with test/");
    data = brief(cifar / "test");
  }
  if (!is_folder(data)) throw input_error("is no folder of images").in_file(data);
  if (is_pack(data)) {
    throw input_error("is decoded already, the experiment also times decoding: expected a folder of images")
        .in_file(data);
  }
  if (calibration.empty()) {
    const fs::path beside = fs::path(data).lexically_normal() / ".." / "train";
    if (is_folder(beside)) calibration = beside.lexically_normal().string();
  }
}

std::string ExperimentInputs::model(ModelRole role) const {
  switch (role) {
    case ModelRole::kOriginal:
      return original;
    case ModelRole::kB:
      return b;
    case ModelRole::kC:
      return c;
    case ModelRole::kPruned:
      return pruned;
    case ModelRole::kBest:
      return best;
    case ModelRole::kOriginalInt8:
    case ModelRole::kBInt8:
      break;
  }
  return "";
}

}  // namespace xdn::cli
