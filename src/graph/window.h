#pragma once

#include <algorithm>
#include <cstdint>

namespace xdn {

/// Arithmetic of sliding windows along one spatial axis, for every room that needs it. Position o of the
/// output reads the input at o * stride - pads_begin + tap * dilation, for tap in [0, kernel). All arguments
/// are below 2^37, kernels, strides, dilations and pads below 2^31, as infer_shapes makes sure.

inline int64_t dilated_extent(int64_t kernel, int64_t dilation) { return dilation * (kernel - 1) + 1; }

/// floor(a / b) and ceil(a / b) for b > 0 and a of either sign.
inline int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }
inline int64_t ceil_div(int64_t a, int64_t b) { return a / b + (a % b > 0 ? 1 : 0); }

/// 0 where the window does not fit into the padded input.
inline int64_t conv_output_extent(int64_t in, int64_t kernel, int64_t stride, int64_t dilation,
                                  int64_t pads_begin, int64_t pads_end) {
  const int64_t room = in + pads_begin + pads_end - dilated_extent(kernel, dilation);
  return std::max<int64_t>(0, floor_div(room, stride) + 1);
}

/// As conv_output_extent; with ceil_mode the extent is rounded up, and a last window that would start at or
/// beyond in + pads_begin is dropped.
inline int64_t pool_output_extent(int64_t in, int64_t kernel, int64_t stride, int64_t dilation,
                                  int64_t pads_begin, int64_t pads_end, bool ceil_mode) {
  if (!ceil_mode) return conv_output_extent(in, kernel, stride, dilation, pads_begin, pads_end);
  const int64_t room = in + pads_begin + pads_end - dilated_extent(kernel, dilation);
  int64_t out = ceil_div(room, stride) + 1;
  if ((out - 1) * stride >= in + pads_begin) --out;
  return std::max<int64_t>(0, out);
}

/// The output positions [first, last) at which one tap reads inside the input.
struct TapRange {
  int64_t first, last;
  int64_t count() const { return last - first; }
};
inline TapRange tap_range(int64_t tap, int64_t in, int64_t out, int64_t stride, int64_t dilation,
                          int64_t pads_begin) {
  const int64_t offset = tap * dilation - pads_begin;
  const int64_t first = std::clamp<int64_t>(ceil_div(-offset, stride), 0, out);
  const int64_t last = std::clamp<int64_t>(floor_div(in - 1 - offset, stride) + 1, first, out);
  return {first, last};
}

}  // namespace xdn
