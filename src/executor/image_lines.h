#pragma once

#include <vector>

#include "executor/dense_step.h"

namespace xdn {

/// Makes an operand read an image with its border, where a tap is a line of kernel_w pixels. Returns its
/// weights [oc][c][kh][kw] as [oc][kw * c][kh].
template <class T>
std::vector<T> to_lines(DenseOperand& operand, const T* weights, int64_t oc) {
  const int64_t ic = operand.channels, kh = operand.kernel_h, kw = operand.kernel_w;
  std::vector<T> lines(static_cast<size_t>(oc * ic * kh * kw));
  for (int64_t j = 0; j < oc; ++j) {
    for (int64_t c = 0; c < ic; ++c) {
      for (int64_t t = 0; t < kh * kw; ++t) {
        lines[static_cast<size_t>(((j * kw + t % kw) * ic + c) * kh + t / kw)] =
            weights[(j * ic + c) * kh * kw + t];
      }
    }
  }
  operand.channels *= kw;
  operand.kernel_w = 1;
  operand.pad_top = operand.pad_left = 0;
  return lines;
}

}  // namespace xdn
