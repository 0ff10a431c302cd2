#pragma once

#include <vector>

#include "base/tensor.h"

namespace xdn::pruning {

/// Axis `in` of a Reshape's input lies along axis `out` of its result. The smaller extent divides the larger:
/// an index of the smaller owns consecutive ones of the larger. Both may be the free batch.
struct AxisPair {
  size_t in, out;
};

/// What becomes of axes in a Reshape: [n, c, h, w] to [n, c h w] maps c; h and w are lost.
struct AxisMap {
  std::vector<AxisPair> pairs;
  std::vector<size_t> lost_in, lost_out;  ///< axes whose indices do not survive as such
};
AxisMap map_axes(const Dims& from, const Dims& to);

}  // namespace xdn::pruning
