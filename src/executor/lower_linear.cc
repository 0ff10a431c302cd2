#include <cmath>

#include "base/error.h"
#include "executor/image_lines.h"
#include "executor/lowering.h"

namespace xdn {
bool Lowering::read_image(const Node& conv, ValueId value, Elem elem, std::optional<QuantScale> quant) {
  if (conv.type != OpType::kConv || conv.input(0) != value || !known(conv.input(1)) ||
      conv.input(3) != kNoValue || (conv.input(2) != kNoValue && !known(conv.input(2)))) {
    return false;
  }
  const auto& attrs = conv.as<ConvAttrs>();
  const Dims& in = shape(input_);
  const Dims& out = shape(conv.output);
  if (attrs.window.kernel.size() != 2 || !stem_pays(in[1], attrs.window, attrs.group)) return false;
  std::string refused;
  if (quant.has_value() &&
      (attrs.act.kind == ActKind::kLeakyRelu || !levels_of(conv.input(1), out[1], false, refused)))
    return false;
  const Window& w = attrs.window;
  Buffer image;
  image.channels = in[1];
  image.height = (out[2] - 1) * w.strides[0] + (w.kernel[0] - 1) * w.dilations[0] + 1;
  image.width = (out[3] - 1) * w.strides[1] + w.kernel[1];
  image.elem = elem;
  // A tap's last word may hold the next pixel too, and a float there may be anything: infinity times zero is
  // NaN.
  if (elem == Elem::kBf16 && options_.pixels == nullptr && image.channels * w.kernel[1] % 2 != 0) {
    image.elem = elem = Elem::kF32;
  }
  // Whole words are read at the last pixel, and images do not lie multiples of 512 bytes apart.
  constexpr int64_t kLine = 64, kAliasing = 512;
  const int64_t element = kernels::elem_bytes(elem);
  const int64_t bytes = element_count({image.height, image.width, image.channels}, sizeof(float)) * element;
  int64_t stride = (bytes + 4 + kLine - 1) / kLine * kLine;
  if (stride % kAliasing == 0) stride += kLine;
  image.image_stride = stride / element;
  (void)element_count({image.image_stride, options_.tile}, sizeof(float));
  plan_->buffers.push_back(image);
  IngestSpec spec;
  spec.dst = static_cast<BufferId>(plan_->buffers.size() - 1);
  spec.pad_top = w.pads_begin[0];
  spec.pad_left = w.pads_begin[1];
  add_input(spec, quant, value);
  return true;
}

/// What the options ask for this layer.
LayerLayout Lowering::layout_of(const Node& node) const {
  if (options_.layouts == nullptr) return {};
  const auto found = options_.layouts->find(node.name);
  return found == options_.layouts->end() ? LayerLayout{} : found->second;
}

std::optional<Lowering::Linear> Lowering::linear_of_conv(const Node& node) const {
  const auto& attrs = node.as<ConvAttrs>();
  Linear linear;
  linear.src = node.input(0);
  linear.weights = node.input(1);
  linear.bias = node.input(2);
  linear.residual = node.input(3);
  if (!on_map(node.output) || !known(linear.weights) || (linear.bias != kNoValue && !known(linear.bias)) ||
      !placed(linear.src)) {
    return std::nullopt;
  }
  const bool waits = waiting_.contains(linear.residual);
  if (linear.residual != kNoValue && !waits && !placed(linear.residual)) return std::nullopt;
  const Dims& wd = shape(linear.weights);
  linear.oc = wd[0];
  linear.act = attrs.act;
  DenseOperand operand;
  operand.channels = wd[1];
  operand.kernel_h = wd[2];
  operand.kernel_w = wd[3];
  operand.stride_h = attrs.window.strides[0];
  operand.stride_w = attrs.window.strides[1];
  operand.dilation_h = attrs.window.dilations[0];
  operand.dilation_w = attrs.window.dilations[1];
  operand.pad_top = attrs.window.pads_begin[0];
  operand.pad_left = attrs.window.pads_begin[1];
  linear.spec.operands = {operand};
  linear.spec.group = attrs.group;
  linear.spec.layout = layout_of(node);
  return linear;
}

std::unique_ptr<Step> Lowering::lower_conv(const Node& node) {
  auto linear = linear_of_conv(node);
  if (!linear.has_value()) return nullptr;
  const bool image = buffer(place(linear->src).buffer).image_stride > 0;
  const int64_t effective = node_cost(graph_, node).macs_effective;
  auto step = lower_linear(node, std::move(*linear));
  // An image's border is multiplied like the rest, and counts like padding.
  if (image && step != nullptr) step->macs = effective;
  return step;
}

/// Both of one group and of the same elements: then one accumulation holds both, and the sum, the
/// store and the load of what lay between are gone.
bool Lowering::joins_reader(const Node& node) const {
  const Node* reader = only_reader(node.output);
  if (!options_.merge || reader == nullptr || reader->type != OpType::kConv ||
      reader->input(3) != node.output || node.input(3) != kNoValue ||
      node.as<ConvAttrs>().act.kind != ActKind::kNone) {
    return false;
  }
  const auto whole = [&](const Node& conv) {
    return conv.as<ConvAttrs>().group == 1 && known(conv.input(1)) &&
           (conv.input(2) == kNoValue || known(conv.input(2))) && on_map(conv.output);
  };
  const auto plain = [&](ValueId src) {
    return placed(src) && !quantized(src) && buffer(place(src).buffer).image_stride == 0;
  };
  // The reader's own input may not be placed yet; it is no image, which only the input's only reader takes.
  const ValueId other = reader->input(0);
  const auto taps = [&](const Node& conv) { return shape(conv.input(1))[2] * shape(conv.input(1))[3]; };
  return whole(node) && whole(*reader) && taps(node) + taps(*reader) <= kMostTaps &&
         factor_elem(node) == factor_elem(*reader) && plain(node.input(0)) &&
         (!placed(other) || plain(other)) && graph_.value(other).producer != kNoNode &&
         graph_.node(graph_.value(other).producer).type != OpType::kDequantizeLinear;
}

/// Leaves the convolution to the one that will carry its sum.
bool Lowering::wait(const Node& node) {
  const bool floats = joins_reader(node);
  if (!floats && !joins_sum(node)) return false;
  Linear linear = *linear_of_conv(node);
  linear.spec.bias = known_floats(linear.bias);
  Tensor weights;
  if (floats) {
    weights = known_tensor(linear.weights);
  } else if (!take_levels(linear)) {
    return false;
  }
  waiting_.emplace(node.output, Waiting{&node, std::move(linear), std::move(weights)});
  return true;
}

/// Adds a waiting convolution's input and weights to the accumulation, and its bias to the bias.
void Lowering::append_operand(DenseSpec& spec, Linear linear, Elem elem) {
  DenseOperand operand = linear.spec.operands[0];
  operand.src = floats_of(linear.src, elem);
  spec.operands.push_back(operand);
  if (linear.spec.bias.empty()) return;
  spec.bias.resize(static_cast<size_t>(linear.oc), 0.0f);
  for (size_t j = 0; j < spec.bias.size(); ++j) spec.bias[j] += linear.spec.bias[j];
}

/// x [N, k] times a constant [k, m] (or its transpose), as a 1x1 convolution over one position.
std::unique_ptr<Step> Lowering::lower_gemm(const Node& node) {
  GemmAttrs attrs;
  if (node.type == OpType::kGemm) attrs = node.as<GemmAttrs>();
  const ValueId a = node.input(0), b = node.input(1), c = node.input(2);
  if (shape(a).size() != 2 || !placed(a) || !known(b) || shape(b).size() != 2 || attrs.trans_a ||
      shape(node.output).size() != 2) {
    return nullptr;
  }
  Linear linear;
  linear.src = a;
  linear.weights = b;
  linear.oc = shape(node.output)[1];
  linear.transposed = !attrs.trans_b;
  linear.alpha = attrs.alpha;
  linear.beta = attrs.beta;
  linear.act = attrs.act;
  if (c != kNoValue) {
    if (!known(c)) return nullptr;
    const int64_t size = element_count(shape(c));
    if (size != 1 && size != linear.oc) return nullptr;
    if (size == linear.oc && !shape(c).empty() && shape(c).back() != linear.oc) return nullptr;
    linear.bias = c;
  }
  DenseOperand operand;
  operand.channels = shape(a)[1];
  linear.spec.operands = {operand};
  linear.spec.layout = layout_of(node);
  return lower_linear(node, std::move(linear));
}

std::unique_ptr<Step> Lowering::make_linear(const DenseSpec& spec) {
  const int64_t oc = buffer(spec.dst).channels;
  if (spec.operands[0].channels == 1 && spec.group == oc && spec.group > 1) {
    if (auto step = make_depthwise_step(*plan_, spec, table_, options_.parts)) return step;
  }
  return make_dense_step(*plan_, spec, table_, options_.parts);
}

std::unique_ptr<Step> Lowering::lower_linear(const Node& node, Linear linear) {
  linear.spec.bias = known_floats(linear.bias);
  for (float& x : linear.spec.bias) x *= linear.beta;
  if (linear.spec.bias.size() == 1)
    linear.spec.bias.assign(static_cast<size_t>(linear.oc), linear.spec.bias[0]);
  if (options_.integers && quantized(linear.src)) {
    if (auto step = lower_int_linear(node, linear)) return step;
  }
  return lower_float_linear(node, std::move(linear));
}

/// The QuantizeLinear that alone reads a float layer's result is part of its store.
bool Lowering::store_as_levels(const Node& node, DenseSpec& spec) {
  const Node* next = only_reader(node.output);
  if (!options_.integers || next == nullptr || next->type != OpType::kQuantizeLinear) return false;
  if (taps_of(spec) > kMostTaps) return false;  // left to a node's step, which knows nothing of levels
  const auto quant = scalar_quant(*next);
  if (!quant.has_value()) return false;
  spec.epilogue.dst_scale = static_cast<float>(1 / static_cast<double>(quant->scale));
  spec.epilogue.dst_shift = static_cast<float>(quant->zero);
  if (!std::isfinite(spec.epilogue.dst_scale)) return false;
  spec.dst = make_buffer(shape(node.output), Elem::kU8);
  done_[static_cast<size_t>(readers(node.output)[0])] = true;
  define_levels(next->output, spec.dst, *quant);
  return true;
}

std::unique_ptr<Step> Lowering::lower_float_linear(const Node& node, Linear linear) {
  DenseSpec& spec = linear.spec;
  DenseOperand& operand = spec.operands[0];
  const bool image = buffer(place(linear.src).buffer).image_stride > 0;
  if (image && quantized(linear.src)) throw input_error(refused_ + "; only --isa ref runs it");
  const Elem elem = image ? buffer(place(linear.src).buffer).elem : factor_elem(node);
  if (elem == Elem::kF32 && asks_bf16(node)) {
    refused_ = image ? "brgemm_bf16: an odd number of channels in a tap of float input"
                     : "brgemm_bf16: an odd number of channels";
  }
  spec.arith = elem == Elem::kBf16 ? kernels::Arith::kBf16 : kernels::Arith::kF32;
  operand.src = floats_of(linear.src, elem);
  std::vector<float> own;
  const float* weights = known_tensor(linear.weights).data<float>().data();
  if (linear.transposed || linear.alpha != 1.0f) {
    const int64_t oc = linear.oc, k = operand.channels;
    own.resize(static_cast<size_t>(oc * k));
    for (int64_t j = 0; j < oc; ++j) {
      for (int64_t i = 0; i < k; ++i) {
        own[static_cast<size_t>(j * k + i)] =
            linear.alpha * weights[linear.transposed ? i * oc + j : j * k + i];
      }
    }
    weights = own.data();
  }
  if (image) {
    own = to_lines(operand, weights, linear.oc);
    weights = own.data();
  }
  operand.weights = weights;
  release(linear.residual);
  Tensor merged;
  if (const auto waiting = waiting_.find(linear.residual); waiting != waiting_.end()) {
    merged = waiting->second.weights;
    append_operand(spec, waiting->second.linear, elem);
    spec.operands.back().weights = merged.data<float>().data();
    waiting_.erase(waiting);
  } else if (linear.residual != kNoValue) {
    spec.epilogue.residual =
        quantized(linear.residual) ? floats_of(linear.residual) : place(linear.residual).buffer;
  }
  spec.epilogue.set(linear.act);
  if (!store_as_levels(node, spec)) {
    spec.dst = make_buffer(shape(node.output), store_elem(node.output));
    define(node.output, spec.dst);
  }
  return make_linear(spec);
}

/// y = x * s + t per channel, as a depthwise 1x1 convolution.
std::unique_ptr<Step> Lowering::lower_batchnorm(const Node& node) {
  for (size_t i = 1; i < 5; ++i) {
    if (!known(node.input(i))) return nullptr;
  }
  if (!on_map(node.output)) return nullptr;
  const int64_t channels = shape(node.output)[1];
  std::vector<float> weights(static_cast<size_t>(channels));
  DenseSpec spec;
  spec.bias.resize(static_cast<size_t>(channels));
  const auto gamma = known_floats(node.input(1)), beta = known_floats(node.input(2)),
             mean = known_floats(node.input(3)), variance = known_floats(node.input(4));
  for (size_t c = 0; c < weights.size(); ++c) {
    const double scale =
        static_cast<double>(gamma[c]) /
        std::sqrt(static_cast<double>(variance[c]) + static_cast<double>(node.as<BatchNormAttrs>().epsilon));
    weights[c] = static_cast<float>(scale);
    spec.bias[c] = static_cast<float>(static_cast<double>(beta[c]) - static_cast<double>(mean[c]) * scale);
  }
  DenseOperand operand;
  operand.src = floats_of(node.input(0));
  operand.weights = weights.data();
  operand.channels = 1;
  spec.operands = {operand};
  spec.group = channels;
  spec.dst = make_buffer(shape(node.output));
  define(node.output, spec.dst);
  return make_depthwise_step(*plan_, spec, table_, options_.parts);
}

}  // namespace xdn
