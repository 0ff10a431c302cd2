#pragma once

#include <set>
#include <span>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace xdn::pruning {

/// Channels that only leave a graph together: those that a sum, a depthwise convolution or a BatchNorm
/// couples.
using UnitId = int32_t;
inline constexpr UnitId kNoUnit = -1;  ///< of an index that always stays

/// One axis of a value where every unit of a group holds the same number of indices.
struct GroupAxis {
  ValueId value;
  size_t axis;
  int64_t per_unit;              ///< a channel owns h * w features behind a Flatten
  std::vector<int32_t> indices;  ///< those of unit u of the group stand in [u * per_unit, (u + 1) * per_unit)
};

/// A Conv, Gemm or MatMul and that axis of its weights, among Group::axes, which the group holds.
struct GroupLayer {
  NodeId node;
  size_t axis;
};

/// Units that touch the same axes of the same values, equally often. As many can go as one likes; what is
/// left of them has the group's structure.
struct Group {
  UnitId first_unit = 0;  ///< its units are consecutive
  int32_t units = 0;
  std::vector<GroupLayer> producers;  ///< whose filters are removed, in execution order; never empty
  std::vector<GroupLayer> consumers;  ///< whose inputs are removed
  std::vector<GroupAxis> axes;        ///< of constants and of what is computed
  /// Unit u is that of this filter of producers[0] (the first of several, for a convolution with groups).
  std::vector<int32_t> filters;
  /// Filters of several layers are summed, or joined in another way: a residual network's trunk. Depthwise
  /// and grouped convolutions, which pass on the channels of others, do not count.
  bool trunk = false;
  /// The same for groups that play the same part: operators, kernels and axes held, without names and widths.
  std::string role;

  UnitId end_unit() const { return first_unit + units; }
};

/// Channels that stay, and why.
struct Kept {
  std::vector<std::string> layers;  ///< whose filters they are; none for channels of a graph input
  int64_t channels = 0;             ///< coupled ones count once
  std::string at;                   ///< the layer where it shows; empty for graph inputs and outputs
  std::string reason;               ///< "Softmax normalises over its axis"
};

/// What can be removed from a graph. Ids are those of the graph that was analysed.
struct Groups {
  std::vector<Group> groups;  ///< in the order of their first producers, then of their first filters
  std::vector<Kept> kept;

  UnitId unit_count() const { return groups.empty() ? 0 : groups.back().end_unit(); }
  /// The group of a unit.
  const Group& group_of(UnitId unit) const;
  /// The unit of every index of the axis; empty where no unit has any.
  std::span<const UnitId> units_of(ValueId value, size_t axis) const;

  /// For units_of: per value, per axis.
  std::vector<std::vector<std::vector<UnitId>>> units;
};

/// Dependency analysis per channel. Shapes must be known. What an operator does not let go is kept and
/// reported, and so are the filters of the layers named in `keep`. Throws an input error where the graph is
/// quantized, or `keep` names no layer with weights.
///
/// The notion of a group is that of DepGraph (Fang et al., CVPR 2023); here it is found per index, so that
/// concatenations, cut and padded shortcuts and flattened maps need no cases of their own.
Groups find_groups(const Graph& graph, const std::set<std::string>& keep = {});

/// "conv1 + conv3", for messages.
std::string describe(const Graph& graph, const Group& group);
std::vector<std::string> producer_names(const Graph& graph, const Group& group);

}  // namespace xdn::pruning
