#include <cmath>

#include "executor/lowering.h"

namespace xdn {

std::unique_ptr<Step> Lowering::lower_conv(const Node& node) {
  const auto& attrs = node.as<ConvAttrs>();
  const ValueId w = node.input(1), bias = node.input(2), residual = node.input(3);
  if (!on_map(node.output) || !graph_.is_constant(w) || (bias != kNoValue && !graph_.is_constant(bias)))
    return nullptr;
  if (residual != kNoValue && buffer_of(residual) < 0) return nullptr;
  const Dims& wd = graph_.constant(w).dims();
  DenseSpec spec;
  DenseOperand operand;
  operand.src = buffer_of(node.input(0));
  operand.weights = &graph_.constant(w);
  operand.kernel_h = wd[2];
  operand.kernel_w = wd[3];
  operand.stride_h = attrs.window.strides[0];
  operand.stride_w = attrs.window.strides[1];
  operand.dilation_h = attrs.window.dilations[0];
  operand.dilation_w = attrs.window.dilations[1];
  operand.pad_top = attrs.window.pads_begin[0];
  operand.pad_left = attrs.window.pads_begin[1];
  spec.operands = {operand};
  spec.group = attrs.group;
  spec.bias = bias == kNoValue ? nullptr : floats(bias);
  spec.residual = residual == kNoValue ? -1 : buffer_of(residual);
  spec.act = attrs.act;
  spec.dst = make_buffer(shape(node.output));
  define(node.output, spec.dst);
  if (pixels_pending_ && node.input(0) == input_) {
    pixels_pending_ = false;
    return make_stem_step(*plan_, spec, options_.pixels, plan_->input_shape, table_);
  }
  const int64_t ic = wd[1] * attrs.group;
  if (spec.residual < 0 && stem_pays(ic, wd[2], wd[3], attrs.group)) {
    const Dims& in = shape(node.input(0));
    return make_stem_step(*plan_, spec, nullptr, Dims(in.begin() + 1, in.end()), table_);
  }
  const bool depthwise = wd[1] == 1 && attrs.group == wd[0] && attrs.group > 1;
  auto step = depthwise ? make_depthwise_step(*plan_, spec, table_) : nullptr;
  return step != nullptr ? std::move(step) : make_dense_step(*plan_, spec, table_, options_.parts);
}

/// x [N, k] times a constant [k, m] (or its transpose), as a 1x1 convolution over one position.
std::unique_ptr<Step> Lowering::lower_gemm(const Node& node) {
  GemmAttrs attrs;
  if (node.type == OpType::kGemm) attrs = node.as<GemmAttrs>();
  const ValueId a = node.input(0), b = node.input(1), c = node.input(2);
  if (shape(a).size() != 2 || buffer_of(a) < 0 || !graph_.is_constant(b) || shape(b).size() != 2 ||
      attrs.trans_a || shape(node.output).size() != 2) {
    return nullptr;
  }
  const Tensor& weights = graph_.constant(b);
  const int64_t k = shape(a)[1], oc = shape(node.output)[1];
  auto packed = std::make_unique<Tensor>(DType::kF32, Dims{oc, k, 1, 1});
  const auto src = weights.data<float>();
  const auto dst = packed->mutable_data<float>();
  for (int64_t j = 0; j < oc; ++j) {
    for (int64_t i = 0; i < k; ++i) {
      dst[static_cast<size_t>(j * k + i)] =
          attrs.alpha * src[static_cast<size_t>(attrs.trans_b ? j * k + i : i * oc + j)];
    }
  }
  DenseSpec spec;
  std::vector<float> bias;
  if (c != kNoValue) {
    if (!graph_.is_constant(c)) return nullptr;
    const Tensor& t = graph_.constant(c);
    if (t.size() != 1 && t.size() != oc) return nullptr;
    if (t.size() == oc && t.rank() >= 1 && t.dims().back() != oc) return nullptr;
    bias.resize(static_cast<size_t>(oc));
    for (size_t j = 0; j < bias.size(); ++j) bias[j] = attrs.beta * t.data<float>()[t.size() == 1 ? 0 : j];
    spec.bias = bias.data();
  }
  DenseOperand operand;
  operand.src = buffer_of(a);
  operand.weights = packed.get();
  spec.operands = {operand};
  spec.act = attrs.act;
  spec.dst = make_buffer(shape(node.output));
  define(node.output, spec.dst);
  return make_dense_step(*plan_, spec, table_, options_.parts);
}

/// y = x * s + t per channel, as a depthwise 1x1 convolution.
std::unique_ptr<Step> Lowering::lower_batchnorm(const Node& node) {
  for (size_t i = 1; i < 5; ++i) {
    if (!graph_.is_constant(node.input(i))) return nullptr;
  }
  if (!on_map(node.output)) return nullptr;
  const int64_t channels = shape(node.output)[1];
  Tensor weights(DType::kF32, {channels, 1, 1, 1});
  std::vector<float> bias(static_cast<size_t>(channels));
  const auto w = weights.mutable_data<float>();
  for (size_t c = 0; c < bias.size(); ++c) {
    const double scale = static_cast<double>(floats(node.input(1))[c]) /
                         std::sqrt(static_cast<double>(floats(node.input(4))[c]) +
                                   static_cast<double>(node.as<BatchNormAttrs>().epsilon));
    w[c] = static_cast<float>(scale);
    bias[c] = static_cast<float>(static_cast<double>(floats(node.input(2))[c]) -
                                 static_cast<double>(floats(node.input(3))[c]) * scale);
  }
  DenseSpec spec;
  DenseOperand operand;
  operand.src = buffer_of(node.input(0));
  operand.weights = &weights;
  spec.operands = {operand};
  spec.group = channels;
  spec.bias = bias.data();
  spec.dst = make_buffer(shape(node.output));
  define(node.output, spec.dst);
  return make_depthwise_step(*plan_, spec, table_);
}

}  // namespace xdn
