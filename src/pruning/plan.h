#pragma once

#include <string>
#include <vector>

#include "pruning/select.h"

namespace xdn::pruning {

/// What a plan says of one group. Indices count filters of layers[0].
struct PlannedGroup {
  std::vector<std::string> layers;  ///< whose filters go together
  std::vector<int32_t> filters;     ///< one per unit, as the group had them
  std::vector<int32_t> kept;        ///< those of `filters` that stay, ascending
  std::string reason;               ///< why not all, or why all; for readers only
};

/// One removal. It replays on any graph that has the same layers and widths, whatever its weights.
struct PlanStep {
  std::string method;  ///< "l2 mean mean global", for readers only
  uint64_t seed = 0;
  std::vector<std::string> keep;     ///< layers asked to be kept
  std::vector<std::string> blocks;   ///< sums whose residual branches go, before channels do
  std::vector<PlannedGroup> groups;  ///< all groups of the graph that is left
  std::vector<Kept> unprunable;      ///< for readers only
};

/// A readable file, one line per group.
struct Plan {
  std::vector<PlanStep> steps;  ///< each for the graph that the one before leaves
};

/// The step that removes these units. `groups` are those of `graph`, which has lost `blocks`; `scores`, if
/// any, become reasons.
PlanStep plan_step(const Graph& graph, const Groups& groups, const Removal& removed,
                   const std::vector<double>& scores = {});

/// Throws an input error naming the layer where the graph is not the plan's.
Removal removal_of(const Graph& graph, const Groups& groups, const PlanStep& step);
Graph apply_step(const Graph& graph, const PlanStep& step);
Graph apply_plan(const Graph& graph, const Plan& plan);

std::string to_json(const Plan& plan);
/// Throws an input error naming the field.
Plan parse_plan(const std::string& json);
/// By way of AtomicFile; errors name the file.
void write_plan(const Plan& plan, const std::string& path);
Plan read_plan(const std::string& path);

}  // namespace xdn::pruning
