#pragma once

#include "base/tensor.h"

namespace xdn::reference {

/// x [n, c, inner] -> y = (x - mean[c]) / sqrt(variance[c] + epsilon) * scale[c] + bias[c].
struct BatchNormParams {
  const double *scale = nullptr, *bias = nullptr, *mean = nullptr, *variance = nullptr;
  double epsilon = 0;
};
void batch_norm(const BatchNormParams& params, int64_t n, int64_t c, int64_t inner, const double* x,
                double* y);

/// Over the middle extent of x [outer, extent, inner].
void softmax(int64_t outer, int64_t extent, int64_t inner, const double* x, double* y);

/// y[sum(i * y_strides)] += x[i] for every index i of x_dims: a sum over the axes whose y stride is 0. y
/// starts as zeros. Integers wrap.
template <class W>
void reduce_sum(const Dims& x_dims, const Dims& y_strides, const W* x, W* y);

}  // namespace xdn::reference
