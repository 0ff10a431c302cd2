#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "executor/reference_internal.h"
#include "kernels/reference/elementwise.h"

namespace xdn {
namespace {

reference::Binary binary_of(OpType type) {
  switch (type) {
    case OpType::kAdd:
      return reference::Binary::kAdd;
    case OpType::kSub:
      return reference::Binary::kSub;
    case OpType::kMul:
      return reference::Binary::kMul;
    case OpType::kDiv:
      return reference::Binary::kDiv;
    case OpType::kMax:
      return reference::Binary::kMax;
    default:
      return reference::Binary::kPRelu;
  }
}

/// Integers are clipped in their own type: a bound they cannot hold becomes their nearest.
Tensor clip_integers(const Tensor& x, const ClipAttrs& attrs) {
  return dispatch_dtype(x.dtype(), [&]<class T>() -> Tensor {
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
      using W = std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>;
      constexpr W kLow = std::numeric_limits<T>::min(), kHigh = std::numeric_limits<T>::max();
      const W low =
          std::isnan(attrs.min) ? kLow : reference::saturate_to(std::ceil(double{attrs.min}), kLow, kHigh);
      const W high =
          std::isnan(attrs.max) ? kHigh : reference::saturate_to(std::floor(double{attrs.max}), kLow, kHigh);
      std::vector<W> values = widen<W>(x);
      for (W& value : values) value = std::min(std::max(value, low), high);
      return narrow(x.dtype(), x.dims(), values);
    } else {
      throw input_error("expected numbers, got " + std::string(dtype_name(x.dtype())));
    }
  });
}

}  // namespace

Tensor evaluate_binary(const Evaluation& e) {
  const Tensor &a = e.input(0), &b = e.input(1);
  require_same_dtype(a, b);
  const Dims dims = broadcast_dims(a.dims(), b.dims());
  const Dims a_strides = broadcast_strides(a.dims(), dims), b_strides = broadcast_strides(b.dims(), dims);
  const int64_t count = element_count(dims, dtype_size(a.dtype()));
  return dispatch_wide(a.dtype(), [&]<class W>() {
    const std::vector<W> left = widen<W>(a), right = widen<W>(b);
    std::vector<W> dst(static_cast<size_t>(count));
    reference::binary(binary_of(e.node.type), dims, left.data(), a_strides, right.data(), b_strides,
                      dst.data());
    return narrow(a.dtype(), dims, dst);
  });
}

Tensor evaluate_pow(const Evaluation& e) {
  const Tensor &base = e.input(0), &exponent = e.input(1);
  const Dims dims = broadcast_dims(base.dims(), exponent.dims());
  const Dims base_strides = broadcast_strides(base.dims(), dims);
  const Dims exponent_strides = broadcast_strides(exponent.dims(), dims);
  const int64_t count = element_count(dims, dtype_size(base.dtype()));
  return dispatch_wide(base.dtype(), [&]<class W>() {
    return dispatch_wide(exponent.dtype(), [&]<class E>() {
      const std::vector<W> bases = widen<W>(base);
      const std::vector<E> exponents = widen<E>(exponent);
      std::vector<W> dst(static_cast<size_t>(count));
      reference::power(dims, bases.data(), base_strides, exponents.data(), exponent_strides, dst.data());
      return narrow(base.dtype(), dims, dst);
    });
  });
}

Tensor evaluate_unary(const Evaluation& e) {
  const Tensor& x = e.input(0);
  if (e.node.type == OpType::kRelu && !is_floating(x.dtype())) return clip_integers(x, ClipAttrs{.min = 0});
  if (e.node.type == OpType::kClip && !is_floating(x.dtype()))
    return clip_integers(x, e.node.as<ClipAttrs>());
  require_floating(x, "an input");
  std::vector<double> values = widen<double>(x);
  const auto apply = [&](reference::Unary op, double a = 0, double b = 0) {
    reference::unary(op, a, b, values.data(), x.size());
    return narrow(x.dtype(), x.dims(), values);
  };
  switch (e.node.type) {
    case OpType::kRelu:
      return apply(reference::Unary::kRelu);
    case OpType::kLeakyRelu:
      return apply(reference::Unary::kLeakyRelu, e.node.as<LeakyReluAttrs>().alpha);
    case OpType::kClip:
      return apply(reference::Unary::kClip, e.node.as<ClipAttrs>().min, e.node.as<ClipAttrs>().max);
    case OpType::kSigmoid:
      return apply(reference::Unary::kSigmoid);
    case OpType::kHardSigmoid:
      return apply(reference::Unary::kHardSigmoid, e.node.as<HardSigmoidAttrs>().alpha,
                   e.node.as<HardSigmoidAttrs>().beta);
    default:
      XDN_CHECK(e.node.type == OpType::kHardSwish);
      return apply(reference::Unary::kHardSwish);
  }
}

}  // namespace xdn
