#pragma once

#include <cstdint>
#include <vector>

namespace xdn {

/// A row-major matrix in memory; rows `stride` elements apart.
struct MatrixView {
  const float* data;
  int64_t rows, columns, stride;
};

/// c += a * b, c being a.rows x b.columns with rows ldc apart, by the executor's kernels: the same to the bit
/// on every instruction set. `lower`: only elements (i, j) with j <= i are wanted; others may or may not be
/// computed. `scratch` keeps its memory from call to call.
void add_product(float* c, int64_t ldc, const MatrixView& a, const MatrixView& b, bool lower,
                 std::vector<float>& scratch);

}  // namespace xdn
