#include "kernels/reference/normalize.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "kernels/reference/walk.h"

namespace xdn::reference {

void batch_norm(const BatchNormParams& params, int64_t n, int64_t c, int64_t inner, const double* x,
                double* y) {
  for (int64_t image = 0; image < n; ++image) {
    for (int64_t channel = 0; channel < c; ++channel) {
      const double deviation = std::sqrt(params.variance[channel] + params.epsilon);
      for (int64_t i = 0; i < inner; ++i) {
        *y++ = (*x++ - params.mean[channel]) / deviation * params.scale[channel] + params.bias[channel];
      }
    }
  }
}

void softmax(int64_t outer, int64_t extent, int64_t inner, const double* x, double* y) {
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t i = 0; i < inner; ++i) {
      const int64_t base = o * extent * inner + i;
      double largest = -std::numeric_limits<double>::infinity(), sum = 0;
      for (int64_t k = 0; k < extent; ++k) largest = std::max(largest, x[base + k * inner]);
      for (int64_t k = 0; k < extent; ++k) {
        const int64_t at = base + k * inner;
        y[at] = std::exp(x[at] - largest);
        sum += y[at];
      }
      for (int64_t k = 0; k < extent; ++k) y[base + k * inner] /= sum;
    }
  }
}

template <class W>
void reduce_sum(const Dims& x_dims, const Dims& y_strides, const W* x, W* y) {
  using Sum = std::conditional_t<std::is_floating_point_v<W>, W, uint64_t>;
  walk(x_dims, y_strides, y_strides, [&](int64_t at, int64_t) {
    y[at] = static_cast<W>(static_cast<Sum>(y[at]) + static_cast<Sum>(*x++));
  });
}

template void reduce_sum<double>(const Dims&, const Dims&, const double*, double*);
template void reduce_sum<int64_t>(const Dims&, const Dims&, const int64_t*, int64_t*);
template void reduce_sum<uint64_t>(const Dims&, const Dims&, const uint64_t*, uint64_t*);

}  // namespace xdn::reference
