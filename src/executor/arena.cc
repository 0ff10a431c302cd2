#include <algorithm>
#include <numeric>

#include "executor/plan.h"

namespace xdn {

int64_t padded_row(int64_t channels, Elem elem) {
  constexpr int64_t kLine = 64, kAliasing = 2048;
  const int64_t ld = (channels + 15) / 16 * 16, bytes = kernels::elem_bytes(elem);
  return ld * bytes % kAliasing == 0 ? ld + kLine / bytes : ld;
}

void plan_arena(Plan& plan) {
  std::vector<size_t> order(plan.buffers.size());
  std::iota(order.begin(), order.end(), size_t{0});
  // Large ones first, first fit: within a few percent of the lower bound on residual networks.
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return plan.buffers[a].bytes(plan.tile) > plan.buffers[b].bytes(plan.tile);
  });
  std::vector<size_t> placed;
  for (const size_t i : order) {
    Buffer& buffer = plan.buffers[i];
    // Whole lines, and one more so that a kernel's vector at the last row's end stays inside.
    const auto extent = [&](const Buffer& b) { return (b.bytes(plan.tile) + 64 + 63) / 64 * 64; };
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
    plan.arena_bytes = std::max(plan.arena_bytes, offset + extent(buffer));
    placed.push_back(i);
  }
}

}  // namespace xdn
