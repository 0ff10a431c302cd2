#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <csignal>
#include <ctime>
#include <filesystem>
#include <memory>
#include <optional>

#include "base/cpu.h"
#include "base/error.h"
#include "base/log.h"
#include "base/sha256.h"
#include "cli/image_set.h"
#include "cli/model_input.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/run_info.h"
#include "cli/tune_report.h"
#include "cli/tuning.h"
#include "cli/verbs.h"
#include "evaluator/synthetic.h"
#include "formats/model_io.h"
#include "tuner/machine.h"
#include "tuner/tuner.h"

namespace xdn::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kHalvingBudget = 80, kGridBudget = 570;
/// Images that slices of work are made of: enough for the largest tiles of many threads, within 64 MiB.
constexpr int64_t kMostImages = 16384, kMostImageBytes = int64_t{64} << 20;
constexpr int64_t kMostGivenBytes = int64_t{8} << 30;
constexpr int64_t kProgressSteps = 1000;
constexpr size_t kDigestShown = 16;

struct TuneFlags {
  std::string model, data, scenario = "offline", search = "halving", score = "time", record;
  std::vector<std::string> precisions;
  std::optional<double> min_accuracy;
  double budget = 0, trial_timeout = 0;
  int64_t images = 0;
  bool resume = true, no_verify = false;
  PixelFlags pixels;
  ExecFlags exec;
  Output output;
};

std::atomic<bool> interrupted{false};

/// The first Ctrl-C ends the search, the second the program.
class Interrupts {
 public:
  Interrupts() {
    struct sigaction action {};
    action.sa_handler = [](int) { interrupted = true; };
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    for (size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &action, &old_[i]);
  }
  ~Interrupts() {
    for (size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &old_[i], nullptr);
  }
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

 private:
  static constexpr int kSignals[] = {SIGINT, SIGTERM};
  struct sigaction old_[2]{};
};

struct Score {
  tuner::ScoreKind kind = tuner::ScoreKind::kTime;
  double weight = 0;
};
/// Nothing where the text is none of time, pareto, weighted:W.
std::optional<Score> parse_score(const std::string& text) {
  constexpr std::string_view kWeighted = "weighted:";
  if (text == "time") return Score{};
  if (text == "pareto") return Score{tuner::ScoreKind::kPareto, 0};
  if (!text.starts_with(kWeighted)) return std::nullopt;
  const char* first = text.data() + kWeighted.size();
  double weight = 0;
  const auto [end, error] = std::from_chars(first, text.data() + text.size(), weight);
  const bool good = error == std::errc() && end == text.data() + text.size() && weight >= 0 && weight <= 1e6;
  return good ? std::optional(Score{tuner::ScoreKind::kWeighted, weight}) : std::nullopt;
}

std::string now_utc() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

class Tune {
 public:
  explicit Tune(const TuneFlags& flags)
      : flags_(flags), out_(flags.output), scenario_(*tuner::parse_scenario(flags.scenario)) {}

  int run() {
    check_request();
    model_ = load_model_input(flags_.model, flags_.pixels);
    key_ = tuning_key(model_, flags_.exec, scenario_);
    key_.model.sha256 = tuner::hash_model(model_files(flags_.model));
    choose_record();
    load_images();
    try {
      search();
    } catch (Error& error) {
      if (error.kind() == ErrorKind::kInput && error.file().empty()) error.in_file(model_file(flags_.model));
      throw;
    }
    return 0;
  }

 private:
  void check_request() const {
    out_.check();
    if (!flags_.record.empty()) check_output(flags_.record);
    const bool rated = flags_.min_accuracy || flags_.score != "time";
    if (rated && flags_.data.empty())
      throw Error(ErrorKind::kUsage,
                  "--min-accuracy and --score weighted or pareto need labelled images: --data DATA");
  }

