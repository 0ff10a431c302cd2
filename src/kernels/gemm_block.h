#pragma once

#include "kernels/kernel_table.h"

namespace xdn::kernels {

/// Runs one panel over `rows` rows, split into nearly equal blocks that the bundle has kernels for: 13 rows
/// of at most 12 become 7 + 6, not 12 + 1, since short blocks do not hide the latency of the multiply-adds.
inline void gemm_rows(const GemmFamily& family, int vectors, const GemmArgs& args, int64_t rows) {
  const int64_t most = family.most_rows[vectors - 1];
  const int64_t blocks = (rows + most - 1) / most;
  int64_t row = 0;
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t count = (rows - row + blocks - block - 1) / (blocks - block);
    family.gemm[vectors - 1][count - 1](args, row);
    row += count;
  }
}

}  // namespace xdn::kernels
