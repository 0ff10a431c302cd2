#include "pruning/plan.h"

#include <algorithm>

#include "base/error.h"
#include "pruning/blocks.h"

namespace xdn::pruning {
namespace {

/// "of 64 filters 40 stay: the least is worth 0.71, the best removed 0.7".
std::string reason_of(const Group& group, const Removal& removed, const std::vector<double>& scores) {
  std::optional<double> least_kept, best_removed;
  for (UnitId unit = group.first_unit; unit < group.end_unit(); ++unit) {
    if (scores.empty()) break;
    const double score = scores[static_cast<size_t>(unit)];
    if (removed[static_cast<size_t>(unit)]) {
      best_removed = std::max(best_removed.value_or(score), score);
    } else {
      least_kept = std::min(least_kept.value_or(score), score);
    }
  }
  const auto number = [](double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.4g", value);
    return std::string(text);
  };
  std::string out;
  if (best_removed) out = "removed are worth " + number(*best_removed) + " at most";
  if (least_kept) out += std::string(out.empty() ? "" : ", ") + "kept " + number(*least_kept) + " at least";
  return out;
}

std::string count_of(size_t n, const char* what) {
  return std::to_string(n) + " " + what + (n == 1 ? "" : "s");
}

}  // namespace

PlanStep plan_step(const Graph& graph, const Groups& groups, const Removal& removed,
                   const std::vector<double>& scores) {
  XDN_CHECK(removed.size() == static_cast<size_t>(groups.unit_count()));
  XDN_CHECK(scores.empty() || scores.size() == removed.size());
  PlanStep step;
  for (const Group& group : groups.groups) {
    PlannedGroup planned{producer_names(graph, group), group.filters, {}, reason_of(group, removed, scores)};
    for (int32_t u = 0; u < group.units; ++u) {
      if (!removed[static_cast<size_t>(group.first_unit + u)])
        planned.kept.push_back(group.filters[static_cast<size_t>(u)]);
    }
    step.groups.push_back(std::move(planned));
  }
  step.unprunable = groups.kept;
  return step;
}

Removal removal_of(const Graph& graph, const Groups& groups, const PlanStep& step) {
  Removal removed(static_cast<size_t>(groups.unit_count()), false);
  for (size_t g = 0; g < std::max(groups.groups.size(), step.groups.size()); ++g) {
    if (g >= groups.groups.size()) {
      throw input_error("the plan is for another model: it prunes this layer, the model has no more to prune")
          .in_layer(step.groups[g].layers[0]);
    }
    const Group& group = groups.groups[g];
    const std::vector<std::string> layers = producer_names(graph, group);
    if (g >= step.groups.size())
      throw input_error("the plan is for another model: it does not know this layer").in_layer(layers[0]);
    const PlannedGroup& planned = step.groups[g];
    if (planned.layers != layers) {
      const auto differ =
          std::mismatch(planned.layers.begin(), planned.layers.end(), layers.begin(), layers.end());
      const std::string name = differ.first != planned.layers.end() ? *differ.first : *differ.second;
      throw input_error("the plan is for another model: it couples this layer otherwise").in_layer(name);
    }
    if (planned.filters != group.filters) {
      throw input_error("the plan is for another model: it knows " +
                        count_of(planned.filters.size(), "filter") + " of this layer, the model has " +
                        count_of(group.filters.size(), "filter") + " there, or others")
          .in_layer(layers[0]);
    }
    for (int32_t u = 0; u < group.units; ++u) {
      const int32_t filter = group.filters[static_cast<size_t>(u)];
      removed[static_cast<size_t>(group.first_unit + u)] =
          !std::binary_search(planned.kept.begin(), planned.kept.end(), filter);
    }
  }
  return removed;
}

Graph apply_step(const Graph& graph, const PlanStep& step) {
  const Graph shallow = remove_named_blocks(graph, step.blocks);
  const Groups groups = find_groups(shallow, {step.keep.begin(), step.keep.end()});
  return remove_channels(shallow, groups, removal_of(shallow, groups, step));
}

Graph apply_plan(const Graph& graph, const Plan& plan) {
  Graph out = graph;
  for (const PlanStep& step : plan.steps) out = apply_step(out, step);
  return out;
}

}  // namespace xdn::pruning
