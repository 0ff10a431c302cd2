#include "cli/experiment_stage.h"

#include <fmt/format.h>

#include <cctype>
#include <filesystem>

#include "base/error.h"
#include "cli/model_input.h"
#include "cli/quiet_child.h"
#include "data/preprocess.h"
#include "formats/model_io.h"

namespace xdn::cli {
namespace {

namespace fs = std::filesystem;
using experiment::Engine;
using experiment::ModelRole;
using experiment::Row;

/// Images that ranges are drawn from, as in experiments/int8.
constexpr const char* kCalibrationImages = "1000";
constexpr const char* kPeerBatches = "32,128,512";
constexpr double kMostTuneFactor = 20;  ///< a tuner that does not keep its budget is stopped
constexpr const char* kSamples = "12";

bool is_caffe(const std::string& model) { return model.find(".prototxt:") != std::string::npos; }

std::string preprocess_file(const std::string& model) { return model_stem(model) + ".preprocess.json"; }

/// Where the release build lies that this program is part of; empty where it was installed.
std::string build_folder() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  const fs::path build = program.parent_path().parent_path().parent_path();
  return fs::is_directory(build / "bench/peers", error) ? build.string() : "";
}

}  // namespace

std::vector<std::string> files_with_preprocess(const std::string& model) {
  std::vector<std::string> files = cli::model_files(model);
  std::error_code ignored;
  if (const std::string file = preprocess_file(model); fs::exists(file, ignored)) files.push_back(file);
  return files;
}

ExperimentStage::ExperimentStage(TaskRunner& tasks, const ExperimentInputs& inputs, StageOptions options,
                                 Say say, Say note)
    : tasks_(tasks), inputs_(inputs), options_(options), say_(std::move(say)), note_(std::move(note)) {}

const std::string& ExperimentStage::help(const std::string& verb) {
  const auto [at, unknown] = help_.try_emplace(verb);
  if (unknown) {
    const QuietEnd end = run_quiet({"/proc/self/exe", verb, "--help"}, 60);
    if (end.done()) at->second = end.out;
  }
  return at->second;
}

bool ExperimentStage::has_verb(const std::string& verb) { return !help(verb).empty(); }

bool ExperimentStage::has_option(const std::string& verb, const std::string& option) {
  const std::string& text = help(verb);
  for (size_t at = text.find(option); at != std::string::npos; at = text.find(option, at + 1)) {
    const size_t end = at + option.size();
    if (end == text.size() || (text[end] != '-' && isalnum(static_cast<unsigned char>(text[end])) == 0))
      return true;
  }
  return false;
}

TaskResult ExperimentStage::make(const Task& task) {
  const std::string command = TaskRunner::command(task);
  if (tasks_.known(task) == 0) say_(command);
  TaskResult result = tasks_.perform(task);
  if (result.done) {
    commands_.push_back(command);
  } else {
    note_(fmt::format("{}: {} (`{}`)", task.name, result.reason, command));
  }
  return result;
}

const std::string& ExperimentStage::pack() {
  if (!pack_.empty()) return pack_;
  pack_ = tasks_.in_dir("test.pack");
  Task task{.name = "pack", .words = {"pack", inputs_.data, "-o", pack_}, .outputs = {pack_ + "/pack.json"}};
  if (const auto preprocess = find_preprocess(model_stem(inputs_.original))) {
    const auto add = [&](const char* option, std::string value) {
      task.words.insert(task.words.end(), {option, std::move(value)});
    };
    if (preprocess->resize > 0) add("--resize", std::to_string(preprocess->resize));
    if (preprocess->crop > 0) add("--crop", std::to_string(preprocess->crop));
    if (preprocess->height > 0 && preprocess->width > 0)
      add("--size", fmt::format("{}x{}", preprocess->height, preprocess->width));
  }
  if (const TaskResult result = make(task); !result.done) throw failure(result.reason).in_file(inputs_.data);
  return pack_;
}

StageModel ExperimentStage::made(const std::string& name, const StageModel& from,
                                 std::vector<std::string> words) {
  if (!from.missing.empty()) return from;
  const std::string folder = tasks_.in_dir("models");
  std::error_code error;
  fs::create_directory(folder, error);
  const std::string out = (fs::path(folder) / (name + ".onnx")).string();
  words.insert(words.begin() + 1, from.spec);
  words.insert(words.end(), {"-o", out});
  const TaskResult result = make({.name = fmt::format("model {}", name),
                                  .words = std::move(words),
                                  .inputs = files_with_preprocess(from.spec),
                                  .outputs = {out}});
  if (!result.done) return {.missing = fmt::format("{} could not be made: {}", name, result.reason)};
  return {.spec = out};
}

const StageModel& ExperimentStage::model(ModelRole role) {
  if (const auto known = models_.find(role); known != models_.end()) return known->second;
  StageModel found;
  if (role == ModelRole::kOriginalInt8 || role == ModelRole::kBInt8) {
    const StageModel from = model(role == ModelRole::kBInt8 ? ModelRole::kB : ModelRole::kOriginal);
    if (from.missing.empty() && inputs_.calibration.empty()) {
      found.missing = "no images to calibrate on: expected --calibration DATA";
    } else {
      found =
          made(std::string(model_name(role)), from,
               {"quantize", "--data", inputs_.calibration, "--images", kCalibrationImages, "--seed", "1"});
    }
  } else {
    found.spec = inputs_.model(role);
    found.missing = why_missing(found.spec);
  }
  return models_[role] = found;
}

