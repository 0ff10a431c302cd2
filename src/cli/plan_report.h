#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "cli/output.h"
#include "executor/executor.h"

namespace xdn::cli {

/// Prints the plan: a line per step with its kernel, bytes and MACs, below it the candidates refused; then
/// settings, arena, and the instruction sets missing here.
void print_plan(const Output& output, const Executor& executor);
/// Adds "kernels" (an object per step), "arena_bytes" and "isas_missing".
void put_plan(nlohmann::ordered_json& json, const Executor& executor);

/// A profiled run: what each step took, against what this machine's registers allow.
struct PlanProfile {
  /// `images` went through since the profile was started, in `seconds`. Measures the peaks.
  PlanProfile(const Executor& executor, int64_t images, double seconds);

  void print(const Output& output) const;
  /// "steps", "kinds", "total", "peaks".
  nlohmann::ordered_json json() const;

 private:
  struct Cost {
    double seconds = 0;        ///< of all images
    double least_seconds = 0;  ///< that the MACs would take at their peak
    int64_t macs = 0;          ///< per image
    int64_t steps = 0;
  };
  Cost cost_of(const StepReport& step) const;
  /// ms per image, share of the steps' time, GMAC/s, share of the peak.
  std::string columns(const Cost& cost) const;
  nlohmann::ordered_json cost_json(const Cost& cost) const;

  std::vector<StepReport> steps_;
  std::map<std::string, double> peaks_;  ///< MACs per second, by arithmetic
  std::vector<std::pair<std::string, Cost>> kinds_;
  Cost total_;
  int64_t images_;
  double seconds_;
  int threads_;
};

}  // namespace xdn::cli
