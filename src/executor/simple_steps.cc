#include "executor/simple_steps.h"

#include <algorithm>

#include "base/error.h"
#include "graph/window.h"

namespace xdn {

using kernels::BinaryKind;
using kernels::KernelTable;
using kernels::UnaryKind;

namespace {

/// A step made of a function of (context, first, last) over `units` units that threads share.
class UnitStep final : public Step {
 public:
  using Body = std::function<void(const TileContext&, int64_t first, int64_t last)>;
  UnitStep(std::string name, int64_t units, std::vector<BufferId> in, BufferId out, Body body)
      : units_(units), body_(std::move(body)) {
    kernel = std::move(name);
    reads = std::move(in);
    writes = {out};
  }
  void run(const TileContext& context) const override {
    const Share share = share_of(units_, context.part, context.parts);
    if (share.first < share.last) body_(context, share.first, share.last);
  }

 private:
  int64_t units_;
  Body body_;
};

const Buffer& at(const Plan& plan, BufferId id) { return plan.buffers[static_cast<size_t>(id)]; }

/// Buffers live in the plan, whose offsets are known only after planning: steps look them up when they run.
struct BufferRef {
  const std::vector<Buffer>* buffers;
  BufferId id;
  const Buffer& get() const { return (*buffers)[static_cast<size_t>(id)]; }
  float* row(const TileContext& context, int64_t position) const {
    return context.arena + get().offset + position * context.n * get().ld;
  }
};

std::string with_bundle(const char* name, const KernelTable& table) {
  return std::string(name) + " " + table.bundle;
}

}  // namespace

std::unique_ptr<Step> make_ingest_pixels(BufferId dst, const Plan& plan, PixelMap pixels) {
  const BufferRef d{&plan.buffers, dst};
  return std::make_unique<UnitStep>(
      "ingest u8", at(plan, dst).positions(), std::vector<BufferId>{}, dst,
      [d, pixels = std::move(pixels)](const TileContext& context, int64_t first, int64_t last) {
        const Buffer& b = d.get();
        for (int64_t p = first; p < last; ++p) {
          for (int64_t image = 0; image < context.n; ++image) {
            const uint8_t* src = context.pixels + (image * b.positions() + p) * b.channels;
            float* out = d.row(context, p) + image * b.ld;
            for (size_t c = 0; c < static_cast<size_t>(b.channels); ++c) {
              out[c] = static_cast<float>(src[pixels.source_channel[c]]) * pixels.scale[c] + pixels.shift[c];
            }
          }
        }
      });
}

std::unique_ptr<Step> make_ingest_floats(BufferId dst, const Plan& plan) {
  const BufferRef d{&plan.buffers, dst};
  return std::make_unique<UnitStep>("ingest f32", at(plan, dst).positions(), std::vector<BufferId>{}, dst,
                                    [d](const TileContext& context, int64_t first, int64_t last) {
                                      const Buffer& b = d.get();
                                      for (int64_t p = first; p < last; ++p) {
                                        for (int64_t image = 0; image < context.n; ++image) {
                                          const float* src =
                                              context.nchw + image * b.channels * b.positions() + p;
                                          float* out = d.row(context, p) + image * b.ld;
                                          for (int64_t c = 0; c < b.channels; ++c)
                                            out[c] = src[c * b.positions()];
                                        }
                                      }
                                    });
}

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

}  // namespace

std::unique_ptr<Step> make_pool_step(const Plan& plan, BufferId src, BufferId dst, const PoolAttrs& attrs,
                                     bool max, const KernelTable& table) {
  if (attrs.window.kernel.size() != 2 || attrs.window.kernel[0] * attrs.window.kernel[1] > kMostPoolTaps)
    return nullptr;
  const BufferRef s{&plan.buffers, src}, d{&plan.buffers, dst};
  int64_t positions[kMostPoolTaps];
  for (int64_t p = 0; p < at(plan, dst).positions(); ++p) {
    const int64_t width = at(plan, dst).width;
    if (window_positions(attrs.window, at(plan, src), p / width, p % width, positions) == 0) return nullptr;
  }
  return std::make_unique<UnitStep>(
      with_bundle(max ? "max_pool" : "average_pool", table), at(plan, dst).positions(), std::vector{src}, dst,
      [s, d, attrs, max, &table](const TileContext& context, int64_t first, int64_t last) {
        int64_t inside[kMostPoolTaps];
        const float* rows[kMostPoolTaps];
        for (int64_t p = first; p < last; ++p) {
          const int64_t y = p / d.get().width, x = p % d.get().width;
          const int64_t count = window_positions(attrs.window, s.get(), y, x, inside);
          for (int64_t i = 0; i < count; ++i) rows[i] = s.row(context, inside[i]);
          const int64_t length = context.n * s.get().ld;
          if (max) {
            table.maximum(d.row(context, p), rows, count, length);
          } else {
            const int64_t area = attrs.count_include_pad ? padded_count(attrs.window, s.get(), y, x) : count;
            table.average(d.row(context, p), rows, count, 1.0f / static_cast<float>(area), length);
          }
        }
      });
}

