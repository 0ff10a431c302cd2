#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/tensor.h"

namespace xdn::reference {

/// Row-major strides, in elements. Those of an empty tensor mean nothing, and may have wrapped.
inline Dims dense_strides(const Dims& dims) {
  Dims strides(dims.size(), 1);
  for (size_t i = dims.size(); i-- > 1;) {
    strides[i - 1] = static_cast<int64_t>(static_cast<uint64_t>(strides[i]) * static_cast<uint64_t>(dims[i]));
  }
  return strides;
}

/// Visits every index of dims in row-major order as f(a, b), the offsets sum(index * a_strides) and
/// sum(index * b_strides).
template <class F>
void walk(const Dims& dims, const Dims& a_strides, const Dims& b_strides, F&& f) {
  for (const int64_t dim : dims) {
    if (dim == 0) return;
  }
  Dims index(dims.size(), 0);
  int64_t a = 0, b = 0;
  while (true) {
    f(a, b);
    size_t axis = dims.size();
    while (true) {
      if (axis == 0) return;
      --axis;
      a += a_strides[axis];
      b += b_strides[axis];
      if (++index[axis] < dims[axis]) break;
      a -= dims[axis] * a_strides[axis];
      b -= dims[axis] * b_strides[axis];
      index[axis] = 0;
    }
  }
}

}  // namespace xdn::reference
