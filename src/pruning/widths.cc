#include "pruning/widths.h"

#include <algorithm>

#include "base/error.h"

namespace xdn::pruning {

Widths::Widths(const Graph& graph, const Groups& groups)
    : graph_(graph), groups_(groups), layers_of_group_(groups.groups.size()), widths_(graph.value_count()) {
  for (const Group& group : groups.groups) {
    remaining_.push_back(group.units);
    for (const GroupAxis& axis : group.axes)
      widths_[static_cast<size_t>(axis.value)] = graph.value(axis.value).shape;
  }
  std::map<ValueId, std::vector<NodeId>> readers;
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    const int64_t macs = node_cost(graph, node).macs_effective;
    macs_effective_ += macs;
    const bool weighted =
        node.type == OpType::kConv || node.type == OpType::kGemm || node.type == OpType::kMatMul;
    if (!weighted || !graph.is_constant(node.inputs[1])) continue;
    const Dims& w = graph.value(node.inputs[1]).shape;
    if (w.size() < 2 || w[0] * w[1] == 0) continue;
    layers_[id] = {node.inputs[1], macs / (w[0] * w[1])};
    readers[node.inputs[1]].push_back(id);
  }
  for (size_t g = 0; g < groups.groups.size(); ++g) {
    std::vector<NodeId>& nodes = layers_of_group_[g];
    for (const GroupAxis& axis : groups.groups[g].axes) {
      const auto found = readers.find(axis.value);
      if (found != readers.end()) nodes.insert(nodes.end(), found->second.begin(), found->second.end());
    }
    std::sort(nodes.begin(), nodes.end());
    nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  }
}

void Widths::remove(size_t group, int64_t units) {
  XDN_CHECK(units <= remaining_[group]);
  for (const NodeId node : layers_of_group_[group]) macs_effective_ -= macs_of(layers_.at(node));
  for (const GroupAxis& axis : groups_.groups[group].axes)
    widths_[static_cast<size_t>(axis.value)][axis.axis] -= units * axis.per_unit;
  for (const NodeId node : layers_of_group_[group]) macs_effective_ += macs_of(layers_.at(node));
  remaining_[group] -= units;
}

bool Widths::can_remove(size_t group, int64_t units, int64_t least) const {
  const std::vector<GroupAxis>& axes = groups_.groups[group].axes;
  return units <= remaining_[group] && std::all_of(axes.begin(), axes.end(), [&](const GroupAxis& axis) {
           return width(axis.value, axis.axis) - units * axis.per_unit >= least;
         });
}

int64_t Widths::width(ValueId value, size_t axis) const {
  const Dims& own = widths_[static_cast<size_t>(value)];
  return own.empty() ? graph_.value(value).shape[axis] : own[axis];
}

int64_t Widths::macs_effective(NodeId node) const {
  const auto found = layers_.find(node);
  return found == layers_.end() ? node_cost(graph_, graph_.node(node)).macs_effective
                                : macs_of(found->second);
}

}  // namespace xdn::pruning
