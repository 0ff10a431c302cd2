#include "cli/experiment_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>

#include "base/atomic_file.h"
#include "base/cpu.h"
#include "base/error.h"
#include "base/file_lock.h"
#include "cli/process.h"
#include "cli/run_info.h"
#include "experiment/markdown.h"
#include "experiment/statistics.h"

namespace xdn::cli {
namespace {

namespace fs = std::filesystem;
using experiment::Engine;
using experiment::Group;
using experiment::Row;
using experiment::RowResult;
using Json = nlohmann::ordered_json;

constexpr int64_t kQuickImages = 1000, kQuickTuneSeconds = 1;
constexpr const char* kAaName = "A/A";
constexpr size_t kAaBlocks = 3;  ///< in each round, so that all of its passes share the rows' weather
constexpr int kPeerAbsent = 3;   ///< exit code of bench/peers/pass.mjs
constexpr std::array<std::string_view, 2> kDetailedRows{"Original", "best"};

struct Pass {
  double seconds = 0;
  int64_t images = 0, correct = 0;
};

/// Nothing where the result, which may come from a file, is not that of a pass.
std::optional<Pass> pass_of(const Json& json) {
  const auto number = [&](const char* field) {
    const auto at = json.find(field);
    return at != json.end() && at->is_number() ? at->get<double>() : -1.0;
  };
  const double seconds = number("seconds_total"), images = number("images"), correct = number("correct");
  if (!(seconds > 0) || !(images >= 1) || !(correct >= 0) || !(correct <= images) || !(images < 1e15))
    return std::nullopt;
  return Pass{seconds, static_cast<int64_t>(images), static_cast<int64_t>(correct)};
}

std::string settings_of(const Json& json, Engine engine) {
  const auto text = [&](const char* field) {
    const auto at = json.find(field);
    if (at == json.end()) return std::string("?");
    return at->is_string() ? printable(at->get<std::string>()) : at->dump();
  };
  if (engine != Engine::kXdn) return fmt::format("{}, batches of {}", text("about"), text("batch"));
  return fmt::format("{} on {}, {} x {} threads (data x model), tiles of {}", text("precision"), text("isa"),
                     text("data_parallel"), text("model_parallel"), text("batch_tile"));
}

void make_folder(const std::string& dir) {
  std::error_code error;
  fs::create_directories(dir, error);
  if (!fs::is_directory(dir, error)) throw input_error("is no folder, and cannot become one").in_file(dir);
}

}  // namespace

ExperimentRun::ExperimentRun(ExperimentFlags flags) : flags_(std::move(flags)) {
  if (!flags_.quick) return;
  flags_.repeats = 1;
  flags_.limit = flags_.limit > 0 ? std::min(flags_.limit, kQuickImages) : kQuickImages;
  flags_.tune_budget = kQuickTuneSeconds;
}

void ExperimentRun::say(const std::string& line) const { (void)std::fputs((line + "\n").c_str(), stderr); }

void ExperimentRun::note(const std::string& text) {
  say(text);
  experiment_.notes.push_back(text);
}

int ExperimentRun::run() {
  flags_.output.check();
  flags_.inputs.find();
  make_folder(flags_.dir);
  const FileLock lock((fs::path(flags_.dir) / "experiment.lock").string());
  if (!lock.held()) throw input_error("another xdn experiment is at work there").in_file(flags_.dir);
  tasks_ = std::make_unique<TaskRunner>(flags_.dir);
  if (const size_t damaged = tasks_->journal().damaged(); damaged > 0) {
    note(fmt::format("experiment.journal.jsonl: {} line{} could not be read and count for nothing.", damaged,
                     damaged == 1 ? "" : "s"));
  }
  say(fmt::format("measuring into {}; after Ctrl-C the same command goes on where it was",
                  printable(flags_.dir)));
  stage_ = std::make_unique<ExperimentStage>(
      *tasks_, flags_.inputs,
      StageOptions{.limit = flags_.limit, .threads = flags_.threads, .tune_budget = flags_.tune_budget},
      [this](const std::string& line) { say(line); }, [this](const std::string& text) { note(text); });

  experiment_.environment = environment_json();
  experiment_.title = fmt::format("The 2019 experiment, repeated on {}", printable(cpu_model()));
  prepare_rows();
  measure();
  measure_details();
  if (tasks_->runs_used() > 1) {
    note(fmt::format(
        "These figures were measured in {} starts of the program: rows of different starts did not "
        "take turns.",
        tasks_->runs_used()));
  }
  write();
  flags_.output.print("{}", experiment::markdown(json_, false));
  flags_.output.print("wrote {} and {}\n", printable(tasks_->in_dir("experiment.json")),
                      printable(tasks_->in_dir("experiment.md")));
  write_report();
  put_run_info(json_, "experiment");
  flags_.output.finish(json_);
  const RowResult* original = experiment_.find(experiment::kOriginalRow);
  if (original == nullptr || original->measured()) return kDone;
  return report(fmt::format("row Original was not measured: {}", original->missing), kFailed);
}

void ExperimentRun::prepare_rows() {
  const auto wanted = [&](const Row& row) {
    return flags_.rows.empty() ||
           std::find(flags_.rows.begin(), flags_.rows.end(), row.name) != flags_.rows.end();
  };
  for (const Row& row : experiment::rows()) {
    if (wanted(row)) experiment_.rows.push_back({.row = &row});
  }
  for (RowResult& result : experiment_.rows) {
    auto [task, missing, tuned] = stage_->row_task(*result.row);
    result.tuned = tuned;
    if (missing.empty()) {
      result.macs = stage_->macs(result.row->model);
      if (result.row->engine == Engine::kXdn) {
        aa_task_ = task;
        aa_task_->name = kAaName;
      }
      slots_.push_back({&result, std::move(task)});
    } else {
      result.missing = missing;
      note(fmt::format("{}: {}", result.row->name, missing));
    }
  }
  if (!stage_->has_verb("tune"))
    note("This program has no xdn tune: rows that would be tuned ran with default settings.");
  if (flags_.limit > 0) {
    note(fmt::format("Only the first {} images were run: accuracies are not those of the whole test set.",
                     flags_.limit));
  }
}

double ExperimentRun::seconds_of(const std::string& name) const {
  if (const double known = tasks_->typical_wall(name); known > 0) return known;
  double sum = 0;
  int count = 0;
  for (const Slot& slot : slots_) {
    const double wall = tasks_->typical_wall(slot.task.name);
    sum += wall;
    count += wall > 0 ? 1 : 0;
  }
  return count == 0 ? 0 : sum / count;
}

double ExperimentRun::seconds_of_round(size_t round) {
  double seconds = 0;
  for (const Slot& slot : slots_) {
    if (tasks_->known(slot.task) <= round) seconds += seconds_of(slot.task.name);
  }
  if (aa_task_) {
    const size_t wanted = (round + 1) * kAaBlocks * experiment::kAaBlock;
    const size_t missing = wanted - std::min(wanted, tasks_->known(*aa_task_));
    seconds += static_cast<double>(std::min(missing, kAaBlocks * experiment::kAaBlock)) * seconds_of(kAaName);
  }
  return seconds;
}

void ExperimentRun::measure() {
  const auto repeats = static_cast<size_t>(flags_.repeats);
  passes_ = repeats * (slots_.size() + (aa_task_ ? kAaBlocks * experiment::kAaBlock : 0));
  for (size_t round = 0; round < repeats; ++round) {
    const double limit = 60 * static_cast<double>(flags_.minutes);
    if (round > 0 && watch_.seconds() + seconds_of_round(round) > limit) {
      note(fmt::format("{} of {} rounds: another would have ended after {} minutes (--minutes).", round,
                       repeats, flags_.minutes));
      break;
    }
    measure_round(round);
    measure_aa(round);
    experiment_.repeats = static_cast<int>(round) + 1;
    write();
  }
}

void ExperimentRun::measure_round(size_t round) {
  for (Slot& slot : slots_) {
    if (!slot.result->missing.empty()) continue;
    const TaskResult result = tasks_->perform(slot.task, round);
    ++passes_done_;
    if (!take(slot, result)) continue;
    if (!result.fresh) continue;
    say_progress(fmt::format("{}: {:.0f} ms, accuracy {:.4f}", slot.task.name,
                             slot.result->seconds.back() * 1e3, slot.result->accuracy()));
  }
}

bool ExperimentRun::take(Slot& slot, const TaskResult& result) {
  RowResult& row = *slot.result;
  if (!result.done) {
    const bool absent = result.code == kPeerAbsent && !slot.task.own;
    drop(slot, fmt::format("{}{}", absent ? "peer absent: " : "", result.reason));
    return false;
  }
  const std::optional<Pass> pass = pass_of(result.json);
  if (!pass) {
    drop(slot, "told no time, images and hits");
    return false;
  }
  if (row.measured() && (row.correct != pass->correct || row.images != pass->images))
    note(fmt::format("{}: {} of {} right, and {} of {} before.", slot.task.name, pass->correct, pass->images,
                     row.correct, row.images));
  row.seconds.push_back(pass->seconds);
  row.images = pass->images;
  row.correct = pass->correct;
  row.settings = settings_of(result.json, row.row->engine);
  experiment_.images = std::max(experiment_.images, pass->images);
  // Peers choose their batch once.
  if (const auto batch = result.json.find("batch"); !slot.task.own && batch != result.json.end())
    slot.task.extra = {"--batches", batch->dump()};
  row.command = TaskRunner::command(slot.task);
  return true;
}

void ExperimentRun::drop(Slot& slot, const std::string& reason) {
  slot.result->missing = reason;
  note(fmt::format("{}: {}", slot.task.name, reason));
}

void ExperimentRun::measure_aa(size_t round) {
  if (!aa_task_) return;
  const size_t count = kAaBlocks * experiment::kAaBlock;
  for (size_t i = round * count; i < (round + 1) * count; ++i) {
    const TaskResult result = tasks_->perform(*aa_task_, i);
    const std::optional<Pass> pass = result.done ? pass_of(result.json) : std::nullopt;
    ++passes_done_;
    if (!pass) {
      note(fmt::format("A/A check: {}", result.done ? "told no time" : result.reason));
      aa_task_.reset();
      return;
    }
    experiment_.aa_seconds.push_back(pass->seconds);
    if (result.fresh && (i + 1) % experiment::kAaBlock == 0)
      say_progress(fmt::format("A/A check: {:.0f} ms", pass->seconds * 1e3));
  }
}

void ExperimentRun::say_progress(const std::string& what) const {
  double seconds = 0;
  size_t known = 0;
  for (const Slot& slot : slots_) {
    seconds += seconds_of(slot.task.name);
    ++known;
  }
  if (aa_task_) {
    const size_t count = kAaBlocks * experiment::kAaBlock;
    seconds += static_cast<double>(count) * seconds_of(kAaName);
    known += count;
  }
  const double each = known == 0 ? 0 : seconds / static_cast<double>(known);
  const double left = each * static_cast<double>(passes_ - std::min(passes_, passes_done_));
  say(fmt::format("[{}/{}] {}   about {} left", passes_done_, passes_, what, duration_text(left)));
}

void ExperimentRun::measure_details() {
  for (const Slot& slot : slots_) {
    const Row& row = *slot.result->row;
    if (!slot.result->measured() ||
        std::find(kDetailedRows.begin(), kDetailedRows.end(), row.name) == kDetailedRows.end()) {
      continue;
    }
    const Task task = stage_->detail_task(row);
    TaskResult result = tasks_->perform(task);
    if (!result.done) {
      note(fmt::format("{}: {}", task.name, result.reason));
      continue;
    }
    result.json["name"] = row.name;
    result.json["command"] = TaskRunner::command(task);
    experiment_.evals.push_back(std::move(result.json));
  }
}

void ExperimentRun::write() {
  std::vector<std::string>& commands = experiment_.commands;
  commands = stage_->commands();
  const auto add = [&](const std::string& command) {
    if (std::find(commands.begin(), commands.end(), command) == commands.end()) commands.push_back(command);
  };
  for (const RowResult& result : experiment_.rows) {
    if (result.measured()) add(result.command);
  }
  for (const Json& eval : experiment_.evals) add(eval["command"].get<std::string>());
  json_ = to_json(experiment_);
  json_["tunings"] = stage_->tunings();
  AtomicFile json(tasks_->in_dir("experiment.json"));
  json.write(json_.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
  json.commit();
  AtomicFile text(tasks_->in_dir("experiment.md"));
  text.write(experiment::markdown(json_, true));
  text.commit();
}

void ExperimentRun::write_report() {
  if (!stage_->has_verb("report")) {
    flags_.output.print("no report.html: this program has no xdn report\n");
    return;
  }
  const std::string page = tasks_->in_dir("report.html");
  const TaskResult result =
      tasks_->start({.name = "report", .words = {"report", flags_.dir, "-o", page}, .json = false});
  if (!result.done) {
    flags_.output.print("no report.html: {}\n", result.reason);
    return;
  }
  flags_.output.print("wrote {}\n", printable(page));
}

}  // namespace xdn::cli
