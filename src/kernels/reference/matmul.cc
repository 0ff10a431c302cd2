#include "kernels/reference/matmul.h"

#include <algorithm>
#include <type_traits>

namespace xdn::reference {

template <class W>
void matmul(int64_t m, int64_t n, int64_t k, const W* a, const W* b, W* y) {
  using Sum = std::conditional_t<std::is_floating_point_v<W>, W, uint64_t>;
  for (int64_t i = 0; i < m; ++i) {
    W* row = y + i * n;
    std::fill_n(row, n, W{0});
    for (int64_t p = 0; p < k; ++p) {
      const auto value = static_cast<Sum>(a[i * k + p]);
      for (int64_t j = 0; j < n; ++j) {
        row[j] = static_cast<W>(static_cast<Sum>(row[j]) + value * static_cast<Sum>(b[p * n + j]));
      }
    }
  }
}

template void matmul<double>(int64_t, int64_t, int64_t, const double*, const double*, double*);
template void matmul<int64_t>(int64_t, int64_t, int64_t, const int64_t*, const int64_t*, int64_t*);
template void matmul<uint64_t>(int64_t, int64_t, int64_t, const uint64_t*, const uint64_t*, uint64_t*);

}  // namespace xdn::reference
