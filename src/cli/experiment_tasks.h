#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "experiment/journal.h"

namespace xdn::cli {

/// A command of an experiment. Equal name, words, inputs, program and machine: equal result, so that it need
/// not run again.
struct Task {
  std::string name = {};  ///< for people, and to tell equal commands apart that are run for different ends
  std::vector<std::string> words = {};  ///< without --json, which is added; the first is a verb, or a program
  std::vector<std::string> extra =
      {};  ///< further words, which do not decide whether a result can be taken over
  std::vector<std::string> inputs = {};   ///< files whose content decides the result
  std::vector<std::string> outputs = {};  ///< files that must still be there for a result to count
  bool own = true;                        ///< the first word is a verb of ours
  bool json = true;                       ///< understands --json FILE
  bool whole = false;  ///< keeps what grows with classes and layers, too: matrices, samples, tables
  double most_seconds = 900;
};

struct TaskResult {
  bool done = false;
  bool fresh = false;       ///< it ran now
  std::string reason = {};  ///< why not
  int code = 0;
  double wall = 0;
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
};

/// Runs tasks as child processes, and keeps what came of them in a journal.
class TaskRunner {
 public:
  /// In `dir`, which exists.
  explicit TaskRunner(std::string dir);

  /// The `nth` result of the task: out of the journal where it has as many, else by running it.
  TaskResult perform(const Task& task, size_t nth = 0);
  /// Runs it, whatever the journal has, and keeps nothing.
  TaskResult start(const Task& task) const;
  /// How many results the journal has.
  size_t known(const Task& task);
  /// Seconds that a task of that name took, on average; 0 where none did.
  double typical_wall(const std::string& name) const;

  /// As a user types it.
  static std::string command(const Task& task);
  const std::string& dir() const { return dir_; }
  std::string in_dir(const std::string& name) const;
  const experiment::Journal& journal() const { return journal_; }
  /// This start of the program, as the journal calls it.
  const std::string& run() const { return run_; }
  /// Starts of the program whose results have been used.
  size_t runs_used() const { return used_.size(); }

 private:
  std::string key(const Task& task);
  const std::string& digest(const std::string& file);

  std::string dir_, program_, run_;
  experiment::Journal journal_;
  std::map<std::string, std::string> digests_;
  std::map<std::string, int> used_;
};

}  // namespace xdn::cli
