#pragma once

#include <functional>

#include "executor/dense_step.h"
#include "executor/plan.h"
#include "graph/graph.h"

namespace xdn {

/// Where a tile's input comes from: bytes NHWC, x[c] = byte[source_channel[c]] * scale[c] + shift[c], or,
/// without pixels, floats NCHW. Written as dst's elements: bf16 rounded, u8 quantized by `quant`.
struct IngestSpec {
  BufferId dst = -1;
  const PixelMap* pixels = nullptr;  ///< read while planning only
  QuantScale quant;
  /// dst is image-major, with a border of zeros that starts this far from the image.
  int64_t pad_top = 0, pad_left = 0;
  int64_t height = 0, width = 0;  ///< of the image without its border
};
std::unique_ptr<Step> make_ingest_step(const Plan& plan, const IngestSpec& spec);

/// Same elements on both sides. Null where a window holds padding only.
std::unique_ptr<Step> make_max_pool_step(const Plan& plan, BufferId src, BufferId dst, const PoolAttrs& attrs,
                                         const kernels::KernelTable& table);
/// How u8 averages become dst's numbers: dst = (mean of (q - src.zero)) * src.scale / dst.scale + dst.zero.
/// Floats on both sides have no scales.
struct AverageScales {
  QuantScale src, dst;
};
std::unique_ptr<Step> make_average_pool_step(const Plan& plan, BufferId src, BufferId dst,
                                             const PoolAttrs& attrs, const AverageScales& scales,
                                             const kernels::KernelTable& table);
/// GlobalAveragePool, or ReduceMean over h and w.
std::unique_ptr<Step> make_global_average(const Plan& plan, BufferId src, BufferId dst,
                                          const AverageScales& scales, const kernels::KernelTable& table);
std::unique_ptr<Step> make_unary_step(const Plan& plan, BufferId src, BufferId dst, kernels::UnaryKind kind,
                                      float a, float b, const kernels::KernelTable& table);
/// u8 to u8 by a table of 256.
std::unique_ptr<Step> make_lookup_step(const Plan& plan, BufferId src, BufferId dst,
                                       std::vector<uint8_t> levels);
/// Between f32 and bf16 or u8; `quant` is the u8 side's.
std::unique_ptr<Step> make_convert_step(const Plan& plan, BufferId src, BufferId dst, QuantScale quant,
                                        const kernels::KernelTable& table);
/// Equal shapes and elements (f32 or bf16).
std::unique_ptr<Step> make_binary_step(const Plan& plan, BufferId a, BufferId b, BufferId dst,
                                       kernels::BinaryKind kind, const kernels::KernelTable& table);
/// u8, equal shapes: dst = min(max(a * scale_a + b * scale_b + shift, lo), hi), rounded.
struct QuantizedSum {
  float scale_a, scale_b, shift, lo, hi;
};
std::unique_ptr<Step> make_add_u8_step(const Plan& plan, BufferId a, BufferId b, BufferId dst,
                                       const QuantizedSum& sum, const kernels::KernelTable& table);
/// b is constant: one value per channel (broadcast if it has one element).
std::unique_ptr<Step> make_binary_channels_step(const Plan& plan, BufferId a, std::vector<float> b,
                                                bool swapped, BufferId dst, kernels::BinaryKind kind,
                                                const kernels::KernelTable& table);
/// One filter per channel; threads (parts) share the runs.
std::unique_ptr<Step> make_depthwise_step(const Plan& plan, const DenseSpec& spec,
                                          const kernels::KernelTable& table, int parts);

/// f32: dst(y, x) = map(y, x) op gate(0, 0), or the other way round when swapped, image by image.
std::unique_ptr<Step> make_gate_step(const Plan& plan, BufferId map, BufferId gate, bool swapped,
                                     BufferId dst, kernels::BinaryKind kind,
                                     const kernels::KernelTable& table);
/// f32, over the channels of each position of each image.
std::unique_ptr<Step> make_softmax_step(const Plan& plan, BufferId src, BufferId dst);

/// Copies a box: dst(y, x, c) = src(y * step_h + from_h, x * step_w + from_w, c + from_c) where that lies
/// inside the box of `extent` and c >= into_c; elsewhere dst keeps `fill` if has_fill (f32, or a level of
/// u8). Concat, Slice and zero Pad are this. Same elements on both sides.
struct CopyBox {
  BufferId src = -1, dst = -1;
  int64_t from_h = 0, from_w = 0, from_c = 0;  ///< first source element
  int64_t step_h = 1, step_w = 1;
  int64_t into_h = 0, into_w = 0, into_c = 0;   ///< first destination element
  int64_t height = 0, width = 0, channels = 0;  ///< of the box
  bool has_fill = false;
  float fill = 0;
};
std::unique_ptr<Step> make_copy_step(const Plan& plan, const CopyBox& box);

/// [H][W][N][C] to one row per image in C, H, W order, and back; f32.
std::unique_ptr<Step> make_flatten_step(const Plan& plan, BufferId src, BufferId dst);
std::unique_ptr<Step> make_unflatten_step(const Plan& plan, BufferId src, BufferId dst);

/// Any node, through the oracle, on f32 buffers. It allocates, and may throw where the oracle does.
struct FallbackInput {
  BufferId buffer = -1;  ///< or
  int constant = -1;     ///< index among the step's constants; neither: absent
  Dims shape;            ///< of the buffer's value, with kBatch
};
std::unique_ptr<Step> make_fallback_step(const Plan& plan, Node node, std::vector<FallbackInput> inputs,
                                         std::vector<Tensor> constants, BufferId dst);

/// One row per image, elements in C, H, W order, from a tile's f32 buffer.
void read_rows(const Plan& plan, BufferId src, const std::byte* arena, int64_t n, float* rows);
void write_rows(const Plan& plan, BufferId dst, std::byte* arena, int64_t n, const float* rows);

}  // namespace xdn
