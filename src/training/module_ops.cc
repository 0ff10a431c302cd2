#include "training/module_ops.h"

#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace xdn::training {
namespace {

at::Tensor gemm(const GemmAttrs& attrs, std::span<const at::Tensor> inputs) {
  const at::Tensor &a = inputs[0], b = like(inputs[1], a);
  const at::Tensor c = inputs.size() > 2 && inputs[2].defined() ? like(inputs[2], a) : at::Tensor();
  if (!attrs.trans_a && attrs.trans_b && attrs.alpha == 1 && attrs.beta == 1 &&
      (!c.defined() || (c.dim() == 1 && c.size(0) == b.size(0)))) {
    return apply_activation(attrs.act, at::linear(a, b, c));
  }
  at::Tensor y = at::matmul(attrs.trans_a ? a.t() : a, attrs.trans_b ? b.t() : b);
  if (attrs.alpha != 1) y = at::mul(y, attrs.alpha);
  if (c.defined()) y = at::add(y, c, attrs.beta);
  return apply_activation(attrs.act, y);
}

/// Both operands in the type of an activation, if one is of a narrower type than f32.
std::pair<at::Tensor, at::Tensor> operands(std::span<const at::Tensor> inputs) {
  const at::Tensor &a = inputs[0], &b = inputs[1];
  if (a.scalar_type() == b.scalar_type()) return {a, b};
  return a.scalar_type() == at::kFloat ? std::pair{a.to(b.scalar_type()), b} : std::pair{a, like(b, a)};
}

at::Tensor slice(const SliceAttrs& attrs, at::Tensor x) {
  for (size_t i = 0; i < attrs.axes.size(); ++i) {
    const int64_t axis = attrs.axes[i], extent = x.size(axis), step = attrs.steps[i];
    if (step > 0) {
      x = at::slice(x, axis, std::min(attrs.starts[i], extent), std::min(attrs.ends[i], extent), step);
      continue;
    }
    std::vector<int64_t> indices;
    for (int64_t at = std::min(attrs.starts[i], extent - 1); at > attrs.ends[i]; at += step) {
      indices.push_back(at);
    }
    x = at::index_select(x, axis, at::tensor(indices, at::TensorOptions(at::kLong).device(x.device())));
  }
  return x;
}

at::Tensor pad(const PadAttrs& attrs, at::Tensor x) {
  if (attrs.mode == PadMode::kConstant) {
    std::vector<int64_t> pairs;
    for (size_t i = attrs.begin.size(); i-- > 0;) {
      pairs.push_back(attrs.begin[i]);
      pairs.push_back(attrs.end[i]);
    }
    return at::constant_pad_nd(x, pairs, attrs.value);
  }
  for (size_t axis = 0; axis < attrs.begin.size(); ++axis) {
    if (attrs.begin[axis] == 0 && attrs.end[axis] == 0) continue;
    const int64_t extent = x.size(static_cast<int64_t>(axis)), last = extent - 1;
    std::vector<int64_t> indices;
    for (int64_t at = -attrs.begin[axis]; at < extent + attrs.end[axis]; ++at) {
      int64_t from = std::clamp<int64_t>(at, 0, last);
      if (attrs.mode == PadMode::kReflect) from = last == 0 ? 0 : last - std::abs(last - std::abs(at));
      indices.push_back(from);
    }
    x = at::index_select(x, static_cast<int64_t>(axis),
                         at::tensor(indices, at::TensorOptions(at::kLong).device(x.device())));
  }
  return x;
}

at::Tensor softmax(const SoftmaxAttrs& attrs, const at::Tensor& x) {
  if (!attrs.to_end) return at::softmax(x, attrs.axis);
  return at::softmax(x.flatten(attrs.axis), attrs.axis).reshape(x.sizes());
}

at::Tensor flatten(int64_t axis, const at::Tensor& x) {
  const auto sizes = x.sizes();
  const auto product = [](at::IntArrayRef part) {
    return std::accumulate(part.begin(), part.end(), int64_t{1}, std::multiplies<>());
  };
  return x.reshape(
      {product(sizes.slice(0, static_cast<size_t>(axis))), product(sizes.slice(static_cast<size_t>(axis)))});
}

/// The free batch takes what the other extents leave.
at::Tensor reshape(const Dims& shape, const at::Tensor& x) {
  static_assert(kBatch == -1);
  return x.reshape(shape);
}

at::Tensor mean(std::vector<int64_t> axes, bool keep, const at::Tensor& x) { return at::mean(x, axes, keep); }

std::vector<int64_t> spatial_axes(const at::Tensor& x) {
  std::vector<int64_t> axes;
  for (int64_t axis = 2; axis < x.dim(); ++axis) axes.push_back(axis);
  return axes;
}

std::vector<at::Tensor> same_type(std::span<const at::Tensor> inputs) {
  std::vector<at::Tensor> parts(inputs.begin(), inputs.end());
  const auto narrow = std::find_if(parts.begin(), parts.end(),
                                   [](const at::Tensor& part) { return part.scalar_type() != at::kFloat; });
  if (narrow != parts.end()) {
    const at::ScalarType type = narrow->scalar_type();
    for (at::Tensor& part : parts) part = part.to(type);
  }
  return parts;
}

}  // namespace

