#include "pruning/axis_map.h"

#include <algorithm>

namespace xdn::pruning {
namespace {

/// Axes [first, last) with more than one index.
std::vector<size_t> wide_axes(const Dims& dims, size_t first, size_t last) {
  std::vector<size_t> out;
  for (size_t axis = first; axis < last; ++axis) {
    if (dims[axis] != 1) out.push_back(axis);
  }
  return out;
}

/// Axes of equal products, split no further.
void map_segment(AxisMap& map, const std::vector<size_t>& in, const std::vector<size_t>& out) {
  if (in.empty()) return;
  const bool clear = in.size() == 1 || out.size() == 1;
  if (clear) map.pairs.push_back({in[0], out[0]});
  map.lost_in.insert(map.lost_in.end(), in.begin() + (clear ? 1 : 0), in.end());
  map.lost_out.insert(map.lost_out.end(), out.begin() + (clear ? 1 : 0), out.end());
}

}  // namespace

AxisMap map_axes(const Dims& from, const Dims& to) {
  AxisMap map;
  const auto lose_from = [&](size_t i, size_t j) {
    for (; i < from.size(); ++i) map.lost_in.push_back(i);
    for (; j < to.size(); ++j) map.lost_out.push_back(j);
    return map;
  };
  const auto is_empty = [](const Dims& dims) { return std::count(dims.begin(), dims.end(), 0) != 0; };
  if (is_empty(from) || is_empty(to)) return lose_from(0, 0);

  size_t i = 0, j = 0;
  while (i < from.size() || j < to.size()) {
    if (i < from.size() && from[i] == 1) {
      ++i;
    } else if (j < to.size() && to[j] == 1) {
      ++j;
    } else if (i == from.size() || j == to.size() || (from[i] == kBatch) != (to[j] == kBatch)) {
      return lose_from(i, j);
    } else if (from[i] == kBatch) {
      map.pairs.push_back({i++, j++});
    } else {
      const size_t i0 = i, j0 = j;
      int64_t a = from[i++], b = to[j++];
      while (a != b) {
        const bool short_in = a < b;
        const Dims& dims = short_in ? from : to;
        size_t& next = short_in ? i : j;
        if (next == dims.size() || dims[next] == kBatch) return lose_from(i0, j0);
        (short_in ? a : b) *= dims[next++];
      }
      map_segment(map, wide_axes(from, i0, i), wide_axes(to, j0, j));
    }
  }
  return map;
}

}  // namespace xdn::pruning
