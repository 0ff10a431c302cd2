#include <algorithm>
#include <functional>
#include <limits>

#include "executor/reference_internal.h"
#include "graph/window.h"
#include "kernels/reference/spatial.h"

namespace xdn {
namespace {

using reference::Extent3;

/// Spatial axes the kernels loop over.
constexpr size_t kSpatial = 3;
/// Bounds every field of a window, so that positions never overflow.
constexpr int64_t kMostWindow = (int64_t{1} << 31) - 1;

void require_field(const Dims& values, size_t rank, int64_t least, const char* what) {
  if (values.size() != rank) {
    throw input_error(std::string("expected ") + std::to_string(rank) + " " + what + ", got " +
                      std::to_string(values.size()));
  }
  for (const int64_t value : values) {
    if (value < least || value > kMostWindow) {
      throw input_error(std::string("expected ") + what + " of at least " + std::to_string(least) + ", got " +
                        to_string(values));
    }
  }
}

/// What of x and the window matters to the loops, leading extents of 1 added up to three spatial axes.
struct Spatial {
  Extent3 in{1, 1, 1}, out{1, 1, 1};
  reference::Window3 window;
  Dims out_dims;  ///< [n, c, out...], c as in x
};

Spatial spatial(const Tensor& x, const Window& window, bool ceil_mode) {
  require_rank(x, 2, "an input");
  const size_t rank = x.rank() - 2;
  if (rank > kSpatial) throw input_error("expected at most 3 spatial axes, got shape " + to_string(x.dims()));
  require_field(window.kernel, rank, 1, "kernel extents");
  require_field(window.strides, rank, 1, "strides");
  require_field(window.dilations, rank, 1, "dilations");
  require_field(window.pads_begin, rank, 0, "pads");
  require_field(window.pads_end, rank, 0, "pads");
  element_count(window.kernel);
  Spatial s;
  s.out_dims = {x.dim(0), x.dim(1)};
  for (size_t axis = 0; axis < rank; ++axis) {
    const size_t i = kSpatial - rank + axis;
    element_count({x.dim(axis + 2)});
    s.in[i] = x.dim(axis + 2);
    s.window.kernel[i] = window.kernel[axis];
    s.window.stride[i] = window.strides[axis];
    s.window.dilation[i] = window.dilations[axis];
    s.window.pad[i] = window.pads_begin[axis];
    s.window.pad_end[i] = window.pads_end[axis];
    s.out[i] = pool_output_extent(s.in[i], window.kernel[axis], window.strides[axis], window.dilations[axis],
                                  window.pads_begin[axis], window.pads_end[axis], ceil_mode);
    if (s.out[i] < 1) {
      throw input_error("expected a window no larger than the padded input, got input shape " +
                        to_string(x.dims()) + " and kernel " + to_string(window.kernel));
    }
    s.out_dims.push_back(s.out[i]);
  }
  return s;
}

Tensor global_average(const Tensor& x) {
  require_rank(x, 2, "an input");
  require_floating(x, "an input");
  const int64_t planes = product(x.dims(), 0, 2), inner = product(x.dims(), 2, x.rank());
  Dims out_dims(x.rank(), 1);
  std::copy_n(x.dims().begin(), 2, out_dims.begin());
  reference::PoolShape shape{.planes = planes, .in = {1, 1, inner}, .out = {1, 1, 1}, .window = {}};
  shape.window.kernel = shape.in;
  const std::vector<double> src = widen<double>(x);
  std::vector<double> dst(static_cast<size_t>(planes));
  reference::average_pool(shape, src.data(), false, dst.data());
  return narrow(x.dtype(), out_dims, dst);
}

/// What a window without any element gives.
template <class W>
W lowest_of(DType dtype) {
  if (is_floating(dtype)) return static_cast<W>(-std::numeric_limits<double>::infinity());
  return dispatch_dtype(dtype, []<class T>() -> W {
    if constexpr (std::is_integral_v<T>) return static_cast<W>(std::numeric_limits<T>::min());
    return W{0};
  });
}

}  // namespace

Tensor evaluate_conv(const Evaluation& e) {
  const Tensor &x = e.input(0), &w = e.input(1);
  const Tensor *bias = e.optional(2), *residual = e.optional(3);
  const auto& attrs = e.node.as<ConvAttrs>();
  require_floating(x, "an input");
  require_same_dtype(x, w);
  Spatial s = spatial(x, attrs.window, false);
  const int64_t channels = x.dim(1), group = attrs.group;
  if (group < 1 || w.rank() != x.rank() || channels % group != 0 || w.dim(0) % group != 0 ||
      w.dim(1) != channels / group ||
      !std::equal(attrs.window.kernel.begin(), attrs.window.kernel.end(), w.dims().begin() + 2)) {
    throw input_error("expected weights [oc," + to_string({channels}) + "/group,kernel], got " +
                      to_string(w.dims()) + " with group " + std::to_string(group) + " and kernel " +
                      to_string(attrs.window.kernel));
  }
  s.out_dims[1] = w.dim(0);
  const int64_t count = element_count(s.out_dims, dtype_size(x.dtype()));
  if (bias != nullptr) {
    require_same_dtype(x, *bias);
    require_size(*bias, w.dim(0), "a bias");
  }
  if (residual != nullptr) {
    require_same_dtype(x, *residual);
    if (residual->dims() != s.out_dims) {
      throw input_error("expected a residual of shape " + to_string(s.out_dims) + ", got " +
                        to_string(residual->dims()));
    }
  }

  const reference::ConvShape shape{.n = x.dim(0),
                                   .group = group,
                                   .ic = w.dim(1),
                                   .oc = w.dim(0) / group,
                                   .in = s.in,
                                   .out = s.out,
                                   .window = s.window};
  const std::vector<double> src = widen<double>(x), weights = widen<double>(w);
  const std::vector<double> offsets = bias == nullptr ? std::vector<double>{} : widen<double>(*bias);
  std::vector<double> dst(static_cast<size_t>(count));
  if (count != 0)
    reference::conv(shape, src.data(), weights.data(), bias == nullptr ? nullptr : offsets.data(),
                    dst.data());
  if (residual != nullptr) {
    const std::vector<double> addend = widen<double>(*residual);
    std::transform(dst.begin(), dst.end(), addend.begin(), dst.begin(), std::plus<>());
  }
  apply_activation(attrs.act, dst);
  return narrow(x.dtype(), s.out_dims, dst);
}

Tensor evaluate_pool(const Evaluation& e) {
  const Tensor& x = e.input(0);
  if (e.node.type == OpType::kGlobalAveragePool) return global_average(x);
  const auto& attrs = e.node.as<PoolAttrs>();
  const Spatial s = spatial(x, attrs.window, attrs.ceil_mode);
  const int64_t count = element_count(s.out_dims, dtype_size(x.dtype()));
  const reference::PoolShape shape{
      .planes = product(x.dims(), 0, 2), .in = s.in, .out = s.out, .window = s.window};
  if (e.node.type == OpType::kMaxPool) {
    return dispatch_wide(x.dtype(), [&]<class W>() {
      const std::vector<W> src = widen<W>(x);
      std::vector<W> dst(static_cast<size_t>(count));
      reference::max_pool(shape, src.data(), lowest_of<W>(x.dtype()), dst.data());
      return narrow(x.dtype(), s.out_dims, dst);
    });
  }
  require_floating(x, "an input");
  const std::vector<double> src = widen<double>(x);
  std::vector<double> dst(static_cast<size_t>(count));
  reference::average_pool(shape, src.data(), attrs.count_include_pad, dst.data());
  return narrow(x.dtype(), s.out_dims, dst);
}

Tensor evaluate_lrn(const Evaluation& e) {
  const Tensor& x = e.input(0);
  const auto& attrs = e.node.as<LrnAttrs>();
  require_floating(x, "an input");
  require_rank(x, attrs.within_channel ? 4 : 2, "an input");
  if (attrs.size < 1 || attrs.size > kMostWindow) {
    throw input_error("expected a size of at least 1, got " + std::to_string(attrs.size));
  }
  if (attrs.within_channel && x.rank() != 4) {
    throw input_error("expected an input [n,c,h,w], got shape " + to_string(x.dims()));
  }
  const reference::LrnParams params{
      .size = attrs.size, .alpha = attrs.alpha, .beta = attrs.beta, .bias = attrs.bias};
  const std::vector<double> src = widen<double>(x);
  std::vector<double> dst(src.size());
  if (src.empty()) return x;
  if (attrs.within_channel) {
    reference::lrn_within(params, x.dim(0) * x.dim(1), x.dim(2), x.dim(3), src.data(), dst.data());
  } else {
    reference::lrn_across(params, x.dim(0), x.dim(1), product(x.dims(), 2, x.rank()), src.data(), dst.data());
  }
  return narrow(x.dtype(), x.dims(), dst);
}

}  // namespace xdn
