#include <algorithm>
#include <numeric>

#include "executor/plan.h"

namespace xdn {

int64_t padded_row(int64_t channels, Elem elem) {
  constexpr int64_t kLine = 64, kAliasing = 2048;
  const int64_t ld = (channels + 15) / 16 * 16, bytes = kernels::elem_bytes(elem);
  return ld * bytes % kAliasing == 0 ? ld + kLine / bytes : ld;
}

namespace {

void find_lifetimes(Plan& plan) {
  for (Buffer& b : plan.buffers) b.first_step = b.last_step = -1;
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const auto touch = [&](BufferId id) {
      Buffer& b = plan.buffers[static_cast<size_t>(id)];
      if (b.first_step < 0) b.first_step = static_cast<int>(i);
      b.last_step = static_cast<int>(i);
    };
    std::for_each(plan.steps[i]->reads.begin(), plan.steps[i]->reads.end(), touch);
    std::for_each(plan.steps[i]->writes.begin(), plan.steps[i]->writes.end(), touch);
  }
  plan.buffers[static_cast<size_t>(plan.output)].last_step = static_cast<int>(plan.steps.size());
}

/// A residual sum in place of its residual: half the lines to hold in the caches.
void share_memory(Plan& plan) {
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const Step& step = *plan.steps[i];
    if (step.overwrites < 0 || step.writes.size() != 1) continue;
    const Buffer& from = plan.buffer(step.overwrites);
    Buffer& to = plan.buffers[static_cast<size_t>(step.writes[0])];
    const bool alike = from.elem == to.elem && from.height == to.height && from.width == to.width &&
                       from.ld == to.ld && from.image_stride == 0 && to.image_stride == 0;
    if (!alike || from.last_step != static_cast<int>(i) || to.first_step != static_cast<int>(i) ||
        std::count(step.reads.begin(), step.reads.end(), step.overwrites) != 1) {
      continue;
    }
    const int32_t owner = from.in_place_of < 0 ? step.overwrites : from.in_place_of;
    to.in_place_of = owner;
    Buffer& root = plan.buffers[static_cast<size_t>(owner)];
    root.last_step = std::max(root.last_step, to.last_step);
  }
}

}  // namespace

void plan_arena(Plan& plan) {
  find_lifetimes(plan);
  share_memory(plan);
  std::vector<size_t> order(plan.buffers.size());
  std::iota(order.begin(), order.end(), size_t{0});
  // Large ones first, first fit: within a few percent of the lower bound on residual networks.
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return plan.buffers[a].bytes(plan.tile) > plan.buffers[b].bytes(plan.tile);
  });
  std::vector<size_t> placed;
  for (const size_t i : order) {
    Buffer& buffer = plan.buffers[i];
    if (buffer.in_place_of >= 0) continue;
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
  for (Buffer& buffer : plan.buffers) {
    if (buffer.in_place_of >= 0) buffer.offset = plan.buffer(buffer.in_place_of).offset;
  }
}

}  // namespace xdn
