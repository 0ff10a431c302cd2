#include <torch/torch.h>

#include <limits>
#include <numeric>

#include "base/error.h"
#include "graph/window.h"
#include "training/module_ops.h"

namespace xdn::training {
namespace {

/// Padding as ATen wants it: begin and end of the last axis first.
std::vector<int64_t> pad_list(const Dims& begin, const Dims& end) {
  std::vector<int64_t> pairs;
  for (size_t i = begin.size(); i-- > 0;) {
    pairs.push_back(begin[i]);
    pairs.push_back(end[i]);
  }
  return pairs;
}

Dims spatial_of(const at::Tensor& x) { return x.sizes().slice(2).vec(); }

Dims pool_extents(const PoolAttrs& attrs, const Dims& in) {
  const Window& w = attrs.window;
  Dims out;
  for (size_t i = 0; i < in.size(); ++i) {
    out.push_back(pool_output_extent(in[i], w.kernel[i], w.strides[i], w.dilations[i], w.pads_begin[i],
                                     w.pads_end[i], attrs.ceil_mode));
  }
  return out;
}

/// What must stand behind each axis, so that exactly the windows of `out` fit; negative where the last
/// elements are never read.
Dims end_pads(const PoolAttrs& attrs, const Dims& in, const Dims& out) {
  const Window& w = attrs.window;
  Dims end;
  for (size_t i = 0; i < in.size(); ++i) {
    end.push_back((out[i] - 1) * w.strides[i] + dilated_extent(w.kernel[i], w.dilations[i]) - in[i] -
                  w.pads_begin[i]);
  }
  return end;
}

/// Whether ATen's own pools take the window: equal pads of at most half the kernel.
bool plain(const Window& window) {
  if (window.pads_begin != window.pads_end) return false;
  for (size_t i = 0; i < window.kernel.size(); ++i) {
    if (2 * window.pads_begin[i] > window.kernel[i]) return false;
  }
  return true;
}

bool all_are(const Dims& values, int64_t expected) {
  return std::all_of(values.begin(), values.end(), [&](int64_t value) { return value == expected; });
}

/// Sums over the windows of planes [p, 1, in...], padded already.
at::Tensor window_sums(const at::Tensor& planes, const Window& w) {
  std::vector<int64_t> shape{1, 1};
  shape.insert(shape.end(), w.kernel.begin(), w.kernel.end());
  const Dims none(w.kernel.size(), 0);
  return at::convolution(planes, at::ones(shape, planes.options()), {}, w.strides, none, w.dilations, false,
                         none, 1);
}

}  // namespace

at::Tensor like(const at::Tensor& tensor, const at::Tensor& x) {
  return tensor.scalar_type() == x.scalar_type() ? tensor : tensor.to(x.scalar_type());
}

at::Tensor apply_activation(const Activation& act, at::Tensor x) {
  switch (act.kind) {
    case ActKind::kNone:
      break;
    case ActKind::kRelu:
      return at::relu_(x);
    case ActKind::kLeakyRelu:
      return at::leaky_relu(x, act.a);
    case ActKind::kClip:
      return at::clamp(x, act.a, act.b);
  }
  return x;
}

at::Tensor evaluate_conv(const ConvAttrs& attrs, std::span<const at::Tensor> inputs) {
  const Window& w = attrs.window;
  at::Tensor x = inputs[0];
  const at::Tensor weights = like(inputs[1], x);
  const at::Tensor bias = inputs.size() > 2 && inputs[2].defined() ? like(inputs[2], x) : at::Tensor();
  Dims pads = w.pads_begin;
  if (w.pads_begin != w.pads_end) {
    x = at::constant_pad_nd(x, pad_list(w.pads_begin, w.pads_end));
    pads.assign(pads.size(), 0);
  }
  at::Tensor y = at::convolution(x, weights, bias, w.strides, pads, w.dilations, false, Dims(pads.size(), 0),
                                 attrs.group);
  if (inputs.size() > 3 && inputs[3].defined()) y.add_(like(inputs[3], y));
  return apply_activation(attrs.act, y);
}

at::Tensor evaluate_max_pool(const PoolAttrs& attrs, const at::Tensor& x) {
  Window w = attrs.window;
  at::Tensor src = x;
  bool ceil = attrs.ceil_mode;
  if (!plain(w)) {
    const Dims in = spatial_of(x), out = pool_extents(attrs, in);
    src = at::constant_pad_nd(x, pad_list(w.pads_begin, end_pads(attrs, in, out)),
                              -std::numeric_limits<float>::infinity());
    w.pads_begin.assign(in.size(), 0);
    ceil = false;
  }
  switch (w.kernel.size()) {
    case 1:
      return at::max_pool1d(src, w.kernel, w.strides, w.pads_begin, w.dilations, ceil);
    case 2:
      return at::max_pool2d(src, w.kernel, w.strides, w.pads_begin, w.dilations, ceil);
    case 3:
      return at::max_pool3d(src, w.kernel, w.strides, w.pads_begin, w.dilations, ceil);
    default:
      throw input_error("expected 1 to 3 spatial axes, got " + std::to_string(w.kernel.size()));
  }
}

at::Tensor evaluate_average_pool(const PoolAttrs& attrs, const at::Tensor& x) {
  const Window& w = attrs.window;
  const Dims in = spatial_of(x);
  if (w.kernel == in && all_are(w.pads_begin, 0) && all_are(w.pads_end, 0)) {
    std::vector<int64_t> axes(in.size());
    std::iota(axes.begin(), axes.end(), 2);
    return at::mean(x, axes, true);
  }
  if (plain(w) && all_are(w.dilations, 1)) {
    switch (w.kernel.size()) {
      case 1:
        return at::avg_pool1d(x, w.kernel, w.strides, w.pads_begin, attrs.ceil_mode, attrs.count_include_pad);
      case 2:
        return at::avg_pool2d(x, w.kernel, w.strides, w.pads_begin, attrs.ceil_mode, attrs.count_include_pad);
      case 3:
        return at::avg_pool3d(x, w.kernel, w.strides, w.pads_begin, attrs.ceil_mode, attrs.count_include_pad);
      default:
        break;
    }
  }
  if (in.empty() || in.size() > 3) {
    throw input_error("expected 1 to 3 spatial axes, got " + std::to_string(in.size()));
  }
  const Dims out = pool_extents(attrs, in), end = end_pads(attrs, in, out);
  std::vector<int64_t> plane{x.size(0) * x.size(1), 1}, one{1, 1};
  plane.insert(plane.end(), in.begin(), in.end());
  one.insert(one.end(), in.begin(), in.end());
  const at::Tensor sums = window_sums(at::constant_pad_nd(x.reshape(plane), pad_list(w.pads_begin, end)), w);
  at::Tensor counted = at::ones(one, x.options().requires_grad(false));
  if (attrs.count_include_pad) {
    Dims behind;  // ceil_mode's windows reach further, but that does not count
    for (size_t i = 0; i < end.size(); ++i) behind.push_back(end[i] - w.pads_end[i]);
    counted = at::constant_pad_nd(counted, pad_list(w.pads_begin, w.pads_end), 1);
    counted = at::constant_pad_nd(counted, pad_list(Dims(in.size(), 0), behind));
  } else {
    counted = at::constant_pad_nd(counted, pad_list(w.pads_begin, end));
  }
  std::vector<int64_t> shape{x.size(0), x.size(1)};
  shape.insert(shape.end(), out.begin(), out.end());
  return at::div(sums, at::clamp_min(window_sums(counted, w), 1)).reshape(shape);
}

}  // namespace xdn::training
