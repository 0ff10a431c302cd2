#pragma once

#include <map>
#include <string>
#include <vector>

#include "tuner/trial.h"
#include "tuner/worker.h"

namespace xdn::tuner {

/// A trial in the journal.
Json trial_json(const Trial& trial);
Trial parse_trial(const Json& json);

/// Settings planned in the child process, and timed there in turn. The first settings added are the defaults,
/// the reference of all others. Plans stay in the child's memory while there is room, the ones used last
/// longest.
class TrialBench {
 public:
  TrialBench(const Workload& workload, WorkerOptions options, double trial_seconds);

  /// The number of these settings, the same for equal ones.
  size_t add(const Settings& settings);
  const Settings& settings(size_t id) const { return entries_[id].settings; }

  /// Plans, unless they are planned: see TrialServer.
  Reply plan(size_t id);
  /// What the latest plan() of these settings said.
  const Json& planned(size_t id) const { return entries_[id].plan; }
  /// Asks the child about planned settings, planning them again where they were given up.
  Reply ask(const char* op, size_t id, int64_t images);

  /// One Trial for each, `rounds` slices in turn behind one of the defaults. Throws a failure where the
  /// defaults fail. Empty where `stopped` says so.
  std::vector<Trial> measure(const std::vector<size_t>& ids, int rounds, double give_up, int64_t images);
  /// Profiled slices in turn; without rounds for what failed. Empty where `stopped` says so.
  std::vector<std::vector<std::vector<double>>> profile(const std::vector<size_t>& ids, int rounds,
                                                        int64_t images);
  /// Seconds that planning the defaults took, and one slice of them.
  double plan_seconds() const { return plan_seconds_; }

 private:
  struct Entry {
    Settings settings;
    Json plan;
    int64_t bytes = 0;
    uint64_t used = 0;
    int generation = -1;  ///< of the child that holds the plan
  };
  bool resident(const Entry& entry) const { return entry.generation == worker_.generation(); }
  void make_room(size_t id);
  double patience(bool planning) const;
  double time_defaults(int64_t images);
  bool stopped() const { return options_.stopped && options_.stopped(); }

  WorkerOptions options_;
  Worker worker_;
  const double trial_seconds_;
  int64_t room_;
  std::vector<Entry> entries_;
  std::map<std::string, size_t> ids_;
  uint64_t clock_ = 0;
  double plan_seconds_ = 0, slice_seconds_ = 0;
};

}  // namespace xdn::tuner
