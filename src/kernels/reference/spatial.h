#pragma once

#include <array>
#include <cstdint>

namespace xdn::reference {

/// d, h, w. Fewer spatial axes are written with leading extents of 1.
using Extent3 = std::array<int64_t, 3>;

/// The tap k of output position o reads o * stride + k * dilation - pad along each axis, where that is
/// inside.
struct Window3 {
  Extent3 kernel{1, 1, 1}, stride{1, 1, 1}, dilation{1, 1, 1}, pad{0, 0, 0}, pad_end{0, 0, 0};
};

struct ConvShape {
  int64_t n = 0, group = 1, ic = 0, oc = 0;  ///< ic and oc: channels of one group
  Extent3 in{}, out{};
  Window3 window;
};

/// x [n, group, ic, in], w [group, oc, ic, kernel], bias [group, oc] or null -> y [n, group, oc, out].
void conv(const ConvShape& shape, const double* x, const double* w, const double* bias, double* y);

struct PoolShape {
  int64_t planes = 0;  ///< n * c
  Extent3 in{}, out{};
  Window3 window;
};

/// x [planes, in] -> y [planes, out]. A window without an element inside gives `lowest`; NaN wins.
template <class W>
void max_pool(const PoolShape& shape, const W* x, W lowest, W* y);

/// Divides by the taps inside the input or, if count_padding, inside [-pad, in + pad_end); 0 where there are
/// none.
void average_pool(const PoolShape& shape, const double* x, bool count_padding, double* y);

/// Cross-channel response normalisation of x [n, c, inner]:
/// y = x / (bias + alpha / size * sum of x^2 over channels c - (size-1)/2 ... c + size/2)^beta.
struct LrnParams {
  int64_t size = 5;
  double alpha = 0, beta = 0, bias = 1;
};
void lrn_across(const LrnParams& params, int64_t n, int64_t c, int64_t inner, const double* x, double* y);
/// The same within each plane of x [planes, h, w], over size x size positions and with alpha / size^2.
void lrn_within(const LrnParams& params, int64_t planes, int64_t h, int64_t w, const double* x, double* y);

}  // namespace xdn::reference