  /// Beside the model where a file can be made there, else in the cache folder.
  void choose_record() {
    record_ = flags_.record;
    if (!record_.empty()) return;
    record_ = record_beside(flags_.model);
    const std::filesystem::path folder = std::filesystem::path(record_).parent_path();
    if (access(folder.empty() ? "." : folder.c_str(), W_OK | X_OK) == 0) return;
    const std::string cached = tuner::cached_record(key_.model);
    if (cached.empty()) throw input_error("cannot write: name another file with -o").in_file(record_);
    record_ = cached;
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(record_).parent_path(), error);
    check_output(record_);
  }

  void load_images() {
    const int64_t bytes = model_.image_bytes();
    if (flags_.images > kMostGivenBytes / bytes)
      throw Error(ErrorKind::kUsage,
                  fmt::format("--images: {} images of {} bytes exceed the limit of {} bytes", flags_.images,
                              bytes, kMostGivenBytes));
    work_.image_bytes = bytes;
    work_.n_images =
        flags_.images > 0 ? flags_.images : std::clamp<int64_t>(kMostImageBytes / bytes, 1, kMostImages);
    if (!flags_.data.empty()) {
      images_.emplace(flags_.data, model_, Split::kAuto, !flags_.no_verify);
      work_.labelled = images_->data();
      work_.labels = images_->labels();
      work_.exec.pixels = images_->pixels();
    } else {
      work_.exec.pixels = model_.pixel_map(model_.preprocess.bgr);
    }
    if (images_ && images_->size() >= work_.n_images) {
      work_.images = images_->data();
      return;
    }
    synthetic_.resize(static_cast<size_t>(work_.n_images * bytes));
    synthetic_images(0, work_.n_images, model_.preprocess.height, model_.preprocess.width, model_.channels,
                     synthetic_.data());
    work_.images = synthetic_.data();
  }

  /// The budget is not part of it: a search may be continued with more.
  Json identity() const {
    Json json{{"model", key_.model.sha256}, {"cpu", key_.cpu}, {"isa", key_.isa}};
    json["threads"] = key_.threads;
    json["scenario"] = key_.scenario;
    json["fusion"] = key_.fusion;
    json["isa_option"] = key_.isa_option;
    json["input"] = key_.input;
    json["space"] = key_.space;
    json["search"] = flags_.search;
    json["images"] = flags_.images;
    json["precisions"] = flags_.precisions;
    json["score"] = flags_.score;
    json["min_accuracy"] = flags_.min_accuracy.value_or(0);
    json["data"] = flags_.data;
    json["xdn"] = XDN_VERSION;
    return json;
  }

  std::string journal_folder(const Json& identity) const {
    const std::string text = identity.dump(-1, ' ', false, Json::error_handler_t::replace);
    const std::string digest = sha256_hex(text.data(), text.size()).substr(0, kDigestShown);
    const std::string cache = tuner::tuning_cache_folder();
    return cache.empty() ? record_ + ".run/" + digest : cache + "/runs/" + digest;
  }

  tuner::TuneOptions tune_options() const {
    tuner::TuneOptions options;
    options.search = flags_.search == "grid" ? tuner::SearchKind::kGrid : tuner::SearchKind::kHalving;
    options.budget = flags_.budget > 0         ? flags_.budget
                     : flags_.search == "grid" ? kGridBudget
                                               : kHalvingBudget;
    options.threads = key_.threads;
    if (!flags_.precisions.empty()) options.precisions.clear();
    for (const std::string& name : flags_.precisions) {
      ExecFlags one;
      one.precision = name == "file" ? "" : name;
      options.precisions.push_back(one.options().precision);
    }
    options.images = flags_.images;
    const Score score = *parse_score(flags_.score);
    options.score = score.kind;
    options.weight = score.weight;
    options.min_accuracy = flags_.min_accuracy;
    options.trial_seconds = flags_.trial_timeout;
    return options;
  }

  void search() {
    const ExecOptions exec = flags_.exec.options();
    work_.graph = &model_.graph;
    work_.scenario = scenario_;
    work_.exec.isa = exec.isa;
    work_.exec.fusion = exec.fusion;
    work_.exec.threads = exec.threads;
    const Json who = identity();
    tuner::Journal journal(journal_folder(who), who, flags_.resume);
    if (journal.resumed() > 0)
      out_.print("continuing a search: {} trials are done; --no-resume begins anew\n", journal.resumed());
    log_info(fmt::format("journal {}", printable(journal.path())));
    const Interrupts interrupts;
    tuner::TuneOptions options = tune_options();
    options.stopped = [] { return interrupted.load(); };
    // The child is forked from a process of one thread.
    std::optional<Progress> progress;
    options.before_fork = [&] { progress.reset(); };
    options.progress = [&](double share, const std::string& note) {
      if (!progress) progress.emplace("tune", kProgressSteps);
      progress->done() = static_cast<int64_t>(share * static_cast<double>(kProgressSteps));
      progress->note(note);
    };
    const tuner::TuneResult result = tuner::tune(work_, options, journal);
    progress.reset();
    if (result.slice_images == 0) return out_.print("stopped before anything was measured\n");
    write_record(result);
    const bool stopped = interrupted.load();
    if (!stopped) journal.end();
    finish(result, stopped);
  }

  void write_record(const tuner::TuneResult& result) const {
    tuner::RecordEntry entry;
    entry.key = key_;
    entry.settings = result.best.settings;
    entry.defaults = result.kept_defaults;
    entry.speedup = result.speedup();
    entry.found = {{"date_utc", now_utc()},     {"xdn_version", XDN_VERSION},
                   {"search", flags_.search},   {"complete", result.complete},
                   {"seconds", result.seconds}, {"precision", result.precision}};
    Json json = tuning_json(result, scenario_);
    for (const char* name : {"best", "defaults", "front"}) {
      if (json.contains(name)) entry.found[name] = json[name];
    }
    tuner::write_record(record_, entry);
  }

  void finish(const tuner::TuneResult& result, bool stopped) const {
    print_tuning(out_, result, scenario_);
    if (stopped) out_.print("stopped: the best so far is kept, and the same command goes on from here\n");
    out_.print("record      {}\n", printable(record_));
    Json json{{"model", flags_.model},
              {"scenario", flags_.scenario},
              {"search", flags_.search},
              {"threads", key_.threads},
              {"isa", result.isa}};
    json.update(tuning_json(result, scenario_));
    json["record"] = record_;
    put_run_info(json, "tune");
    out_.finish(json);
  }

  const TuneFlags& flags_;
  const Output& out_;
  const tuner::Scenario scenario_;
  ModelInput model_;
  tuner::RecordKey key_;
  std::string record_;
  std::optional<ImageSet> images_;
  std::vector<uint8_t> synthetic_;
  tuner::Workload work_;
};

