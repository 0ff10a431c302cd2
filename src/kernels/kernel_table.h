#pragma once

#include <cstdint>

#include "kernels/gemm.h"

namespace xdn::kernels {

inline constexpr int kMostVectors = 4;
inline constexpr int kMostRows = 24;

enum class BinaryKind : int32_t { kAdd, kSub, kMul, kDiv, kMax };
enum class UnaryKind : int32_t { kRelu, kLeakyRelu, kClip, kSigmoid, kHardSigmoid, kHardSwish };

/// Everything one ISA bundle offers. All lengths and strides are in elements.
struct KernelTable {
  const char* bundle;
  int lanes;  ///< floats per vector
  /// Panel widths offered: vectors 1 ... most_vectors; and how many rows each takes at once.
  int most_vectors;
  int most_rows[kMostVectors];
  GemmF32 gemm_f32[kMostVectors][kMostRows];

  /// dst[i] = max over s of src[s][i].
  void (*maximum)(float* dst, const float* const* src, int64_t n_src, int64_t length);
  /// dst[i] = scale * sum over s of src[s][i].
  void (*average)(float* dst, const float* const* src, int64_t n_src, float scale, int64_t length);
  /// dst[i] = a[i] op b[i].
  void (*binary)(BinaryKind kind, float* dst, const float* a, const float* b, int64_t length);
  /// dst[r][c] = a[r][c] op b[c], or b[c] op a[r][c] when swapped; rows ld apart in both.
  void (*binary_channels)(BinaryKind kind, bool swapped, float* dst, const float* a, const float* b,
                          int64_t rows, int64_t channels, int64_t ld);
  /// dst[i] = f(src[i]); clip to [a, b], slope a, hard sigmoid a * x + b.
  void (*unary)(UnaryKind kind, float a, float b, float* dst, const float* src, int64_t length);
  /// dst[r][c] = act(bias[c] + residual[r][c] + sum over t of src[t][r][c] * weights[t][c]); rows ld apart in
  /// all.
  void (*depthwise)(float* dst, const float* const* src, const float* const* weights, int64_t n_taps,
                    const float* bias, const float* residual, GemmAct act, float lo, float hi, int64_t rows,
                    int64_t channels, int64_t ld_src, int64_t ld_dst);
  /// dst[i] = src[i].
  void (*u8_to_f32)(float* dst, const uint8_t* src, int64_t length);
};

/// The bundle of that name ("ref", "avx2", "avx512"), or null where this build or this processor lacks it.
const KernelTable* find_kernels(const char* bundle);

namespace ref {
const KernelTable& table();
}
namespace avx2 {
const KernelTable& table();
}
namespace avx512 {
const KernelTable& table();
}

}  // namespace xdn::kernels
