#pragma once

#include <cstdint>

namespace xdn::kernels {

/// One member of a batch-reduce GEMM's list: rows of k values, lda apart, times a packed panel [k][columns].
struct GemmPair {
  const float* a;
  const float* b;
  int64_t k;
  int64_t lda;
};

enum class GemmAct : int32_t { kNone, kRelu, kLeakyRelu, kClip };

/// c[row0 + r][j] = act(bias[j] + residual[row0 + r][j] + sum over pairs, over k of a[row0 + r][k] * b[k][j])
/// for r < rows, j < columns of the kernel. Strides are in elements.
struct GemmF32Args {
  const GemmPair* pairs;
  int64_t n_pairs;
  float* c;
  int64_t ldc;
  const float* bias;      ///< one panel's width
  const float* residual;  ///< null, or rows ldr apart
  int64_t ldr;
  GemmAct act;
  float lo, hi;           ///< clip bounds; lo is the slope of leaky_relu
  int64_t panel_columns;  ///< the kernel's width: distance between a panel's rows
  int64_t store_columns;  ///< columns to store: the kernel's width, or fewer for the last panel of a group
};

/// A kernel for exactly `rows` rows and `columns` columns.
using GemmF32 = void (*)(const GemmF32Args& args, int64_t row0);

}  // namespace xdn::kernels
