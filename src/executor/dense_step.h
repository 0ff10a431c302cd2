#pragma once

#include "executor/executor.h"
#include "executor/pages.h"
#include "executor/plan.h"
#include "graph/op.h"

namespace xdn {

/// One (input, weights) pair of a dense step: a convolution's input with its window, or a matrix product's
/// (1x1).
struct DenseOperand {
  BufferId src = -1;
  const float* weights =
      nullptr;  ///< [oc, channels, kh, kw], of f32 and bf16 steps; needed while planning only
  const int8_t* levels = nullptr;  ///< the same of i8 steps
  int32_t zero = 0;                ///< i8: the zero point of src
  int64_t channels = 0;            ///< elements of one tap, per group
  int64_t kernel_h = 1, kernel_w = 1;
  int64_t stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  int64_t pad_top = 0, pad_left = 0;
};

/// What follows the sums: see kernels::GemmArgs.
struct Epilogue {
  BufferId residual = -1;
  float residual_scale = 1;
  kernels::GemmAct act = kernels::GemmAct::kNone;
  float lo = 0, hi = 0;
  bool has_middle = false;
  float middle_lo = 0, middle_hi = 0, middle_scale = 1, middle_shift = 0;
  float dst_scale = 1, dst_shift = 0;
  bool in_range = false;

  void set(const Activation& activation);
  /// Fills all of args but the pointers.
  void apply(kernels::GemmArgs& args) const;
};

struct DenseSpec {
  kernels::Arith arith = kernels::Arith::kF32;
  std::vector<DenseOperand> operands;  ///< summed; all of the same output extents
  int64_t group = 1;
  BufferId dst = -1;
  std::vector<float> bias;   ///< [oc] or empty
  std::vector<float> scale;  ///< i8: [oc]
  Epilogue epilogue;
  LayerLayout layout;  ///< asked for
};

/// Kernel positions, of all operands together, that a step takes.
inline constexpr int64_t kMostTaps = 256;
int64_t taps_of(const DenseSpec& spec);

/// A batch-reduce GEMM over effective taps: what lies in the padding is not on the list. Null where it has
/// too many taps.
std::unique_ptr<Step> make_dense_step(const Plan& plan, const DenseSpec& spec,
                                      const kernels::KernelTable& table, int parts);

/// Whether a convolution of few input channels should read an image with its border, where kernel_w pixels
/// are one tap: alone, a pixel's channels do not fill a vector's worth of work.
bool stem_pays(int64_t ic, const Window& window, int64_t group);

/// Panels of output channels: widths in vectors, of at most `most`, descending, covering oc.
struct Panel {
  int64_t first;  ///< output channel
  int vectors;
  int64_t columns;  ///< to store
};
std::vector<Panel> make_panels(int64_t oc, int lanes, int most, bool exact_columns);

/// Memory for packed weights, of 2 MiB and more on huge pages where they are asked for. Not initialised.
struct PackedWeights {
  PackedWeights(int64_t size, bool huge_pages);
  PackedWeights() = default;
  std::byte* data() { return bytes.get(); }
  const std::byte* data() const { return bytes.get(); }
  PageBytes bytes;
  int64_t size = 0;
};

/// Packs one panel of one tap for k x columns words: dst[k][column][element in word], zero outside. Element c
/// of output channel j stands at src[(j * channels + c) * taps].
void pack_tap(kernels::Arith arith, std::byte* dst, const void* src, int64_t rows, int64_t columns,
              int64_t channels, int64_t taps);

}  // namespace xdn
