#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/experiment_inputs.h"
#include "cli/experiment_stage.h"
#include "cli/experiment_tasks.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "evaluator/resources.h"
#include "experiment/result.h"

namespace xdn::cli {

struct ExperimentFlags {
  std::string dir;
  ExperimentInputs inputs;
  std::vector<std::string> rows;
  int64_t repeats = 3, minutes = 15, tune_budget = 10, limit = 0;
  int threads = 2;
  bool quick = false;
  Output output;
};

/// xdn experiment: prepares, measures row by row in turn, and writes what came of it.
class ExperimentRun {
 public:
  explicit ExperimentRun(ExperimentFlags flags);
  /// Returns the exit code.
  int run();

 private:
  /// A row that can be measured.
  struct Slot {
    experiment::RowResult* result;
    Task task;
  };

  void say(const std::string& line) const;
  void note(const std::string& text);
  void prepare_rows();
  void measure();
  void measure_round(size_t round);
  void measure_aa(size_t round);
  void measure_details();
  /// Takes the pass into the row; false where it failed.
  bool take(Slot& slot, const TaskResult& result);
  void drop(Slot& slot, const std::string& reason);
  /// Says how far it is, and about how long the rest takes.
  void say_progress(const std::string& what) const;
  double seconds_of_round(size_t round);
  double seconds_of(const std::string& name) const;
  void write();
  void write_report();

  ExperimentFlags flags_;
  Stopwatch watch_;
  std::unique_ptr<TaskRunner> tasks_;
  std::unique_ptr<ExperimentStage> stage_;
  experiment::Experiment experiment_;
  std::vector<Slot> slots_;
  std::optional<Task> aa_task_;
  size_t passes_done_ = 0, passes_ = 0;
  nlohmann::ordered_json json_;
};

}  // namespace xdn::cli
