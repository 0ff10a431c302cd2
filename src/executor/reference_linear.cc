#include <algorithm>
#include <limits>
#include <type_traits>

#include "executor/reference_internal.h"
#include "kernels/reference/elementwise.h"
#include "kernels/reference/matmul.h"
#include "kernels/reference/walk.h"

namespace xdn {
namespace {

/// dst [columns, rows] = src [rows, columns], when asked for.
template <class W>
std::vector<W> transposed_if(bool transpose, int64_t rows, int64_t columns, std::vector<W> src) {
  if (!transpose || src.empty()) return src;
  std::vector<W> dst(src.size());
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j)
      dst[static_cast<size_t>(j * rows + i)] = src[static_cast<size_t>(i * columns + j)];
  }
  return dst;
}

template <class W>
W scaled(W value, float factor) {
  if constexpr (std::is_floating_point_v<W>) {
    return value * static_cast<W>(factor);
  } else {
    if (factor == 1) return value;
    return reference::saturate_to(static_cast<double>(value) * static_cast<double>(factor),
                                  std::numeric_limits<W>::min(), std::numeric_limits<W>::max());
  }
}

template <class W>
W wrapping_sum(W a, W b) {
  if constexpr (std::is_floating_point_v<W>) {
    return a + b;
  } else {
    return static_cast<W>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  }
}

}  // namespace

Tensor evaluate_gemm(const Evaluation& e) {
  const Tensor &a = e.input(0), &b = e.input(1);
  const Tensor* c = e.optional(2);
  const auto& attrs = e.node.as<GemmAttrs>();
  require_same_dtype(a, b);
  if (a.rank() != 2 || b.rank() != 2) {
    throw input_error("expected two matrices, got shapes " + to_string(a.dims()) + " and " +
                      to_string(b.dims()));
  }
  const int64_t m = a.dim(attrs.trans_a ? 1 : 0), k = a.dim(attrs.trans_a ? 0 : 1);
  const int64_t n = b.dim(attrs.trans_b ? 0 : 1);
  if (b.dim(attrs.trans_b ? 1 : 0) != k) {
    throw input_error("expected matrices that multiply, got shapes " + to_string(a.dims()) + " and " +
                      to_string(b.dims()));
  }
  if (!is_floating(a.dtype()) && attrs.act.kind != ActKind::kNone) {
    throw input_error("expected no activation on " + std::string(dtype_name(a.dtype())));
  }
  const Dims dims{m, n};
  const int64_t count = element_count(dims, dtype_size(a.dtype()));
  return dispatch_wide(a.dtype(), [&]<class W>() {
    const std::vector<W> left = transposed_if(attrs.trans_a, k, m, widen<W>(a));
    const std::vector<W> right = transposed_if(attrs.trans_b, n, k, widen<W>(b));
    std::vector<W> dst(static_cast<size_t>(count));
    if (count == 0) return narrow(a.dtype(), dims, dst);
    reference::matmul(m, n, k, left.data(), right.data(), dst.data());
    for (W& value : dst) value = scaled(value, attrs.alpha);
    if (c != nullptr) {
      require_same_dtype(a, *c);
      const std::vector<W> addend = widen<W>(*c);
      const Dims strides = broadcast_strides(c->dims(), dims);
      auto out = dst.begin();
      reference::walk(dims, strides, strides, [&](int64_t at, int64_t) {
        *out = wrapping_sum(*out, scaled(addend[static_cast<size_t>(at)], attrs.beta));
        ++out;
      });
    }
    if constexpr (std::is_floating_point_v<W>) apply_activation(attrs.act, dst);
    return narrow(a.dtype(), dims, dst);
  });
}

Tensor evaluate_matmul(const Evaluation& e) {
  const Tensor &a = e.input(0), &b = e.input(1);
  require_same_dtype(a, b);
  require_rank(a, 1, "an input");
  require_rank(b, 1, "an input");
  // A vector is a matrix of one row on the left, of one column on the right; that axis is dropped again.
  Dims a_dims = a.dims(), b_dims = b.dims();
  if (a.rank() == 1) a_dims.insert(a_dims.begin(), 1);
  if (b.rank() == 1) b_dims.push_back(1);
  const int64_t m = a_dims.end()[-2], k = a_dims.end()[-1], n = b_dims.end()[-1];
  if (b_dims.end()[-2] != k) {
    throw input_error("expected matrices that multiply, got shapes " + to_string(a.dims()) + " and " +
                      to_string(b.dims()));
  }
  const Dims a_stack(a_dims.begin(), a_dims.end() - 2), b_stack(b_dims.begin(), b_dims.end() - 2);
  const Dims stack = broadcast_dims(a_stack, b_stack);
  const Dims a_strides = broadcast_strides(a_stack, stack), b_strides = broadcast_strides(b_stack, stack);
  Dims dims = stack;
  if (a.rank() > 1) dims.push_back(m);
  if (b.rank() > 1) dims.push_back(n);
  const int64_t count = element_count(dims, dtype_size(a.dtype()));
  return dispatch_wide(a.dtype(), [&]<class W>() {
    const std::vector<W> left = widen<W>(a), right = widen<W>(b);
    std::vector<W> dst(static_cast<size_t>(count));
    W* out = dst.data();
    if (count != 0) {
      reference::walk(stack, a_strides, b_strides, [&](int64_t i, int64_t j) {
        reference::matmul(m, n, k, left.data() + i * m * k, right.data() + j * k * n, out);
        out += m * n;
      });
    }
    return narrow(a.dtype(), dims, dst);
  });
}

}  // namespace xdn
