#pragma once

#include <cstdint>

#include "kernels/gemm.h"

namespace xdn::kernels {

inline constexpr int kMostVectors = 4;
inline constexpr int kMostRows = 24;

enum class BinaryKind : int32_t { kAdd, kSub, kMul, kDiv, kMax };
enum class UnaryKind : int32_t { kRelu, kLeakyRelu, kClip, kSigmoid, kHardSigmoid, kHardSwish };

/// One arithmetic's GEMM kernels.
struct GemmFamily {
  const char* bundle;
  /// Panel widths offered: vectors 1 ... most_vectors; and how many rows each takes at once.
  int most_vectors;
  int most_rows[kMostVectors];
  Gemm gemm[kMostVectors][kMostRows];
  /// Dots on registers alone, `rounds` times some; returns the multiply-accumulates done.
  int64_t (*peak)(int64_t rounds);
};

/// A quantized element q stands for (q - zero) * scale.
struct QuantScale {
  float scale = 1;
  int32_t zero = 0;
  bool operator==(const QuantScale&) const = default;
};

/// Everything one instruction set offers. Lengths are in elements; strides in bytes where they say so. Rows
/// of f32 and bf16 compute in f32.
struct KernelTable {
  const char* bundle;
  int lanes;  ///< words per vector, the same for every arithmetic
  GemmFamily gemm[kAriths];

  /// dst[i] = max over s of src[s][i]; all of one element type.
  void (*maximum)(Elem elem, void* dst, const void* const* src, int64_t n_src, int64_t length);
  /// dst[i] = scale * (sum over s of src[s][i]) + shift; the sum of u8 is exact below 2^16 of them; a u8 dst
  /// is rounded and saturated.
  void (*average)(Elem src_elem, Elem dst_elem, void* dst, const void* const* src, int64_t n_src, float scale,
                  float shift, int64_t length);
  /// The same over n_src rows `stride` bytes apart.
  void (*average_strided)(Elem src_elem, Elem dst_elem, void* dst, const void* src, int64_t stride,
                          int64_t n_src, float scale, float shift, int64_t length);
  /// dst[i] = a[i] op b[i]; f32 or bf16, all three alike.
  void (*binary)(Elem elem, BinaryKind kind, void* dst, const void* a, const void* b, int64_t length);
  /// dst[r][c] = a[r][c] op b[c], or b[c] op a[r][c] when swapped; rows ld elements apart in both; f32.
  void (*binary_channels)(BinaryKind kind, bool swapped, float* dst, const float* a, const float* b,
                          int64_t rows, int64_t channels, int64_t ld);
  /// dst[i] = f(src[i]); clip to [a, b], slope a, hard sigmoid a * x + b.
  void (*unary)(UnaryKind kind, float a, float b, float* dst, const float* src, int64_t length);
  /// The epilogue of `args` (i8's for u8 rows) over sums of src[t][r][c] * weights[t][c], c < store_columns.
  /// Rows of src are ld_src bytes apart. i8 takes no `start`: `start_sums` stands for it; |sums| < 2^24.
  void (*depthwise)(Elem elem, const GemmArgs& args, const void* const* src, const float* const* weights,
                    int64_t n_taps, const float* start_sums, int64_t rows, int64_t ld_src);
  /// dst[i] = round(min(max(fma(a[i], scale_a, fma(b[i], scale_b, shift)), lo), hi)), within 0 ... 255.
  void (*add_u8)(uint8_t* dst, const uint8_t* a, const uint8_t* b, float scale_a, float scale_b, float shift,
                 float lo, float hi, int64_t length);
  /// f32 to or from bf16, or to or from u8 by ONNX's QuantizeLinear and DequantizeLinear.
  void (*convert)(Elem dst_elem, void* dst, Elem src_elem, const void* src, QuantScale quant, int64_t length);
};

/// The kernels of that name ("ref", "avx2", "avx512", and "avx512vnni" and "avx512bf16", which add to
/// avx512's what the name says and the processor has), or null where this build or this processor lacks them.
const KernelTable* find_kernels(const char* name);

namespace ref {
const KernelTable& table();
}
namespace avx2 {
const KernelTable& table();
}
namespace avx512 {
const KernelTable& table();
}
namespace avx512vnni {
const GemmFamily& family_i8();
}
namespace avx512bf16 {
const GemmFamily& family_bf16();
}

}  // namespace xdn::kernels
