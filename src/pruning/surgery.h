#pragma once

#include <vector>

#include "pruning/groups.h"

namespace xdn::pruning {

/// Per unit, whether it goes.
using Removal = std::vector<bool>;

/// The graph without these units: constants sliced, groups of convolutions, pads, slices, indices and shapes
/// adjusted. Names and metadata stay. Throws an input error naming the layer that would keep no channel.
Graph remove_channels(const Graph& graph, const Groups& groups, const Removal& removed);

/// Elements of a constant that masking sets: those at `indices` of the axis.
struct MaskedAxis {
  ValueId value;
  size_t axis;
  std::vector<int64_t> indices;
  double fill;  ///< 0; where something is divided by it or raised to it, 1
};

/// What makes the whole graph compute what remove_channels' does while it keeps its shapes. Filters, biases,
/// and whatever else is per channel become zero, and so do the channels of all that is computed, except
/// behind an operator that makes something else of zero (Sigmoid, or Clip between 1 and 2): there the inputs
/// of the layers that read it are zeroed too. Elsewhere these stay, so that a masked filter can grow again.
std::vector<MaskedAxis> masked_axes(const Graph& graph, const Groups& groups, const Removal& removed);
Graph mask_channels(const Graph& graph, const Groups& groups, const Removal& removed);

}  // namespace xdn::pruning