std::unique_ptr<Step> make_global_average(const Plan& plan, BufferId src, BufferId dst,
                                          const KernelTable& table) {
  const BufferRef s{&plan.buffers, src}, d{&plan.buffers, dst};
  const int64_t positions = at(plan, src).positions();
  // Threads share the row of one position in vectors of 16 floats, which the row length is a multiple of.
  return std::make_unique<UnitStep>(
      with_bundle("global_average", table), at(plan, src).ld / 16, std::vector{src}, dst,
      [s, d, positions, &table](const TileContext& context, int64_t first, int64_t last) {
        constexpr int64_t kAtOnce = 64;
        const float* rows[kAtOnce + 1];
        const float scale = 1.0f / static_cast<float>(positions);
        const int64_t begin = first * 16 * context.n, length = (last - first) * 16 * context.n;
        float* out = d.row(context, 0) + begin;
        for (int64_t p = 0; p < positions;) {
          int64_t count = 0;
          if (p > 0) rows[count++] = out;
          for (int64_t i = 0; i < kAtOnce && p < positions; ++i, ++p)
            rows[count++] = s.row(context, p) + begin;
          table.average(out, rows, count, p == positions ? scale : 1.0f, length);
        }
      });
}

std::unique_ptr<Step> make_unary_step(const Plan& plan, BufferId src, BufferId dst, UnaryKind kind, float a,
                                      float b, const KernelTable& table) {
  const BufferRef s{&plan.buffers, src}, d{&plan.buffers, dst};
  return std::make_unique<UnitStep>(
      with_bundle("unary", table), at(plan, dst).positions(), std::vector{src}, dst,
      [s, d, kind, a, b, &table](const TileContext& context, int64_t first, int64_t last) {
        table.unary(kind, a, b, d.row(context, first), s.row(context, first),
                    (last - first) * context.n * d.get().ld);
      });
}

std::unique_ptr<Step> make_binary_step(const Plan& plan, BufferId a, BufferId b, BufferId dst,
                                       BinaryKind kind, const KernelTable& table) {
  const BufferRef x{&plan.buffers, a}, y{&plan.buffers, b}, d{&plan.buffers, dst};
  return std::make_unique<UnitStep>(
      with_bundle("binary", table), at(plan, dst).positions(), std::vector{a, b}, dst,
      [x, y, d, kind, &table](const TileContext& context, int64_t first, int64_t last) {
        table.binary(kind, d.row(context, first), x.row(context, first), y.row(context, first),
                     (last - first) * context.n * d.get().ld);
      });
}

std::unique_ptr<Step> make_binary_channels_step(const Plan& plan, BufferId a, std::vector<float> b,
                                                bool swapped, BufferId dst, BinaryKind kind,
                                                const KernelTable& table) {
  const BufferRef x{&plan.buffers, a}, d{&plan.buffers, dst};
  if (b.size() == 1) b.assign(static_cast<size_t>(at(plan, dst).channels), b[0]);
  return std::make_unique<UnitStep>(
      with_bundle("binary_channels", table), at(plan, dst).positions(), std::vector{a}, dst,
      [x, d, b = std::move(b), swapped, kind, &table](const TileContext& context, int64_t first,
                                                      int64_t last) {
        table.binary_channels(kind, swapped, d.row(context, first), x.row(context, first), b.data(),
                              (last - first) * context.n, d.get().channels, d.get().ld);
      });
}

std::unique_ptr<Step> make_copy_step(const Plan& plan, const CopyBox& box) {
  const BufferRef s{&plan.buffers, box.src}, d{&plan.buffers, box.dst};
  return std::make_unique<UnitStep>(
      "copy", at(plan, box.dst).positions(), std::vector{box.src}, box.dst,
      [s, d, box](const TileContext& context, int64_t first, int64_t last) {
        for (int64_t p = first; p < last; ++p) {
          const int64_t y = p / d.get().width - box.into_h, x = p % d.get().width - box.into_w;
          const bool inside = y >= 0 && y < box.height && x >= 0 && x < box.width;
          for (int64_t image = 0; image < context.n; ++image) {
            float* out = d.row(context, p) + image * d.get().ld;
            if (box.has_fill) std::fill_n(out, d.get().channels, box.fill);
            if (!inside) continue;
            const int64_t from = (y * box.step_h + box.from_h) * s.get().width + x * box.step_w + box.from_w;
            std::copy_n(s.row(context, from) + image * s.get().ld + box.from_c, box.channels,
                        out + box.into_c);
          }
        }
      });
}

std::unique_ptr<Step> make_flatten_step(const Plan& plan, BufferId src, BufferId dst) {
  const BufferRef s{&plan.buffers, src}, d{&plan.buffers, dst};
  return std::make_unique<UnitStep>("flatten", at(plan, src).positions(), std::vector{src}, dst,
                                    [s, d](const TileContext& context, int64_t first, int64_t last) {
                                      for (int64_t p = first; p < last; ++p) {
                                        for (int64_t image = 0; image < context.n; ++image) {
                                          const float* in = s.row(context, p) + image * s.get().ld;
                                          float* out = d.row(context, 0) + image * d.get().ld + p;
                                          for (int64_t c = 0; c < s.get().channels; ++c)
                                            out[c * s.get().positions()] = in[c];
                                        }
                                      }
                                    });
}

std::unique_ptr<Step> make_unflatten_step(const Plan& plan, BufferId src, BufferId dst) {
  const BufferRef s{&plan.buffers, src}, d{&plan.buffers, dst};
  return std::make_unique<UnitStep>("unflatten", at(plan, dst).positions(), std::vector{src}, dst,
                                    [s, d](const TileContext& context, int64_t first, int64_t last) {
                                      for (int64_t p = first; p < last; ++p) {
                                        for (int64_t image = 0; image < context.n; ++image) {
                                          float* out = d.row(context, p) + image * d.get().ld;
                                          const float* in = s.row(context, 0) + image * s.get().ld + p;
                                          for (int64_t c = 0; c < d.get().channels; ++c)
                                            out[c] = in[c * d.get().positions()];
                                        }
                                      }
                                    });
}

}  // namespace xdn
