#pragma once

#include <cstdint>

namespace xdn::kernels {

/// What a GEMM multiplies and in what it sums: f32 by f32 into f32, bf16 by bf16 into f32, u8 by s8 into s32.
enum class Arith : uint8_t { kF32, kBf16, kI8 };
inline constexpr int kAriths = 3;

/// Elements of a row in memory.
enum class Elem : uint8_t { kF32, kBf16, kU8 };
constexpr int64_t elem_bytes(Elem elem) { return elem == Elem::kF32 ? 4 : elem == Elem::kBf16 ? 2 : 1; }

/// One member of a batch-reduce GEMM's list: rows of k words, lda bytes apart, times a packed panel of k x
/// columns words. A word is 4 bytes along k: one f32, two bf16 or four u8 (s8 in the panel).
struct GemmPair {
  const void* a;
  const void* b;
  int64_t k;
  int64_t lda;
};

enum class GemmAct : uint8_t { kNone, kRelu, kLeakyRelu, kClip };

/// For r < rows, j < store_columns, with sum[r][j] over the pairs' products:
///   f32, bf16:  v = bias[j] + sum
///   i8:         v = fma(float(start[j] + sum), scale[j], bias[j])
///   middle:     v = fma(round(min(max(v, middle_lo), middle_hi)), middle_scale, middle_shift)
///   residual:   v = fma(residual[row0 + r][j], residual_scale, v)
///   act:        kClip: min(max(v, lo), hi); kLeakyRelu: v * lo where v < 0
///   c[row0 + r][j] = v, stored as c_elem; u8: round(min(max(fma(v, c_scale, c_shift), 0), 255)).
/// Rounding is to nearest, half to even. Strides are in bytes.
struct GemmArgs {
  const GemmPair* pairs;
  int64_t n_pairs;
  int64_t panel_columns;  ///< the kernel's width: distance between a panel's rows, in words
  int64_t store_columns;  ///< columns to store: the kernel's width, or fewer for the last panel of a group
  void* c;
  int64_t ldc;
  const void* residual;  ///< null, or rows ldr apart
  int64_t ldr;
  const float* bias;     ///< one panel's width
  const float* scale;    ///< i8 only; one panel's width
  const int32_t* start;  ///< i8 only; null, or what accumulators start from
  float residual_scale;
  float lo, hi;
  float middle_lo, middle_hi, middle_scale, middle_shift;
  float c_scale, c_shift;  ///< of a u8 store after f32 or bf16 sums; i8 folds them into scale and bias
  Elem c_elem, residual_elem;
  GemmAct act;
  bool has_middle;
  bool in_range;  ///< a u8 store's v lies within +-2^31 whatever the rows hold, so that packing alone
                  ///< saturates it
};

/// A kernel for exactly `rows` rows and `columns` columns.
using Gemm = void (*)(const GemmArgs& args, int64_t row0);

}  // namespace xdn::kernels
