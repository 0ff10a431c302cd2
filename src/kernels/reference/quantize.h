#pragma once

#include <cstdint>

namespace xdn::reference {

/// x [outer, channels, inner] with scale and zero_point [channels] (zero_point may be null: 0).
struct QuantizeShape {
  int64_t outer = 0, channels = 1, inner = 0;
};

/// y = clamp(round(x / scale) + zero_point, low, high), x / scale in float, rounding half to even. NaN
/// becomes the zero point.
void quantize(const QuantizeShape& shape, const float* x, const float* scale, const int64_t* zero_point,
              int64_t low, int64_t high, int64_t* y);

/// y = (x - zero_point) * scale, the product in float.
void dequantize(const QuantizeShape& shape, const int64_t* x, const float* scale, const int64_t* zero_point,
                double* y);

}  // namespace xdn::reference