CLI::Validator score_check() {
  return CLI::Validator(
      [](std::string& text) -> std::string {
        if (parse_score(text)) return {};
        return fmt::format("expected time, pareto or weighted:W, not '{}'", printable(text));
      },
      "");
}

}  // namespace

Action add_tune(CLI::App& app) {
  const auto flags = std::make_shared<TuneFlags>();
  app.add_option("MODEL", flags->model, "The model")->required()->type_name("");
  add_choice(
      app, "--scenario", flags->scenario, {"offline", "single-stream"},
      "offline: throughput over a set; single-stream: the time in which 90 % of single images are done")
      ->capture_default_str();
  add_choice(app, "--search", flags->search, {"halving", "grid"},
             "halving: all settings briefly, the best ones longer; grid: all of them at length")
      ->capture_default_str();
  const auto seconds = [&](const char* name, double& value, const char* text) {
    app.add_option(name, value, text)->check(CLI::Range(1.0, 1e6))->type_name("SECONDS");
  };
  seconds("--budget", flags->budget, "Time for all of it; default: 80 for halving, 570 for grid");
  app.add_option("-o,--output", flags->record,
                 "The record; default: MODEL.tuning.json beside the model, else in the cache folder")
      ->type_name("FILE");
  app.add_option("--data", flags->data,
                 "Labelled images, to time on and for accuracies; default: synthetic ones")
      ->type_name("DATA");
  app.add_option("--images", flags->images,
                 "Images timed at once; default: as many as take about 0.12 s, and fill all tiles")
      ->check(whole_number(1))
      ->type_name("N");
  app.add_option("--precision", flags->precisions,
                 "Precisions that may be chosen, of file, fp32, bf16, int8; default: the file's own only")
      ->check(CLI::IsMember({"file", "fp32", "bf16", "int8"}))
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("P,P,...");
  app.add_option("--min-accuracy", flags->min_accuracy,
                 "Leave out precisions less accurate than this on --data")
      ->check(CLI::Range(0.0, 1.0))
      ->type_name("A");
  app.add_option(
         "--score", flags->score,
         "time: the fastest; weighted:W: time, each point of accuracy lost costing W times the defaults' "
         "time; pareto: time at every precision")
      ->check(score_check())
      ->type_name("time|weighted:W|pareto")
      ->capture_default_str();
  app.add_flag("--resume,!--no-resume", flags->resume, "Go on where the same search was ended; the default");
  seconds("--trial-timeout", flags->trial_timeout,
          "A trial that takes longer has failed; default: by the defaults' times, 10 s at least");
  app.add_flag("--no-verify", flags->no_verify, "Trust a pack's data without comparing their SHA-256");
  app.add_option("--threads", flags->exec.threads,
                 "Threads that settings may use; default: what the machine grants")
      ->check(whole_number(1, 1024))
      ->type_name("N")
      ->group("Execution");
  flags->exec.add_build_choices(app);
  flags->output.add_option(app);
  flags->pixels.add_options(app);
  return [flags] { return Tune(*flags).run(); };
}

}  // namespace xdn::cli
