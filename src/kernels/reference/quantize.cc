#include "kernels/reference/quantize.h"

#include <algorithm>
#include <cmath>

namespace xdn::reference {
namespace {

/// Half to even, whatever the rounding mode of the thread. Exact: from 2^23 on every float is an integer.
float round_half_even(float value) {
  if (!(std::fabs(value) < 0x1p23f)) return value;
  const float below = std::floor(value), rest = value - below;
  if (rest < 0.5f) return below;
  if (rest > 0.5f) return below + 1;
  return std::fmod(below, 2.0f) == 0 ? below : below + 1;
}

}  // namespace

void quantize(const QuantizeShape& shape, const float* x, const float* scale, const int64_t* zero_point,
              int64_t low, int64_t high, int64_t* y) {
  for (int64_t o = 0; o < shape.outer; ++o) {
    for (int64_t c = 0; c < shape.channels; ++c) {
      const int64_t zero = zero_point == nullptr ? 0 : zero_point[c];
      for (int64_t i = 0; i < shape.inner; ++i) {
        const float scaled = *x++ / scale[c];
        const double level = std::isnan(scaled) ? 0 : static_cast<double>(round_half_even(scaled));
        const double shifted = level + static_cast<double>(zero);
        *y++ = static_cast<int64_t>(std::clamp(shifted, static_cast<double>(low), static_cast<double>(high)));
      }
    }
  }
}

void dequantize(const QuantizeShape& shape, const int64_t* x, const float* scale, const int64_t* zero_point,
                double* y) {
  for (int64_t o = 0; o < shape.outer; ++o) {
    for (int64_t c = 0; c < shape.channels; ++c) {
      const int64_t zero = zero_point == nullptr ? 0 : zero_point[c];
      for (int64_t i = 0; i < shape.inner; ++i) {
        const float product = static_cast<float>(*x++ - zero) * scale[c];
        *y++ = static_cast<double>(product);
      }
    }
  }
}

}  // namespace xdn::reference
