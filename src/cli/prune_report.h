#pragma once

#include <optional>
#include <string>

#include "cli/prune_flags.h"
#include "evaluator/judge.h"
#include "pruning/latency_table.h"
#include "pruning/plan.h"

namespace xdn::cli {

/// What xdn prune says while it works, and its JSON.
class PruneReport {
 public:
  explicit PruneReport(const PruneFlags& flags);

  /// The model as it was. The table, if any, predicts times; null without one.
  void begin(const Graph& model, const pruning::LatencyTable* table);
  /// "step 2: training"
  void stage(const std::string& what);
  /// What a step leaves: at a cost of `cost`, of `whole` before the first.
  void chosen(int step, const pruning::PlanStep& plan, double cost, double whole);
  void attempt(int number, const Verdict& verdict, double max_drop, bool accepted);
  void unreachable(int number, double cost, double whole);
  /// A step ended above its target.
  void missed() { reached_ = false; }
  void nothing_allowed(double max_drop);
  void verdict(const char* name, const Verdict& verdict);
  /// Images per second to those of the model as it was, both in fp32.
  void speed(double ratio);
  void finish(const Graph& pruned, const pruning::LatencyTable* table, const std::string& written);

  /// "0.412 ms (32.1 %)" or "17.2 M multiply-accumulates (25.8 %)"
  std::string cost_text(double cost, double whole) const;

 private:
  struct Size {
    int64_t parameters = 0, macs = 0, macs_effective = 0;
    double milliseconds = 0;  ///< predicted per image; 0: there is no table
  };
  static Size size_of(const Graph& graph, const pruning::LatencyTable* table);
  static nlohmann::ordered_json json_of(const Size& size);

  const PruneFlags& flags_;
  const Output& out_;
  Size before_;
  bool reached_ = true;
  nlohmann::ordered_json json_, steps_ = nlohmann::ordered_json::array(),
                                attempts_ = nlohmann::ordered_json::array();
};

}  // namespace xdn::cli
