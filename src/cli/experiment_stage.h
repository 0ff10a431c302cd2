#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cli/experiment_inputs.h"
#include "cli/experiment_tasks.h"
#include "experiment/rows.h"

namespace xdn::cli {

struct StageOptions {
  int64_t limit = 0;  ///< images of a pass; 0: all
  int threads = 2;
  int64_t tune_budget = 10;  ///< seconds for each tuned model
};

/// A MODEL, or why there is none.
struct StageModel {
  std::string spec = {}, missing = {};
};

/// What rows work on - a pack, models in other formats and precisions, tuning records - each made once, by a
/// verb, when it is first asked for.
class ExperimentStage {
 public:
  using Say = std::function<void(const std::string&)>;
  /// `say` hears what is being made; `note` what could not be.
  ExperimentStage(TaskRunner& tasks, const ExperimentInputs& inputs, StageOptions options, Say say, Say note);

  /// The command that measures the row; `missing` says why there is none, `tuned` that it has a record.
  struct RowTask {
    Task task = {};
    std::string missing = {};
    bool tuned = false;
  };
  RowTask row_task(const experiment::Row& row);
  /// A pass of ours that also tells whatever xdn eval can tell; `row` has a task.
  Task detail_task(const experiment::Row& row);

  /// Effective multiply-accumulates of an image; 0 where they are not known.
  double macs(experiment::ModelRole role);
  /// Commands that made what the rows need.
  const std::vector<std::string>& commands() const { return commands_; }
  /// "model", "fusion" and what xdn tune said, for each tuned model.
  const nlohmann::ordered_json& tunings() const { return tunings_; }
  bool has_verb(const std::string& verb);

 private:
  const StageModel& model(experiment::ModelRole role);
  const StageModel& onnx_model(experiment::ModelRole role);
  const std::string& pack();
  std::string tuning(experiment::ModelRole role, const std::string& fusion);
  StageModel made(const std::string& name, const StageModel& from, std::vector<std::string> words);
  RowTask own_task(const experiment::Row& row);
  RowTask peer_task(const experiment::Row& row);
  TaskResult make(const Task& task);
  const std::string& help(const std::string& verb);
  bool has_option(const std::string& verb, const std::string& option);

  TaskRunner& tasks_;
  const ExperimentInputs& inputs_;
  const StageOptions options_;
  const Say say_, note_;
  std::map<experiment::ModelRole, StageModel> models_, onnx_models_;
  std::map<std::pair<experiment::ModelRole, std::string>, std::string> records_;
  std::map<std::string, std::string> help_;
  std::string pack_;
  std::vector<std::string> commands_;
  nlohmann::ordered_json tunings_ = nlohmann::ordered_json::array();
};

/// MODEL's files, with the one that says how its images are made.
std::vector<std::string> files_with_preprocess(const std::string& model);

}  // namespace xdn::cli