const StageModel& ExperimentStage::onnx_model(ModelRole role) {
  if (const auto known = onnx_models_.find(role); known != onnx_models_.end()) return known->second;
  const StageModel& from = model(role);
  // Exported even where it is ONNX already: peers want a free batch.
  return onnx_models_[role] = role == ModelRole::kOriginal
                                  ? made(std::string(model_name(role)), from, {"fuse", "--level", "none"})
                                  : from;
}

double ExperimentStage::macs(ModelRole role) {
  const StageModel& found = model(role);
  if (!found.missing.empty()) return 0;
  const TaskResult info = tasks_.perform(
      {.name = "info", .words = {"info", found.spec}, .inputs = files_with_preprocess(found.spec)});
  const auto at = info.json.find("macs_effective");
  return at != info.json.end() && at->is_number() ? at->get<double>() : 0;
}

std::string ExperimentStage::tuning(ModelRole role, const std::string& fusion) {
  const auto [at, unknown] = records_.try_emplace({role, fusion});
  if (!unknown) return at->second;
  if (!has_verb("tune") || !has_option("eval", "--tuning")) return at->second;
  const StageModel& found = model(role);
  std::error_code error;
  fs::create_directory(tasks_.in_dir("tuning"), error);
  const std::string record = tasks_.in_dir(fmt::format("tuning/{}-{}.json", model_name(role), fusion));
  const Task task{
      .name = fmt::format("tune {}, fusion {}", model_name(role), fusion),
      .words = {"tune", found.spec, "-o", record, "--fusion", fusion, "--threads",
                std::to_string(options_.threads), "--budget", std::to_string(options_.tune_budget)},
      .inputs = files_with_preprocess(found.spec),
      .outputs = {record},
      .most_seconds = 60 + kMostTuneFactor * static_cast<double>(options_.tune_budget)};
  const TaskResult result = make(task);
  if (!result.done || !fs::exists(record, error)) return at->second;
  tunings_.push_back({{"model", model_name(role)}, {"fusion", fusion}, {"tune", result.json}});
  return at->second = record;
}

ExperimentStage::RowTask ExperimentStage::own_task(const Row& row) {
  const StageModel& found = model(row.model);
  if (!found.missing.empty()) return {.missing = found.missing};
  Task task{.name = std::string(row.name),
            .words = {"eval", found.spec, "--data", row.online ? inputs_.data : pack(), "--fusion",
                      std::string(row.fusion), "--threads", std::to_string(options_.threads)},
            .inputs = files_with_preprocess(found.spec)};
  if (row.online) task.words.emplace_back("--online");
  if (options_.limit > 0) task.words.insert(task.words.end(), {"--limit", std::to_string(options_.limit)});
  std::string record;
  if (has_option("eval", "--tuning")) {
    if (row.tuned) record = tuning(row.model, std::string(row.fusion));
    task.words.insert(task.words.end(), {"--tuning", record.empty() ? "off" : record});
    if (!record.empty()) task.inputs.push_back(record);
  }
  return {.task = std::move(task), .tuned = !record.empty()};
}

ExperimentStage::RowTask ExperimentStage::peer_task(const Row& row) {
  const std::string tree = source_tree();
  if (tree.empty()) return {.missing = "peer absent: no bench/peers beside this program"};
  if (!run_quiet({"node", "--version"}, 60).done()) return {.missing = "peer absent: node is not installed"};
  const bool reads_caffe = row.engine == Engine::kOpenCv && is_caffe(inputs_.original);
  const StageModel& found = reads_caffe ? model(row.model) : onnx_model(row.model);
  if (!found.missing.empty()) return {.missing = found.missing};
  std::error_code error;
  const std::string script = fs::proximate(fs::path(tree) / "bench/peers/pass.mjs", error).string();
  Task task{.name = std::string(row.name),
            .words = {"node", script, "--engine", row.engine == Engine::kOpenCv ? "opencv" : "ort", "--model",
                      found.spec, "--pack", pack(), "--threads", std::to_string(options_.threads)},
            .extra = {"--batches", kPeerBatches},
            .inputs = files_with_preprocess(found.spec),
            .own = false};
  const auto add = [&](const char* option, const std::string& value) {
    task.words.insert(task.words.end(), {option, value});
  };
  if (row.online) add("--decode", inputs_.data);
  if (options_.limit > 0) add("--limit", std::to_string(options_.limit));
  if (const std::string build = build_folder(); !build.empty() && build != (fs::path(tree) / "build/release"))
    add("--build", build);
  return {.task = std::move(task)};
}

ExperimentStage::RowTask ExperimentStage::row_task(const Row& row) {
  return row.engine == Engine::kXdn ? own_task(row) : peer_task(row);
}

Task ExperimentStage::detail_task(const Row& row) {
  Task task = own_task(row).task;
  task.name = fmt::format("details of {}", row.name);
  task.whole = true;
  if (has_option("eval", "--samples")) task.words.insert(task.words.end(), {"--samples", kSamples});
  if (has_option("eval", "--profile")) task.words.emplace_back("--profile");
  if (row.model != ModelRole::kOriginal && has_option("eval", "--reference") &&
      model(ModelRole::kOriginal).missing.empty()) {
    task.words.insert(task.words.end(), {"--reference", inputs_.original});
  }
  return task;
}

}  // namespace xdn::cli
