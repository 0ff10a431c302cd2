#pragma once

#include <functional>

#include "executor/dense_step.h"
#include "executor/plan.h"
#include "graph/graph.h"

namespace xdn {

/// Bytes NHWC to floats, x[c] = byte[source_channel[c]] * scale[c] + shift[c].
std::unique_ptr<Step> make_ingest_pixels(BufferId dst, const Plan& plan, PixelMap pixels);
/// Floats NCHW to the plan's layout.
std::unique_ptr<Step> make_ingest_floats(BufferId dst, const Plan& plan);

std::unique_ptr<Step> make_pool_step(const Plan& plan, BufferId src, BufferId dst, const PoolAttrs& attrs,
                                     bool max, const kernels::KernelTable& table);
/// GlobalAveragePool, or ReduceMean over h and w.
std::unique_ptr<Step> make_global_average(const Plan& plan, BufferId src, BufferId dst,
                                          const kernels::KernelTable& table);
std::unique_ptr<Step> make_unary_step(const Plan& plan, BufferId src, BufferId dst, kernels::UnaryKind kind,
                                      float a, float b, const kernels::KernelTable& table);
/// Equal shapes.
std::unique_ptr<Step> make_binary_step(const Plan& plan, BufferId a, BufferId b, BufferId dst,
                                       kernels::BinaryKind kind, const kernels::KernelTable& table);
/// b is constant: one value per channel (broadcast if it has one element).
std::unique_ptr<Step> make_binary_channels_step(const Plan& plan, BufferId a, std::vector<float> b,
                                                bool swapped, BufferId dst, kernels::BinaryKind kind,
                                                const kernels::KernelTable& table);
std::unique_ptr<Step> make_depthwise_step(const Plan& plan, const DenseSpec& spec,
                                          const kernels::KernelTable& table);

/// Copies a box: dst(y, x, c) = src(y * step_h + from_h, x * step_w + from_w, c + from_c) where that lies
/// inside the box of `extent` and c >= into_c; elsewhere dst keeps `fill` if has_fill. Concat, Slice and zero
/// Pad are this.
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

/// [H][W][N][C] to one row per image in C, H, W order, and back.
std::unique_ptr<Step> make_flatten_step(const Plan& plan, BufferId src, BufferId dst);
std::unique_ptr<Step> make_unflatten_step(const Plan& plan, BufferId src, BufferId dst);

/// Any node, through the oracle. It allocates, and may throw where the oracle does.
struct FallbackInput {
  BufferId buffer = -1;  ///< or
  int constant = -1;     ///< index among the step's constants; neither: absent
  Dims shape;            ///< of the buffer's value, with kBatch
};
std::unique_ptr<Step> make_fallback_step(const Plan& plan, Node node, std::vector<FallbackInput> inputs,
                                         std::vector<Tensor> constants, BufferId dst);

/// One row per image, elements in C, H, W order, from a tile's buffer.
void read_rows(const Plan& plan, BufferId src, const float* arena, int64_t n, float* rows);
void write_rows(const Plan& plan, BufferId dst, float* arena, int64_t n, const float* rows);

}  // namespace xdn
