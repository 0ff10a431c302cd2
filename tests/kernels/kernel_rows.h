#pragma once

#include "kernels/gemm.h"

namespace xdn::testing {

/// One line of kernels.inc.
struct KernelRow {
  kernels::Arith arith;
  const char* bundle;
  int vectors, most_rows;
};

inline constexpr KernelRow kKernelRows[] = {
#define XDN_ARITH_f32 kernels::Arith::kF32
#define XDN_ARITH_bf16 kernels::Arith::kBf16
#define XDN_ARITH_i8 kernels::Arith::kI8
#define XDN_GEMM(arith, bundle, vectors, rows) {XDN_ARITH_##arith, #bundle, vectors, rows},
#include "kernels/kernels.inc"
#undef XDN_ARITH_f32
#undef XDN_ARITH_bf16
#undef XDN_ARITH_i8
};

}  // namespace xdn::testing