bool has_gradient(OpType type) {
  switch (type) {
    case OpType::kPow:
    case OpType::kGather:
    case OpType::kCast:
    case OpType::kLrn:
    case OpType::kQuantizeLinear:
    case OpType::kDequantizeLinear:
      return false;
    default:
      return true;
  }
}

at::Tensor evaluate_op(const Node& node, std::span<const at::Tensor> inputs, bool in_place) {
  at::Tensor x = inputs[0];
  switch (node.type) {
    case OpType::kConv:
      return evaluate_conv(node.as<ConvAttrs>(), inputs);
    case OpType::kGemm:
      return gemm(node.as<GemmAttrs>(), inputs);
    case OpType::kMatMul: {
      const auto [a, b] = operands(inputs);
      return at::matmul(a, b);
    }
    case OpType::kRelu:
      return in_place ? at::relu_(x) : at::relu(x);
    case OpType::kLeakyRelu:
      return at::leaky_relu(x, node.as<LeakyReluAttrs>().alpha);
    case OpType::kPRelu:
      return at::where(x < 0, at::mul(x, like(inputs[1], x)), x);
    case OpType::kClip: {
      const auto& clip = node.as<ClipAttrs>();
      return at::clamp(x, clip.min, clip.max);
    }
    case OpType::kSigmoid:
      return at::sigmoid(x);
    case OpType::kHardSigmoid: {
      const auto& hard = node.as<HardSigmoidAttrs>();
      return at::clamp(at::add(at::mul(x, hard.alpha), hard.beta), 0, 1);
    }
    case OpType::kHardSwish:
      return at::hardswish(x);
    case OpType::kAdd: {
      const auto [a, b] = operands(inputs);
      return at::add(a, b);
    }
    case OpType::kSub: {
      const auto [a, b] = operands(inputs);
      return at::sub(a, b);
    }
    case OpType::kMul: {
      const auto [a, b] = operands(inputs);
      return at::mul(a, b);
    }
    case OpType::kDiv: {
      const auto [a, b] = operands(inputs);
      return at::div(a, b);
    }
    case OpType::kMax: {
      const auto [a, b] = operands(inputs);
      return at::maximum(a, b);
    }
    case OpType::kMaxPool:
      return evaluate_max_pool(node.as<PoolAttrs>(), x);
    case OpType::kAveragePool:
      return evaluate_average_pool(node.as<PoolAttrs>(), x);
    case OpType::kGlobalAveragePool:
      return x.dim() == 2 ? x : mean(spatial_axes(x), true, x);
    case OpType::kReduceMean:
      return mean(node.as<ReduceAttrs>().axes, node.as<ReduceAttrs>().keepdims, x);
    case OpType::kReshape:
      return reshape(node.as<ReshapeAttrs>().shape, x);
    case OpType::kFlatten:
      return flatten(node.as<FlattenAttrs>().axis, x);
    case OpType::kTranspose:
      return x.permute(node.as<TransposeAttrs>().perm);
    case OpType::kConcat:
      return at::cat(same_type(inputs), node.as<AxisAttrs>().axis);
    case OpType::kSlice:
      return slice(node.as<SliceAttrs>(), x);
    case OpType::kPad:
      return pad(node.as<PadAttrs>(), x);
    case OpType::kIdentity:
      return x;
    case OpType::kSoftmax:
      return softmax(node.as<SoftmaxAttrs>(), x);
    case OpType::kBatchNorm:
    case OpType::kPow:
    case OpType::kGather:
    case OpType::kCast:
    case OpType::kLrn:
    case OpType::kQuantizeLinear:
    case OpType::kDequantizeLinear:
      break;
  }
  check_failed("an operator that Module accepts", __FILE__, __LINE__);
}

}  // namespace xdn::training
