#pragma once

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "cli/output.h"
#include "evaluator/roofline.h"
#include "executor/executor.h"

namespace xdn::cli {

struct ProfileFlags {
  bool profile = false;
  int64_t top = 15;  ///< steps that the table shows; 0: all

  /// --profile, --profile-top N.
  void add_options(CLI::App& app);
};

/// A profiled run: what each step took, against what this machine allows.
class ProfileReport {
 public:
  /// `images` went through since the profile was started, in `seconds`, by runs of `batch`. Measures the
  /// peaks.
  ProfileReport(const Executor& executor, int64_t images, double seconds, int64_t batch);

  /// The `top` steps that took longest, and sums.
  void print(const Output& output, int64_t top) const;
  /// "layers", "peaks", "bandwidth_gb_s", "images"; "steps", "kinds", "total".
  nlohmann::ordered_json json() const;

 private:
  struct Cost {
    double seconds = 0;         ///< of all images
    double least_seconds = 0;   ///< that the MACs would take at their peak
    double memory_seconds = 0;  ///< of the steps that memory bounds
    int64_t macs = 0;           ///< per image
    int64_t steps = 0;
  };
  struct Row {
    StepReport step;
    RooflinePoint point;
    Cost cost;
  };
  double share(double seconds) const { return total_.seconds > 0 ? seconds / total_.seconds : 0; }
  /// ms per image, share of the steps' time, GMAC/s, share of the peak.
  std::string columns(const Cost& cost) const;
  nlohmann::ordered_json cost_json(const Cost& cost) const;
  nlohmann::ordered_json layer_json(const Row& row) const;
  void print_steps(const Output& output, int64_t top) const;
  void print_kinds(const Output& output) const;
  void print_peaks(const Output& output) const;

  Peaks peaks_;
  std::vector<Row> rows_;  ///< by step
  std::vector<std::pair<std::string, Cost>> kinds_;
  Cost total_;
  int64_t images_;
  double seconds_;
  int threads_;
};

}  // namespace xdn::cli
