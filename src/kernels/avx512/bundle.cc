// The avx512 bundle: f, bw, vl, dq.
#include <immintrin.h>

#include <utility>

#include "kernels/kernel_table.h"

#define XDN_BUNDLE avx512

namespace xdn::kernels::avx512 {
namespace {

#include "kernels/avx512/vec.inl"

#include "kernels/gemm.inl"

#include "kernels/gemm_widened.inl"

#include "kernels/elementwise.inl"

using Bf16 = WidenedBf16;
using I8 = WidenedI8;

}  // namespace

#include "kernels/family.inl"

#include "kernels/table.inl"

}  // namespace xdn::kernels::avx512
