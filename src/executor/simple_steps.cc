#include "executor/simple_steps.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "executor/unit_step.h"

namespace xdn {

using kernels::BinaryKind;
using kernels::KernelTable;
using kernels::UnaryKind;

std::unique_ptr<Step> make_unary_step(const Plan& plan, BufferId src, BufferId dst, UnaryKind kind, float a,
                                      float b, const KernelTable& table) {
  const BufferRef s{&plan, src}, d{&plan, dst};
  return std::make_unique<UnitStep>(
      with_bundle("unary", table), plan.buffer(dst).positions(), std::vector{src}, dst,
      [s, d, kind, a, b, &table](const TileContext& context, int64_t first, int64_t last) {
        table.unary(kind, a, b, d.row<float>(context, first), s.row<float>(context, first),
                    (last - first) * context.n * d.get().ld);
      });
}

std::unique_ptr<Step> make_lookup_step(const Plan& plan, BufferId src, BufferId dst,
                                       std::vector<uint8_t> levels) {
  const BufferRef s{&plan, src}, d{&plan, dst};
  return std::make_unique<UnitStep>(
      "lookup u8", plan.buffer(dst).positions(), std::vector{src}, dst,
      [s, d, levels = std::move(levels)](const TileContext& context, int64_t first, int64_t last) {
        const uint8_t* in = s.row<uint8_t>(context, first);
        uint8_t* out = d.row<uint8_t>(context, first);
        const int64_t length = (last - first) * context.n * d.get().ld;
        for (int64_t i = 0; i < length; ++i) out[i] = levels[in[i]];
      });
}

std::unique_ptr<Step> make_convert_step(const Plan& plan, BufferId src, BufferId dst, QuantScale quant,
                                        const KernelTable& table) {
  const BufferRef s{&plan, src}, d{&plan, dst};
  constexpr const char* kNames[] = {"f32", "bf16", "u8"};
  const std::string name = std::string("convert ") + kNames[static_cast<size_t>(plan.buffer(src).elem)] +
                           " to " + kNames[static_cast<size_t>(plan.buffer(dst).elem)];
  return std::make_unique<UnitStep>(
      with_bundle(name.c_str(), table), plan.buffer(dst).positions(), std::vector{src}, dst,
      [s, d, quant, &table](const TileContext& context, int64_t first, int64_t last) {
        for (int64_t p = first; p < last; ++p) {
          for (int64_t image = 0; image < context.n; ++image) {
            table.convert(d.get().elem, d.row<std::byte>(context, p, image), s.get().elem,
                          s.row<std::byte>(context, p, image), quant, d.get().channels);
          }
        }
      });
}

std::unique_ptr<Step> make_binary_step(const Plan& plan, BufferId a, BufferId b, BufferId dst,
                                       BinaryKind kind, const KernelTable& table) {
  const BufferRef x{&plan, a}, y{&plan, b}, d{&plan, dst};
  return std::make_unique<UnitStep>(
      with_bundle("binary", table), plan.buffer(dst).positions(), std::vector{a, b}, dst,
      [x, y, d, kind, &table](const TileContext& context, int64_t first, int64_t last) {
        table.binary(d.get().elem, kind, d.at(context, first), x.at(context, first), y.at(context, first),
                     (last - first) * context.n * d.get().ld);
      });
}

std::unique_ptr<Step> make_add_u8_step(const Plan& plan, BufferId a, BufferId b, BufferId dst,
                                       const QuantizedSum& sum, const KernelTable& table) {
  const BufferRef x{&plan, a}, y{&plan, b}, d{&plan, dst};
  return std::make_unique<UnitStep>(
      with_bundle("add_u8", table), plan.buffer(dst).positions(), std::vector{a, b}, dst,
      [x, y, d, sum, &table](const TileContext& context, int64_t first, int64_t last) {
        table.add_u8(d.row<uint8_t>(context, first), x.row<uint8_t>(context, first),
                     y.row<uint8_t>(context, first), sum.scale_a, sum.scale_b, sum.shift, sum.lo, sum.hi,
                     (last - first) * context.n * d.get().ld);
      });
}

std::unique_ptr<Step> make_binary_channels_step(const Plan& plan, BufferId a, std::vector<float> b,
                                                bool swapped, BufferId dst, BinaryKind kind,
                                                const KernelTable& table) {
  const BufferRef x{&plan, a}, d{&plan, dst};
  if (b.size() == 1) b.assign(static_cast<size_t>(plan.buffer(dst).channels), b[0]);
  return std::make_unique<UnitStep>(
      with_bundle("binary_channels", table), plan.buffer(dst).positions(), std::vector{a}, dst,
      [x, d, b = std::move(b), swapped, kind, &table](const TileContext& context, int64_t first,
                                                      int64_t last) {
        table.binary_channels(kind, swapped, d.row<float>(context, first), x.row<float>(context, first),
                              b.data(), (last - first) * context.n, d.get().channels, d.get().ld);
      });
}

std::unique_ptr<Step> make_gate_step(const Plan& plan, BufferId map, BufferId gate, bool swapped,
                                     BufferId dst, BinaryKind kind, const KernelTable& table) {
  const BufferRef x{&plan, map}, g{&plan, gate}, d{&plan, dst};
  return std::make_unique<UnitStep>(
      with_bundle("gate", table), plan.buffer(dst).positions(), std::vector{map, gate}, dst,
      [x, g, d, swapped, kind, &table](const TileContext& context, int64_t first, int64_t last) {
        const void* held = g.at(context, 0);
        for (int64_t p = first; p < last; ++p) {
          const void* row = x.at(context, p);
          table.binary(Elem::kF32, kind, d.at(context, p), swapped ? held : row, swapped ? row : held,
                       context.n * d.get().ld);
        }
      });
}

std::unique_ptr<Step> make_softmax_step(const Plan& plan, BufferId src, BufferId dst) {
  const BufferRef s{&plan, src}, d{&plan, dst};
  return std::make_unique<UnitStep>("softmax", plan.buffer(dst).positions(), std::vector{src}, dst,
                                    [s, d](const TileContext& context, int64_t first, int64_t last) {
                                      const int64_t channels = d.get().channels;
                                      for (int64_t p = first; p < last; ++p) {
                                        for (int64_t image = 0; image < context.n; ++image) {
                                          const float* in = s.row<float>(context, p, image);
                                          float* out = d.row<float>(context, p, image);
                                          const float most = *std::max_element(in, in + channels);
                                          float sum = 0;
                                          for (int64_t c = 0; c < channels; ++c)
                                            sum += out[c] = std::exp(in[c] - most);
                                          for (int64_t c = 0; c < channels; ++c) out[c] /= sum;
                                        }
                                      }
                                    });
}

std::unique_ptr<Step> make_copy_step(const Plan& plan, const CopyBox& box) {
  const BufferRef s{&plan, box.src}, d{&plan, box.dst};
  const int64_t bytes = kernels::elem_bytes(plan.buffer(box.dst).elem);
  return std::make_unique<UnitStep>(
      "copy", plan.buffer(box.dst).positions(), std::vector{box.src}, box.dst,
      [s, d, box, bytes](const TileContext& context, int64_t first, int64_t last) {
        for (int64_t p = first; p < last; ++p) {
          const int64_t y = p / d.get().width - box.into_h, x = p % d.get().width - box.into_w;
          const bool inside = y >= 0 && y < box.height && x >= 0 && x < box.width;
          for (int64_t image = 0; image < context.n; ++image) {
            if (box.has_fill && bytes == 1) {
              std::memset(d.row<std::byte>(context, p, image), static_cast<int>(box.fill),
                          static_cast<size_t>(d.get().channels));
            } else if (box.has_fill) {
              std::fill_n(d.row<float>(context, p, image), d.get().channels, box.fill);
            }
            if (!inside) continue;
            const int64_t from = (y * box.step_h + box.from_h) * s.get().width + x * box.step_w + box.from_w;
            std::memcpy(d.row<std::byte>(context, p, image) + box.into_c * bytes,
                        s.row<std::byte>(context, from, image) + box.from_c * bytes,
                        static_cast<size_t>(box.channels * bytes));
          }
        }
      });
}

std::unique_ptr<Step> make_flatten_step(const Plan& plan, BufferId src, BufferId dst) {
  const BufferRef s{&plan, src}, d{&plan, dst};
  return std::make_unique<UnitStep>("flatten", plan.buffer(src).positions(), std::vector{src}, dst,
                                    [s, d](const TileContext& context, int64_t first, int64_t last) {
                                      for (int64_t p = first; p < last; ++p) {
                                        for (int64_t image = 0; image < context.n; ++image) {
                                          const float* in = s.row<float>(context, p, image);
                                          float* out = d.row<float>(context, 0, image) + p;
                                          for (int64_t c = 0; c < s.get().channels; ++c)
                                            out[c * s.get().positions()] = in[c];
                                        }
                                      }
                                    });
}

std::unique_ptr<Step> make_unflatten_step(const Plan& plan, BufferId src, BufferId dst) {
  const BufferRef s{&plan, src}, d{&plan, dst};
  return std::make_unique<UnitStep>("unflatten", plan.buffer(dst).positions(), std::vector{src}, dst,
                                    [s, d](const TileContext& context, int64_t first, int64_t last) {
                                      for (int64_t p = first; p < last; ++p) {
                                        for (int64_t image = 0; image < context.n; ++image) {
                                          float* out = d.row<float>(context, p, image);
                                          const float* in = s.row<float>(context, 0, image) + p;
                                          for (int64_t c = 0; c < d.get().channels; ++c)
                                            out[c] = in[c * d.get().positions()];
                                        }
                                      }
                                    });
}

}  // namespace xdn
