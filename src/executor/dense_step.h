#pragma once

#include "executor/executor.h"
#include "executor/plan.h"
#include "graph/op.h"

namespace xdn {

/// One (input, weights) pair of a dense step: a convolution's input with its window, or a matrix product's
/// (1x1).
struct DenseOperand {
  BufferId src = -1;
  const Tensor* weights = nullptr;  ///< [oc, ic / group, kh, kw], f32; needed while planning only
  int64_t kernel_h = 1, kernel_w = 1;
  int64_t stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  int64_t pad_top = 0, pad_left = 0;
};

struct DenseSpec {
  std::vector<DenseOperand> operands;  ///< summed; all of the same output extents
  int64_t group = 1;
  BufferId dst = -1;
  const float* bias = nullptr;  ///< [oc] or null
  BufferId residual = -1;
  Activation act;
};

/// A batch-reduce GEMM over effective taps: what lies in the padding is not on the list.
std::unique_ptr<Step> make_dense_step(const Plan& plan, const DenseSpec& spec,
                                      const kernels::KernelTable& table, int parts);

/// A convolution of few input channels as one matrix product over packed patches [kh][kw][ic]. With `pixels`,
/// it reads the tile's bytes and the map is folded into weights and bias; a border position has a bias of its
/// own, since padding is zero after the map. Without, it reads operand.src.
std::unique_ptr<Step> make_stem_step(Plan& plan, const DenseSpec& spec, const PixelMap* pixels,
                                     const Dims& input_shape, const kernels::KernelTable& table);
/// Whether packing the patches pays: the taps' channels are too few to fill a vector's worth of work each.
bool stem_pays(int64_t ic, int64_t kernel_h, int64_t kernel_w, int64_t group);

/// Epilogue of an Activation as kernels take it.
struct ActArgs {
  kernels::GemmAct act;
  float lo, hi;
};
ActArgs act_args(const Activation& act);

/// Panels of output channels: widths in vectors, descending, covering oc.
struct Panel {
  int64_t first;  ///< output channel
  int vectors;
  int64_t columns;  ///< to store
};
std::vector<Panel> make_panels(int64_t oc, const kernels::KernelTable& table, bool exact_columns);

/// Memory for packed weights: 2 MiB aligned, huge pages asked for, zero-filled.
struct PackedWeights {
  explicit PackedWeights(int64_t floats);
  PackedWeights() = default;
  float* data() { return reinterpret_cast<float*>(bytes.get()); }
  const float* data() const { return reinterpret_cast<const float*>(bytes.get()); }
  AlignedBytes bytes;
  int64_t floats = 0;
};

}  // namespace xdn
