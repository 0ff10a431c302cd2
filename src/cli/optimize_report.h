#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/optimize_flags.h"
#include "cli/optimize_measure.h"
#include "optimize/flow.h"

namespace xdn::cli {

/// "accuracy", "flips", "mcnemar_p", "speed" and so on, of a model beside the original.
nlohmann::ordered_json verdict_json(const Paired& paired);

/// What xdn optimize says while it works, and optimize.json.
class OptimizeReport {
 public:
  explicit OptimizeReport(const OptimizeFlags& flags) : flags_(flags) {}

  /// On a terminal: what goes on now.
  void begin(const std::string& name, const std::string& title) const;
  /// One line: accuracy and time before and after.
  void step(const optimize::Step& step);
  void note(const std::string& text);
  /// A result of xdn eval, for the page.
  void add_evaluation(nlohmann::ordered_json json) { evaluations_.push_back(std::move(json)); }

  /// optimize.json, as the report page reads it.
  nlohmann::ordered_json json(const optimize::Outcome& outcome, const nlohmann::ordered_json& plan) const;
  void write(const nlohmann::ordered_json& json) const;
  /// The last lines: what came of it, and the commands to use it.
  void finish(const optimize::Outcome& outcome, bool page) const;

 private:
  const OptimizeFlags& flags_;
  optimize::Measured before_;
  bool begun_ = false;
  std::vector<std::string> notes_;
  std::vector<nlohmann::ordered_json> evaluations_;
};

}  // namespace xdn::cli
