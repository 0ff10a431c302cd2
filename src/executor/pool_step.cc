#include <algorithm>

#include "executor/simple_steps.h"
#include "executor/unit_step.h"
#include "graph/window.h"

namespace xdn {

using kernels::KernelTable;

namespace {

constexpr int64_t kMostPoolTaps = 1024;

/// Positions of the window at output (y, x) that lie inside the input; returns how many.
int64_t window_positions(const Window& w, const Buffer& src, int64_t y, int64_t x, int64_t* positions) {
  int64_t count = 0;
  for (int64_t ky = 0; ky < w.kernel[0]; ++ky) {
    const int64_t sy = y * w.strides[0] - w.pads_begin[0] + ky * w.dilations[0];
    if (sy < 0 || sy >= src.height) continue;
    for (int64_t kx = 0; kx < w.kernel[1]; ++kx) {
      const int64_t sx = x * w.strides[1] - w.pads_begin[1] + kx * w.dilations[1];
      if (sx >= 0 && sx < src.width) positions[count++] = sy * src.width + sx;
    }
  }
  return count;
}

/// Elements of the window at output (y, x) that an average divides by when padding counts.
int64_t padded_count(const Window& w, const Buffer& src, int64_t y, int64_t x) {
  const auto along = [&](size_t axis, int64_t at, int64_t extent) {
    int64_t count = 0;
    for (int64_t k = 0; k < w.kernel[axis]; ++k) {
      count += at * w.strides[axis] - w.pads_begin[axis] + k * w.dilations[axis] < extent + w.pads_end[axis]
                   ? 1
                   : 0;
    }
    return count;
  };
  return along(0, y, src.height) * along(1, x, src.width);
}

bool every_window_reads(const Plan& plan, BufferId src, BufferId dst, const Window& window) {
  if (window.kernel.size() != 2 || window.kernel[0] * window.kernel[1] > kMostPoolTaps) return false;
  int64_t positions[kMostPoolTaps];
  const Buffer& out = plan.buffer(dst);
  for (int64_t p = 0; p < out.positions(); ++p) {
    if (window_positions(window, plan.buffer(src), p / out.width, p % out.width, positions) == 0)
      return false;
  }
  return true;
}

/// What `average` is told for a sum of `count` elements that is divided by `area`.
struct Factors {
  float scale, shift;
};
Factors factors_of(const AverageScales& s, int64_t count, int64_t area) {
  const double scale =
      static_cast<double>(s.src.scale) / (static_cast<double>(area) * static_cast<double>(s.dst.scale));
  const double shift =
      static_cast<double>(s.dst.zero) - static_cast<double>(s.src.zero) * static_cast<double>(count) * scale;
  return {static_cast<float>(scale), static_cast<float>(shift)};
}

}  // namespace

std::unique_ptr<Step> make_max_pool_step(const Plan& plan, BufferId src, BufferId dst, const PoolAttrs& attrs,
                                         const KernelTable& table) {
  if (!every_window_reads(plan, src, dst, attrs.window)) return nullptr;
  const BufferRef s{&plan, src}, d{&plan, dst};
  return std::make_unique<UnitStep>(
      with_bundle("max_pool", table), plan.buffer(dst).positions(), std::vector{src}, dst,
      [s, d, window = attrs.window, &table](const TileContext& context, int64_t first, int64_t last) {
        int64_t inside[kMostPoolTaps];
        const void* rows[kMostPoolTaps];
        for (int64_t p = first; p < last; ++p) {
          const int64_t count =
              window_positions(window, s.get(), p / d.get().width, p % d.get().width, inside);
          for (int64_t i = 0; i < count; ++i) rows[i] = s.at(context, inside[i]);
          table.maximum(d.get().elem, d.at(context, p), rows, count, context.n * s.get().ld);
        }
      });
}

std::unique_ptr<Step> make_average_pool_step(const Plan& plan, BufferId src, BufferId dst,
                                             const PoolAttrs& attrs, const AverageScales& scales,
                                             const KernelTable& table) {
  if (!every_window_reads(plan, src, dst, attrs.window)) return nullptr;
  const BufferRef s{&plan, src}, d{&plan, dst};
  return std::make_unique<UnitStep>(
      with_bundle("average_pool", table), plan.buffer(dst).positions(), std::vector{src}, dst,
      [s, d, attrs, scales, &table](const TileContext& context, int64_t first, int64_t last) {
        int64_t inside[kMostPoolTaps];
        const void* rows[kMostPoolTaps];
        for (int64_t p = first; p < last; ++p) {
          const int64_t y = p / d.get().width, x = p % d.get().width;
          const int64_t count = window_positions(attrs.window, s.get(), y, x, inside);
          const int64_t area = attrs.count_include_pad ? padded_count(attrs.window, s.get(), y, x) : count;
          const Factors f = factors_of(scales, count, area);
          for (int64_t image = 0; image < context.n; ++image) {
            for (int64_t i = 0; i < count; ++i) rows[i] = s.row<std::byte>(context, inside[i], image);
            table.average(s.get().elem, d.get().elem, d.row<std::byte>(context, p, image), rows, count,
                          f.scale, f.shift, s.get().channels);
          }
        }
      });
}

std::unique_ptr<Step> make_global_average(const Plan& plan, BufferId src, BufferId dst,
                                          const AverageScales& scales, const KernelTable& table) {
  const BufferRef s{&plan, src}, d{&plan, dst};
  const int64_t positions = plan.buffer(src).positions(), channels = plan.buffer(src).channels;
  const Factors f = factors_of(scales, positions, positions);
  // Threads share the channels in vectors of 16.
  constexpr int64_t kVector = 16;
  return std::make_unique<UnitStep>(
      with_bundle("global_average", table), (channels + kVector - 1) / kVector, std::vector{src}, dst,
      [s, d, positions, channels, f, &table](const TileContext& context, int64_t first, int64_t last) {
        const int64_t begin = first * kVector, length = std::min(last * kVector, channels) - begin;
        const int64_t from = begin * kernels::elem_bytes(s.get().elem),
                      to = begin * kernels::elem_bytes(d.get().elem);
        for (int64_t image = 0; image < context.n; ++image) {
          table.average_strided(s.get().elem, d.get().elem, d.row<std::byte>(context, 0, image) + to,
                                s.row<std::byte>(context, 0, image) + from, s.get().position_bytes(context.n),
                                positions, f.scale, f.shift, length);
        }
      });
}

}  // namespace xdn
