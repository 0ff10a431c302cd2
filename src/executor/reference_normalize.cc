#include <algorithm>
#include <array>
#include <limits>
#include <type_traits>
#include <utility>

#include "executor/reference_internal.h"
#include "kernels/reference/normalize.h"
#include "kernels/reference/quantize.h"
#include "kernels/reference/walk.h"

namespace xdn {
namespace {

std::vector<float> to_floats(const Tensor& tensor) {
  const std::vector<double> wide = widen<double>(tensor);
  std::vector<float> values(wide.size());
  std::transform(wide.begin(), wide.end(), values.begin(),
                 [](double value) { return static_cast<float>(value); });
  return values;
}

/// Range of the type, which is an integer of at most 32 bits; anything else is an input error.
std::pair<int64_t, int64_t> quantized_range(DType dtype) {
  return dispatch_dtype(dtype, [&]<class T>() -> std::pair<int64_t, int64_t> {
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool> && sizeof(T) <= 4) {
      return {std::numeric_limits<T>::min(), std::numeric_limits<T>::max()};
    } else {
      throw input_error("expected a quantized type, got " + std::string(dtype_name(dtype)));
    }
  });
}

/// How scale and zero_point lie along x, and their checks.
struct QuantizeParams {
  reference::QuantizeShape shape;
  std::vector<float> scale;
  std::vector<int64_t> zero_point;

  const int64_t* zero_point_or_null() const { return zero_point.empty() ? nullptr : zero_point.data(); }
};

QuantizeParams quantize_params(const Evaluation& e, DType quantized) {
  const Tensor &x = e.input(0), &scale = e.input(1);
  const Tensor* zero_point = e.optional(2);
  require_floating(scale, "a scale");
  QuantizeParams params;
  if (scale.rank() == 0 || (scale.rank() == 1 && scale.dim(0) == 1)) {
    params.shape = {.outer = 1, .channels = 1, .inner = x.size()};
  } else {
    const size_t axis = require_axis(e.node.as<QuantizeAttrs>().axis, x.rank());
    if (scale.dims() != Dims{x.dim(axis)}) {
      throw input_error("expected a scale of shape [] or " + to_string({x.dim(axis)}) + ", got " +
                        to_string(scale.dims()));
    }
    params.shape = {.outer = product(x.dims(), 0, axis),
                    .channels = x.dim(axis),
                    .inner = product(x.dims(), axis + 1, x.rank())};
  }
  params.scale = to_floats(scale);
  if (zero_point != nullptr) {
    require_size(*zero_point, scale.size(), "a zero point");
    if (zero_point->dtype() != quantized) {
      throw input_error("expected a zero point of type " + std::string(dtype_name(quantized)) + ", got " +
                        std::string(dtype_name(zero_point->dtype())));
    }
    params.zero_point = zero_point->to_ints();
  }
  return params;
}

}  // namespace

Tensor evaluate_batch_norm(const Evaluation& e) {
  const Tensor& x = e.input(0);
  require_floating(x, "an input");
  require_rank(x, 1, "an input");
  const int64_t c = x.rank() == 1 ? 1 : x.dim(1);
  const int64_t inner = x.rank() == 1 ? 1 : product(x.dims(), 2, x.rank());
  constexpr std::array kNames{"a scale", "a bias", "a mean", "a variance"};
  std::array<std::vector<double>, kNames.size()> values;
  for (size_t i = 0; i < kNames.size(); ++i) {
    const Tensor& parameter = e.input(i + 1);
    require_floating(parameter, kNames[i]);
    require_size(parameter, c, kNames[i]);
    values[i] = widen<double>(parameter);
  }
  const reference::BatchNormParams params{.scale = values[0].data(),
                                          .bias = values[1].data(),
                                          .mean = values[2].data(),
                                          .variance = values[3].data(),
                                          .epsilon = e.node.as<BatchNormAttrs>().epsilon};
  const std::vector<double> src = widen<double>(x);
  std::vector<double> dst(src.size());
  if (!src.empty()) reference::batch_norm(params, x.dim(0), c, inner, src.data(), dst.data());
  return narrow(x.dtype(), x.dims(), dst);
}

