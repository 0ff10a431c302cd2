#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/model_input.h"
#include "cli/optimize_flags.h"

namespace xdn::cli {

/// What suits the widths of a model: --min-width, --unit and --trunk-unit, where they were not given.
struct Units {
  int64_t min_width = 0, inner = 0, trunk = 0;
};
Units units_of(const OptimizeFlags& flags, const Graph& graph);

/// The precision that layers will run in, once 8 bits are calibrated: "int8" where the processor multiplies
/// them, else "fp32".
std::string run_precision();

/// The steps to come, with what they are predicted to gain.
struct OptimizePlan {
  struct Row {
    optimize::Stage stage;
    std::string text;
    double gain = 1;  ///< times the speed; 1: none, or not predicted
  };
  int64_t macs = 0, parameters = 0;
  std::map<std::string, double> peaks;  ///< "f32", "bf16", "i8": multiply-accumulates per second
  std::vector<Row> rows;

  double total() const;
  /// The peak of 8 bits to that of what runs now, as peaks are named; 1 where it is no higher.
  double int8_gain(const std::string& from = "f32") const;
};

/// From multiply-accumulates, from peaks that are measured now (0.2 s), and from --latency-table, if it was
/// given. Input error where the table is another model's.
OptimizePlan make_optimize_plan(const OptimizeFlags& flags, const ModelInput& model);
void print_optimize_plan(const OptimizeFlags& flags, const OptimizePlan& plan);
nlohmann::ordered_json to_json(const OptimizePlan& plan);

}  // namespace xdn::cli
