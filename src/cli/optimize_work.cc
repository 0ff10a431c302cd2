#include "cli/optimize_work.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/log.h"
#include "cli/child.h"
#include "cli/dataset_flags.h"
#include "cli/model_output.h"
#include "cli/process.h"
#include "cli/prune_flags.h"
#include "cli/run_info.h"
#include "data/dataset.h"
#include "fusion/pipeline.h"
#include "pruning/search.h"

namespace xdn::cli {
namespace {

namespace fs = std::filesystem;
using optimize::Job;
using optimize::Json;
using optimize::Made;
using optimize::Stage;

constexpr double kEvaluated = 1.1;  // an epoch with its validation, to its training alone
constexpr double kQatRate = 2e-4;   // folded BatchNorms are stable at small rates only (docs/training.md)
constexpr double kQuantizeSeconds = 600;  // what choosing layers may take without a deadline
constexpr double kTuneGrace = 5;          // seconds that tuning may exceed its budget by
constexpr int64_t kTeacherEpochs = 8;     // augmentations that the teacher's kept predictions serve

bool exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

/// What a user would type for a stage.
std::string xdn_line(const std::vector<std::string>& words) {
  std::vector<std::string> all{"xdn"};
  all.insert(all.end(), words.begin(), words.end());
  return shell_line(all);
}

struct Epochs {
  int64_t done = 0;
  double seconds = 0;
};

/// The epochs that a training's log tells of.
Epochs epochs_in(const std::string& log) {
  Epochs epochs;
  std::ifstream file(log);
  for (std::string line; std::getline(file, line);) {
    const Json json = Json::parse(line, nullptr, false);
    if (!json.is_object() || !json.contains("epoch") || !json.contains("seconds")) continue;
    if (!json["seconds"].is_number()) continue;
    ++epochs.done;
    epochs.seconds += kEvaluated * json["seconds"].get<double>();
  }
  return epochs;
}

}  // namespace

OptimizeWork::OptimizeWork(const OptimizeFlags& flags, const ModelInput& model, const OptimizePlan& plan,
                           OptimizeReport& report, std::string program)
    : flags_(flags), original_(model), plan_(plan), report_(report), program_(std::move(program)) {}

void OptimizeWork::begin(const std::string& name, const std::string& title) { report_.begin(name, title); }
void OptimizeWork::done(const optimize::Step& step) { report_.step(step); }
void OptimizeWork::note(const std::string& text) { report_.note(text); }

Made OptimizeWork::make(const Job& job) {
  switch (job.stage) {
    case Stage::kBaseline:
      return baseline();
    case Stage::kTable:
      return table(job);
    case Stage::kPrune:
      return prune(job);
    case Stage::kFuse:
      return fuse(job);
    case Stage::kQuantize:
      return quantize(job);
    case Stage::kQat:
      return qat(job);
    case Stage::kModel:
      return model(job);
    case Stage::kTune:
      return tune(job);
    case Stage::kTest:
      return test();
    case Stage::kReport:
      break;
  }
  XDN_CHECK(false);
  return {};
}

optimize::Measured OptimizeWork::measure(const std::string& file) {
  if (!val_)
    val_.emplace(original_, flags_.val, !flags_.learning.no_verify, flags_.threads(), flags_.single_stream());
  const Paired paired = file.empty() ? val_->measure_original() : val_->measure(at(file));
  const Graph graph = file.empty() ? original_.graph : load_model_input(at(file), {}).graph;
  const double accuracy = file.empty() ? paired.verdict.original_accuracy() : paired.verdict.accuracy();
  return {accuracy, paired.original_seconds / paired.speed, file.empty() ? 1 : paired.speed,
          graph_cost(graph).macs_effective};
}

// ---- processes

OptimizeWork::Words OptimizeWork::common() const {
  Words words{"--threads", fmt::format("{}", flags_.threads())};
  if (flags_.learning.no_verify) words.emplace_back("--no-verify");
  return words;
}

Made OptimizeWork::call(const Job& job, const Words& words, const std::string& log) {
  Made made;
  made.details["command"] = xdn_line(words);
  log_info(made.details["command"].get<std::string>());
  ChildLimits limits;
  limits.seconds = job.seconds;
  limits.stdout_path = flags_.path(job.folder) + "/log.txt";
  const auto watch = [&] {
    const Epochs epochs = epochs_in(log);
    made.epochs_done = epochs.done;
    made.epoch_seconds = epochs.seconds;
  };
  if (!log.empty() && job.too_slow) {
    limits.stop = [&] {
      watch();
      return made.epochs_done > 0 && job.too_slow(made.epochs_done, made.epoch_seconds);
    };
  }
  const ChildEnd end = run_child(program_, words, limits);
  if (!log.empty()) watch();
  if (end.code == kDone) return made;
  made.stopped = end.stopped;
  if (made.stopped) return made;
  if (end.code != kWrongInput && end.code < 128) throw StageEnded{end.code};
  if (end.code >= 128) {
    throw failure(
        fmt::format("xdn {} was ended by signal {}; what was finished is kept", words[0], end.code - 128));
  }
  made.refused = fmt::format("xdn {} cannot do it, its line stands above", words[0]);
  return made;
}

Made OptimizeWork::attempt(const Job& job, const Words& words) {
  Made made;
  try {
    return call(job, words);
  } catch (const StageEnded& ended) {
    made.refused = fmt::format("xdn {} failed with exit code {}", words[0], ended.code);
  } catch (const Error& error) {
    made.refused = error.what();
  }
  return made;
}

/// Of the images that are drawn to calibrate on: their option takes smaller numbers than training's.
std::string OptimizeWork::draw_seed() const {
  return fmt::format("{}", flags_.learning.seed % 1'000'000'000);
}

void OptimizeWork::add_files(Made& made, const std::string& model) const {
  made.model = model;
  made.files.push_back(model);
  const std::string stem = model.substr(0, model.rfind('.'));
  if (exists(at(stem + ".preprocess.json"))) made.files.push_back(stem + ".preprocess.json");
}

Json OptimizeWork::read_result(const std::string& file) const {
  const Json json = Json::parse(read_file(at(file)), nullptr, false);
  if (!json.is_object()) throw failure("holds no results").in_file(at(file));
  return json;
}

// ---- stages

Made OptimizeWork::baseline() {
  Made made;
  const auto size = [&](const char* name, const std::string& path, Split split) {
    made.details[name] = path.empty() ? 0 : open_images(path, split, original_)->size();
  };
  size("val", flags_.val, Split::kAuto);
  size("test", flags_.test, Split::kAuto);
  size("train", flags_.no_train ? "" : flags_.data, Split::kAutoTrain);
  made.details["calibration"] = flags_.images;
  return made;
}

std::string OptimizeWork::table_file() const {
  return flags_.latency_table.empty() ? flags_.path("latency.json") : flags_.latency_table;
}

/// As xdn prune sees the model: written as ONNX and read again.
Made OptimizeWork::table(const Job& job) {
  const std::string copy = at(job.folder + "/model.onnx");
  (void)write_model(original_.graph, flags_.model, copy);
  ModelInput model = load_model_input(copy, {});
  (void)run_passes(model.graph, cleanup_passes());
  const pruning::Groups groups = pruning::find_groups(model.graph);
  const Units units = units_of(flags_, original_.graph);
  Made made;
  if (flags_.latency_table.empty()) {
    LatencyFlags how = flags_.latency;
    how.exec.precision = run_precision();
    how.exec.threads = flags_.threads();
    write_latency_table(
        measure_with_progress(model.graph, groups, how.options(model, units.inner, units.trunk)),
        table_file());
    made.files.emplace_back("latency.json");
  }
  const pruning::LatencyTable table = pruning::read_latency_table(table_file());
  try {
    table.check(model.graph);
  } catch (Error& error) {
    throw error.in_file(table_file());
  }
  pruning::SearchOptions options;
  options.min_width = units.min_width;
  options.inner = units.inner;
  options.trunk = units.trunk;
  const auto alike = [](const Graph&, const pruning::Groups& all) {
    return std::vector<double>(static_cast<size_t>(all.unit_count()), 1);
  };
  const pruning::CostModel cost = pruning::latency_cost(table);
  const double whole = table.predict(model.graph);
  const double least = plan_by_search(model.graph, alike, cost, options).cost + table.fixed_seconds();
  // Where a time is asked for, it is the finished model's.
  const std::string& precision = table.data().precision;
  double finished = whole;
  if (precision != "int8") finished /= plan_.int8_gain(precision == "fp32" ? "f32" : precision);
  if (flags_.single_stream()) finished = measure("").seconds / plan_.int8_gain();
  made.details["seconds"] = finished;
  made.details["predicted_ms"] = 1e3 * whole;
  made.details["least"] = least / whole;
  made.details["precision"] = precision;
  return made;
}

Made OptimizeWork::prune(const Job& job) {
  const std::string folder = fmt::format("{}/epochs-{}", job.folder, job.epochs);
  fs::create_directories(at(folder));
  const std::string model = folder + "/model.onnx", result = folder + "/result.json";
  const Units units = units_of(flags_, original_.graph);
  const std::string precision = pruning::read_latency_table(table_file()).data().precision;
  Words words{"prune",
              flags_.model,
              "--data",
              flags_.data,
              "--val",
              flags_.val,
              "--target-latency",
              fmt::format("{:.6f}", job.share),
              "--latency-table",
              table_file(),
              "--run-precision",
              precision,
              "--min-width",
              fmt::format("{}", units.min_width),
              "--unit",
              fmt::format("{}", units.inner),
              "--trunk-unit",
              fmt::format("{}", units.trunk),
              "--epochs",
              fmt::format("{}", job.epochs),
              "--warmup",
              fmt::format("{}", std::min(flags_.learning.warmup, static_cast<double>(job.epochs))),
              "--seed",
              fmt::format("{}", flags_.learning.seed),
              "--resume",
              "--run",
              at(folder + "/run"),
              "--json",
              at(result),
              "-o",
              at(model)};
  for (const std::string& word : flags_.learning_words) {
    if (word != "--learn-scales") words.push_back(word);
  }
  if (!flags_.was_given("--precision")) words.insert(words.end(), {"--precision", flags_.learning.precision});
  const std::string& teacher = flags_.learning.teacher;
  if (!teacher.empty()) words.insert(words.end(), {"--teacher", teacher});
  words.insert(words.end(), flags_.teaching_words.begin(), flags_.teaching_words.end());
  // Every rung's student has the same teacher, whose predictions are computed once.
  if (teacher != "none" && !flags_.was_given("--teacher-cache") && flags_.learning.features == 0) {
    words.insert(words.end(), {"--teacher-cache", flags_.path("teacher-cache")});
    if (!flags_.was_given("--augment-epochs"))
      words.insert(words.end(), {"--augment-epochs", fmt::format("{}", kTeacherEpochs)});
  }
  const Words more = common();
  words.insert(words.end(), more.begin(), more.end());
  Made made = call(job, words, at(folder + "/run/step-1/tuned.run/log.jsonl"));
  if (made.stopped || !made.refused.empty()) return made;
  add_files(made, model);
  made.files.push_back(folder + "/model.plan.json");
  const Json json = read_result(result);
  made.details["epochs"] = job.epochs;
  made.details["predicted_ms"] = json.at("after").value("predicted_ms", 0.0);
  made.details["reached"] = json.value("reached", true);
  return made;
}

Made OptimizeWork::fuse(const Job& job) {
  const std::string model = job.folder + "/model.onnx";
  Made made = call(job, {"fuse", at(job.model), "-o", at(model), "--json", at(job.folder + "/result.json")});
  if (made.stopped || !made.refused.empty()) return made;
  add_files(made, model);
  return made;
}

Made OptimizeWork::quantize(const Job& job) {
  const std::string model = job.folder + "/model.onnx", result = job.folder + "/result.json";
  const double budget = std::clamp(std::floor(job.seconds / 2), 1.0, kQuantizeSeconds);
  Words words{"quantize", at(job.model),
              "--data",   flags_.data.empty() ? flags_.val : flags_.data,
              "--images", fmt::format("{}", flags_.images),
              "--seed",   draw_seed(),
              "--val",    flags_.val,
              "--json",   at(result),
              "-o",       at(model)};
  if (job.max_drop)
    words.insert(words.end(),
                 {"--max-drop", fmt::format("{}", *job.max_drop), "--budget", fmt::format("{:.0f}", budget)});
  const Words more = common();
  words.insert(words.end(), more.begin(), more.end());
  Made made = call(job, words);
  if (made.stopped || !made.refused.empty()) return made;
  add_files(made, model);
  const Json json = read_result(result);
  const std::string chosen = json.value("chosen", std::string("int8"));
  made.details["chosen"] = chosen;
  made.details["unchanged"] = json.value("unchanged", false) || chosen == "bf16";
  if (json.contains("float_layers")) made.details["float_layers"] = json["float_layers"];
  return made;
}

Made OptimizeWork::qat(const Job& job) {
  const std::string start = job.folder + "/int8.onnx", model = job.folder + "/model.onnx";
  Words words{"quantize", at(job.model), "--data", flags_.data, "--images", fmt::format("{}", flags_.images),
              "--seed",   draw_seed(),   "-o",     at(start)};
  const Words more = common();
  words.insert(words.end(), more.begin(), more.end());
  if (!exists(at(start))) {
    Made made = call(job, words);
    if (made.stopped || !made.refused.empty()) return made;
  }
  const std::string run = fmt::format("{}/epochs-{}", job.folder, job.epochs);
  words = {"train",     at(start),
           "--data",    flags_.data,
           "--val",     flags_.val,
           "--teacher", at(job.float_model),
           "--epochs",  fmt::format("{}", job.epochs),
           "--lr",      fmt::format("{}", kQatRate),
           "--batch",   fmt::format("{}", flags_.learning.batch),
           "--seed",    fmt::format("{}", flags_.learning.seed),
           "--resume",  "--run",
           at(run),     "-o",
           at(model)};
  if (flags_.learning.learn_scales) words.emplace_back("--learn-scales");
  words.insert(words.end(), more.begin(), more.end());
  Made made = call(job, words, at(run + "/log.jsonl"));
  if (made.stopped || !made.refused.empty()) return made;
  add_files(made, model);
  made.details["epochs"] = job.epochs;
  return made;
}

void OptimizeWork::copy(const std::string& from, const std::string& to) const {
  AtomicFile file(to);
  file.write(read_file(from));
  file.commit();
}

Made OptimizeWork::model(const Job& job) {
  Made made;
  const std::string best = at(job.model), out = flags_.path("model.onnx");
  if (job.model.empty()) {
    made = call(job, {"fuse", best, "--level", "none", "-o", out});
    if (!made.refused.empty()) throw StageEnded{kWrongInput};
  } else {
    const std::string preprocess = best.substr(0, best.rfind('.')) + ".preprocess.json";
    // A model alone would be taken for one of raw pixels.
    if (exists(preprocess)) copy(preprocess, flags_.path("model.preprocess.json"));
    copy(best, out);
  }
  add_files(made, "model.onnx");
  made.model.clear();  // it was measured where it was made
  if (!flags_.caffe) return made;
  const Made caffe = call(job, {"fuse", at(job.float_model), "--level", "none", "-o",
                                flags_.path("model.prototxt") + ":" + flags_.path("model.caffemodel")});
  if (caffe.refused.empty()) {
    made.files.insert(made.files.end(), {"model.prototxt", "model.caffemodel"});
  } else {
    report_.note("no Caffe model: " + caffe.refused);
  }
  return made;
}

Made OptimizeWork::tune(const Job& job) {
  const std::string result = job.folder + "/result.json", record = "model.tuning.json";
  Words words{"tune",       at(job.model),
              "--scenario", flags_.scenario,
              "--budget",   fmt::format("{}", std::max<int64_t>(1, static_cast<int64_t>(job.seconds))),
              "--json",     at(result),
              "-o",         at(record)};
  if (flags_.learning.threads > 0)
    words.insert(words.end(), {"--threads", fmt::format("{}", flags_.threads())});
  // It ends by itself, but for what it begins last.
  Job patient = job;
  patient.seconds = job.seconds + kTuneGrace;
  Made made = attempt(patient, words);
  if (!made.refused.empty() || (made.stopped && !exists(at(result)))) return made;
  made.stopped = false;
  made.details["tuning"] = read_result(result);
  const double speedup = made.details["tuning"].value("speedup", 1.0);
  if (speedup < 1) {
    std::error_code ignored;
    fs::remove(at(record), ignored);
    made.details["dropped"] = true;
  } else if (exists(at(record))) {
    made.files.push_back(record);
  }
  return made;
}

Made OptimizeWork::test() {
  Scale scale(original_, flags_.test, !flags_.learning.no_verify, flags_.threads(), flags_.single_stream());
  Made made;
  made.details["test"] = verdict_json(scale.measure(flags_.path("model.onnx")));
  return made;
}

std::string OptimizeWork::evaluate_for_report() {
  const std::string data = flags_.test.empty() ? flags_.val : flags_.test;
  Job job{.stage = Stage::kReport, .folder = "stages"};
  Words words{"eval",
              flags_.path("model.onnx"),
              "--data",
              data,
              "--reference",
              flags_.model,
              "--samples",
              "12",
              "--profile",
              "--json",
              flags_.path("stages/eval.json")};
  const Words more = common();
  words.insert(words.end(), more.begin(), more.end());
  const Made made = attempt(job, words);
  if (!made.refused.empty()) return made.refused;
  report_.add_evaluation(read_result("stages/eval.json"));
  return {};
}

std::string OptimizeWork::write_page() {
  const Job job{.stage = Stage::kReport, .folder = "stages"};
  return attempt(job, {"report", flags_.out, "-o", flags_.path("report.html")}).refused;
}

}  // namespace xdn::cli