Tensor evaluate_softmax(const Evaluation& e) {
  const Tensor& x = e.input(0);
  const auto& attrs = e.node.as<SoftmaxAttrs>();
  require_floating(x, "an input");
  const size_t axis = require_axis(attrs.axis, x.rank());
  const size_t last = attrs.to_end ? x.rank() : axis + 1;
  const std::vector<double> src = widen<double>(x);
  std::vector<double> dst(src.size());
  if (!src.empty()) {
    reference::softmax(product(x.dims(), 0, axis), product(x.dims(), axis, last),
                       product(x.dims(), last, x.rank()), src.data(), dst.data());
  }
  return narrow(x.dtype(), x.dims(), dst);
}

Tensor evaluate_reduce_mean(const Evaluation& e) {
  const Tensor& x = e.input(0);
  const auto& attrs = e.node.as<ReduceAttrs>();
  std::vector<bool> reduced(x.rank(), false);
  for (const int64_t axis : attrs.axes) {
    const size_t at = require_axis(axis, x.rank());
    if (reduced[at]) throw input_error("expected distinct axes, got " + to_string(attrs.axes));
    reduced[at] = true;
  }
  Dims kept = x.dims(), squeezed;
  Dims averaged;
  for (size_t i = 0; i < x.rank(); ++i) {
    if (reduced[i]) {
      averaged.push_back(x.dim(i));
      kept[i] = 1;
    } else {
      squeezed.push_back(x.dim(i));
    }
  }
  const int64_t count = element_count(averaged);
  Dims strides = reference::dense_strides(kept);
  for (size_t i = 0; i < x.rank(); ++i) {
    if (reduced[i]) strides[i] = 0;
  }
  const int64_t size = element_count(kept, dtype_size(x.dtype()));
  if (count == 0 && size != 0 && !is_floating(x.dtype())) {
    throw input_error("expected elements to average, got shape " + to_string(x.dims()));
  }
  return dispatch_wide(x.dtype(), [&]<class W>() {
    const std::vector<W> src = widen<W>(x);
    std::vector<W> dst(static_cast<size_t>(size));
    reference::reduce_sum(x.dims(), strides, src.data(), dst.data());
    for (W& value : dst) value /= static_cast<W>(count);
    return narrow(x.dtype(), attrs.keepdims ? kept : squeezed, dst);
  });
}

Tensor evaluate_quantize(const Evaluation& e) {
  const Tensor& x = e.input(0);
  const DType quantized = e.node.as<QuantizeAttrs>().dtype;
  const auto [low, high] = quantized_range(quantized);
  if (!is_floating(x.dtype()) && x.dtype() != DType::kI32) {
    throw input_error("expected an input of a floating type or i32, got " +
                      std::string(dtype_name(x.dtype())));
  }
  const QuantizeParams params = quantize_params(e, quantized);
  const std::vector<float> src = to_floats(x);
  std::vector<int64_t> levels(src.size());
  if (!src.empty()) {
    reference::quantize(params.shape, src.data(), params.scale.data(), params.zero_point_or_null(), low, high,
                        levels.data());
  }
  return Tensor::of(x.dims(), levels).converted(quantized);
}

Tensor evaluate_dequantize(const Evaluation& e) {
  const Tensor& x = e.input(0);
  quantized_range(x.dtype());
  const QuantizeParams params = quantize_params(e, x.dtype());
  const std::vector<int64_t> levels = x.to_ints();
  std::vector<double> dst(levels.size());
  if (!levels.empty()) {
    reference::dequantize(params.shape, levels.data(), params.scale.data(), params.zero_point_or_null(),
                          dst.data());
  }
  return narrow(e.input(1).dtype(), x.dims(), dst);
}

}  // namespace xdn
