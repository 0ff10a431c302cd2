#include <algorithm>
#include <numeric>

#include "executor/plan.h"

namespace xdn {

int64_t padded_row(int64_t channels) {
  const int64_t ld = (channels + 15) / 16 * 16;
  return ld % 512 == 0 ? ld + 16 : ld;
}

void plan_arena(Plan& plan) {
  std::vector<size_t> order(plan.buffers.size());
  std::iota(order.begin(), order.end(), size_t{0});
  // Large ones first, first fit: within a few percent of the lower bound on residual networks.
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return plan.buffers[a].floats(plan.tile) > plan.buffers[b].floats(plan.tile);
  });
  std::vector<size_t> placed;
  for (const size_t i : order) {
    Buffer& buffer = plan.buffers[i];
    // 64-byte steps, and one more line so that a kernel's vector at the last row's end stays inside.
    const auto extent = [&](const Buffer& b) { return (b.floats(plan.tile) + 16 + 15) / 16 * 16; };
    std::vector<const Buffer*> overlapping;
    for (const size_t j : placed) {
      const Buffer& other = plan.buffers[j];
      if (buffer.first_step <= other.last_step && other.first_step <= buffer.last_step)
        overlapping.push_back(&other);
    }
    std::sort(overlapping.begin(), overlapping.end(), [](auto* a, auto* b) { return a->offset < b->offset; });
    int64_t offset = 0;
    for (const Buffer* other : overlapping) {
      if (offset + extent(buffer) <= other->offset) break;
      offset = std::max(offset, other->offset + extent(*other));
    }
    buffer.offset = offset;
    plan.arena_floats = std::max(plan.arena_floats, offset + extent(buffer));
    placed.push_back(i);
  }
}

}  // namespace xdn
