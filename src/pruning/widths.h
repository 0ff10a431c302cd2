#pragma once

#include <map>
#include <vector>

#include "pruning/groups.h"

namespace xdn::pruning {

/// The widths of all axes, and with them the multiply-accumulates, of a graph that loses units: what
/// graph_cost says of the graph that remove_channels builds, at the price of a few additions. The graph and
/// the groups must outlive it.
class Widths {
 public:
  Widths(const Graph& graph, const Groups& groups);

  /// Units that go, of groups.groups[group]; fewer than 0 return. Which ones makes no difference.
  void remove(size_t group, int64_t units);
  /// Whether every axis of the group would keep at least this many indices.
  bool can_remove(size_t group, int64_t units, int64_t least) const;

  int64_t width(ValueId value, size_t axis) const;
  int64_t remaining(size_t group) const { return remaining_[group]; }
  int64_t macs_effective() const { return macs_effective_; }
  /// Of one Conv, Gemm or MatMul.
  int64_t macs_effective(NodeId node) const;

 private:
  /// A layer whose weights lie along two axes: that many multiply-accumulates per pair.
  struct Layer {
    ValueId weights;
    int64_t macs_per_pair;
  };
  int64_t macs_of(const Layer& layer) const {
    return layer.macs_per_pair * width(layer.weights, 0) * width(layer.weights, 1);
  }

  const Graph& graph_;
  const Groups& groups_;
  std::map<NodeId, Layer> layers_;
  std::vector<std::vector<NodeId>> layers_of_group_;
  std::vector<std::vector<int64_t>> widths_;  ///< by value and axis; empty for values without units
  std::vector<int64_t> remaining_;
  int64_t macs_effective_ = 0;
};

}  // namespace xdn::pruning
