#include "quantization/matrix.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "kernels/gemm_block.h"

namespace xdn {
namespace {

constexpr auto kFloat = static_cast<int64_t>(sizeof(float));

/// The widest f32 kernels here; all give the same sums to the bit.
const kernels::KernelTable& table() {
  for (const char* name : {"avx512", "avx2"}) {
    if (const kernels::KernelTable* found = kernels::find_kernels(name)) return *found;
  }
  return *kernels::find_kernels("ref");
}

}  // namespace

void add_product(float* c, int64_t ldc, const MatrixView& a, const MatrixView& b, bool lower,
                 std::vector<float>& scratch) {
  XDN_CHECK(a.columns == b.rows);
  if (a.columns == 0) return;
  const kernels::KernelTable& kernels = table();
  const kernels::GemmFamily& family = kernels.gemm[static_cast<size_t>(kernels::Arith::kF32)];
  constexpr std::array<float, 64> kZeros{};
  for (int64_t column = 0; column < b.columns;) {
    const int64_t left = (b.columns - column + kernels.lanes - 1) / kernels.lanes;
    const int vectors = static_cast<int>(std::min<int64_t>(left, family.most_vectors));
    const int64_t width = vectors * kernels.lanes, stored = std::min(width, b.columns - column);
    XDN_CHECK(static_cast<size_t>(width) <= kZeros.size());
    scratch.assign(static_cast<size_t>(b.rows * width), 0.0f);
    for (int64_t i = 0; i < b.rows; ++i)
      std::copy_n(b.data + i * b.stride + column, stored, scratch.data() + i * width);
    const int64_t first = lower ? std::min(column, a.rows) : 0;
    const kernels::GemmPair pair{a.data + first * a.stride, scratch.data(), a.columns, a.stride * kFloat};
    kernels::GemmArgs args{};
    args.pairs = &pair;
    args.n_pairs = 1;
    args.panel_columns = width;
    args.store_columns = stored;
    args.c = c + first * ldc + column;
    args.ldc = ldc * kFloat;
    args.residual = args.c;
    args.ldr = args.ldc;
    args.residual_scale = 1;
    args.bias = kZeros.data();
    if (a.rows > first) kernels::gemm_rows(family, vectors, args, a.rows - first);
    column += width;
  }
}

}  // namespace xdn
