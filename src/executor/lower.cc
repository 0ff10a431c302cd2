#include "executor/lower.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "executor/simple_steps.h"

namespace xdn {

bool peel_softmax(Graph& graph) {
  if (graph.outputs().empty()) return false;
  const ValueId out = graph.outputs()[0];
  const NodeId producer = graph.value(out).producer;
  if (producer == kNoNode || graph.node(producer).type != OpType::kSoftmax) return false;
  std::vector<ValueId> outputs = graph.outputs();
  outputs[0] = graph.node(producer).input(0);
  graph.set_outputs(std::move(outputs));
  graph.eliminate_dead();
  return true;
}

namespace {

class Lowering {
 public:
  Lowering(const Graph& graph, const LowerOptions& options)
      : graph_(graph), options_(options), table_(*options.table), plan_(std::make_unique<Plan>()),
        buffer_of_(graph.value_count(), -1), users_(graph.users()) {}

  std::unique_ptr<Plan> run();

 private:
  void check_value(const Value& value, const std::string& layer) const;
  BufferId make_buffer(const Dims& shape);
  BufferId buffer_of(ValueId id) const { return buffer_of_[static_cast<size_t>(id)]; }
  void define(ValueId id, BufferId buffer) { buffer_of_[static_cast<size_t>(id)] = buffer; }
  void add(std::unique_ptr<Step> step, const Node& node);
  void lower_input();
  void lower_node(const Node& node);
  std::unique_ptr<Step> try_fast(const Node& node);
  std::unique_ptr<Step> lower_conv(const Node& node);
  std::unique_ptr<Step> lower_gemm(const Node& node);
  std::unique_ptr<Step> lower_binary(const Node& node, kernels::BinaryKind kind);
  std::unique_ptr<Step> lower_batchnorm(const Node& node);
  std::unique_ptr<Step> lower_slice(const Node& node);
  std::unique_ptr<Step> lower_pad(const Node& node);
  std::unique_ptr<Step> lower_reshape(const Node& node);
  bool lower_concat(const Node& node);
  std::unique_ptr<Step> lower_fallback(const Node& node);
  const float* floats(ValueId id) const { return graph_.constant(id).data<float>().data(); }
  bool on_map(ValueId id) const { return graph_.value(id).shape.size() == 4; }
  const Dims& shape(ValueId id) const { return graph_.value(id).shape; }
  void finish();

  const Graph& graph_;
  const LowerOptions& options_;
  const kernels::KernelTable& table_;
  std::unique_ptr<Plan> plan_;
  std::vector<BufferId> buffer_of_;  ///< by value
  std::vector<std::vector<NodeId>> users_;
  ValueId input_ = kNoValue;
  bool pixels_pending_ = false;  ///< the input has no buffer: its only reader, a convolution, takes the bytes
};

void Lowering::check_value(const Value& value, const std::string& layer) const {
  if (value.dtype != DType::kF32) {
    throw input_error("value '" + printable(value.name) + "' is " + std::string(dtype_name(value.dtype)) +
                      ", expected f32; only --isa ref runs it")
        .in_layer(layer);
  }
  if (value.shape.empty() || value.shape[0] != kBatch) {
    throw input_error("value '" + printable(value.name) + "' has shape " + to_string(value.shape) +
                      ", expected a free batch in front; only --isa ref runs it")
        .in_layer(layer);
  }
}

BufferId Lowering::make_buffer(const Dims& dims) {
  Buffer buffer;
  if (dims.size() == 4) {
    buffer.channels = dims[1];
    buffer.height = dims[2];
    buffer.width = dims[3];
  } else {
    buffer.channels = element_count(Dims(dims.begin() + 1, dims.end()));
  }
  buffer.ld = padded_row(std::max<int64_t>(1, buffer.channels));
  (void)element_count({buffer.height, buffer.width, buffer.ld, options_.tile}, sizeof(float));
  plan_->buffers.push_back(buffer);
  return static_cast<BufferId>(plan_->buffers.size() - 1);
}

void Lowering::add(std::unique_ptr<Step> step, const Node& node) {
  step->layer = node.name;
  plan_->steps.push_back(std::move(step));
}

void Lowering::lower_input() {
  if (graph_.inputs().size() != 1) {
    throw input_error("the model has " + std::to_string(graph_.inputs().size()) + " inputs, expected one image input");
  }
  input_ = graph_.inputs()[0];
  const Value& value = graph_.value(input_);
  check_value(value, "input");
  if (value.shape.size() != 4) {
    throw input_error("the input has shape " + to_string(value.shape) + ", expected [N,c,h,w]");
  }
  plan_->input_shape = Dims(value.shape.begin() + 1, value.shape.end());
  if (options_.pixels != nullptr && static_cast<int64_t>(options_.pixels->scale.size()) != value.shape[1]) {
    throw input_error("the model's input has " + std::to_string(value.shape[1]) + " channels, the images have " +
                      std::to_string(options_.pixels->scale.size()));
  }
  const auto& readers = users_[static_cast<size_t>(input_)];
  if (options_.pixels != nullptr && options_.fold_pixels && readers.size() == 1 && !graph_.is_output(input_)) {
    const Node& node = graph_.node(readers[0]);
    if (node.type == OpType::kConv && graph_.is_constant(node.input(1)) && node.input(3) == kNoValue) {
      const auto& attrs = node.as<ConvAttrs>();
      const bool constant_bias = node.input(2) == kNoValue || graph_.is_constant(node.input(2));
      if (constant_bias && node.input(0) == input_ &&
          stem_pays(value.shape[1], attrs.window.kernel[0], attrs.window.kernel[1], attrs.group)) {
        pixels_pending_ = true;
        return;
      }
    }
  }
  const BufferId buffer = make_buffer(value.shape);
  define(input_, buffer);
  auto step = options_.pixels != nullptr ? make_ingest_pixels(buffer, *plan_, *options_.pixels)
                                         : make_ingest_floats(buffer, *plan_);
  step->layer = value.name;
  plan_->steps.push_back(std::move(step));
}

std::unique_ptr<Step> Lowering::lower_conv(const Node& node) {
  const auto& attrs = node.as<ConvAttrs>();
  const ValueId w = node.input(1), bias = node.input(2), residual = node.input(3);
  if (!on_map(node.output) || !graph_.is_constant(w) || (bias != kNoValue && !graph_.is_constant(bias))) return nullptr;
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
  if (shape(a).size() != 2 || buffer_of(a) < 0 || !graph_.is_constant(b) || shape(b).size() != 2 || attrs.trans_a ||
      shape(node.output).size() != 2) {
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

std::unique_ptr<Step> Lowering::lower_binary(const Node& node, kernels::BinaryKind kind) {
  const ValueId a = node.input(0), b = node.input(1);
  const Dims& out = shape(node.output);
  if (!graph_.is_constant(a) && !graph_.is_constant(b)) {
    if (shape(a) != out || shape(b) != out) return nullptr;
    const BufferId dst = make_buffer(out);
    define(node.output, dst);
    return make_binary_step(*plan_, buffer_of(a), buffer_of(b), dst, kind, table_);
  }
  const bool swapped = graph_.is_constant(a);
  const ValueId x = swapped ? b : a;
  const Tensor& constant = graph_.constant(swapped ? a : b);
  if (shape(x) != out || constant.dtype() != DType::kF32) return nullptr;
  const int64_t channels = out.size() == 4 ? out[1] : element_count(Dims(out.begin() + 1, out.end()));
  if (constant.size() != 1) {
    if (constant.size() != channels) return nullptr;
    // Only the channel axis (4-d), or everything after the batch, may be wider than 1.
    Dims aligned(out.size(), 1);
    if (constant.rank() > out.size()) return nullptr;
    std::copy(constant.dims().begin(), constant.dims().end(), aligned.end() - static_cast<int64_t>(constant.rank()));
    if (aligned[0] != 1) return nullptr;
    if (out.size() == 4 && aligned[1] != channels) return nullptr;
  }
  const auto values = constant.data<float>();
  const BufferId dst = make_buffer(out);
  define(node.output, dst);
  return make_binary_channels_step(*plan_, buffer_of(x), {values.begin(), values.end()}, swapped, dst, kind, table_);
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

std::unique_ptr<Step> Lowering::lower_slice(const Node& node) {
  if (!on_map(node.output)) return nullptr;
  const auto& attrs = node.as<SliceAttrs>();
  CopyBox box;
  const Dims& out = shape(node.output);
  box.channels = out[1];
  box.height = out[2];
  box.width = out[3];
  for (size_t i = 0; i < attrs.axes.size(); ++i) {
    const int64_t step = attrs.steps[i], start = attrs.starts[i];
    switch (attrs.axes[i]) {
      case 0: break;
      case 1:
        if (step != 1) return nullptr;
        box.from_c = start;
        break;
      case 2: box.from_h = start; box.step_h = step; break;
      default: box.from_w = start; box.step_w = step; break;
    }
  }
  box.src = buffer_of(node.input(0));
  box.dst = make_buffer(out);
  define(node.output, box.dst);
  return make_copy_step(*plan_, box);
}

std::unique_ptr<Step> Lowering::lower_pad(const Node& node) {
  const auto& attrs = node.as<PadAttrs>();
  if (!on_map(node.output) || attrs.mode != PadMode::kConstant) return nullptr;
  for (size_t axis = 0; axis < 4; ++axis) {
    if (attrs.begin[axis] < 0 || attrs.end[axis] < 0) return nullptr;
  }
  const Dims& in = shape(node.input(0));
  CopyBox box;
  box.channels = in[1];
  box.height = in[2];
  box.width = in[3];
  box.into_c = attrs.begin[1];
  box.into_h = attrs.begin[2];
  box.into_w = attrs.begin[3];
  box.has_fill = true;
  box.fill = attrs.value;
  box.src = buffer_of(node.input(0));
  box.dst = make_buffer(shape(node.output));
  define(node.output, box.dst);
  return make_copy_step(*plan_, box);
}

/// Reshape and Flatten: rows keep their elements; only the layout of maps larger than 1x1 differs.
std::unique_ptr<Step> Lowering::lower_reshape(const Node& node) {
  const Dims& in = shape(node.input(0));
  const Dims& out = shape(node.output);
  const auto map_of = [](const Dims& d) { return d.size() == 4 && d[2] * d[3] != 1; };
  const BufferId src = buffer_of(node.input(0));
  if (!map_of(in) && !map_of(out)) {
    define(node.output, src);
    return nullptr;
  }
  if (map_of(in) && map_of(out)) return nullptr;
  const BufferId dst = make_buffer(out);
  define(node.output, dst);
  return map_of(in) ? make_flatten_step(*plan_, src, dst) : make_unflatten_step(*plan_, src, dst);
}

bool Lowering::lower_concat(const Node& node) {
  if (!on_map(node.output) || node.as<AxisAttrs>().axis != 1) return false;
  for (const ValueId input : node.inputs) {
    if (buffer_of(input) < 0) return false;
  }
  const BufferId dst = make_buffer(shape(node.output));
  define(node.output, dst);
  CopyBox box;
  box.dst = dst;
  box.height = shape(node.output)[2];
  box.width = shape(node.output)[3];
  for (const ValueId input : node.inputs) {
    box.src = buffer_of(input);
    box.channels = shape(input)[1];
    add(make_copy_step(*plan_, box), node);
    box.into_c += box.channels;
  }
  return true;
}

std::unique_ptr<Step> Lowering::lower_fallback(const Node& node) {
  std::vector<FallbackInput> inputs;
  std::vector<Tensor> constants;
  for (const ValueId input : node.inputs) {
    FallbackInput in;
    if (input != kNoValue && graph_.is_constant(input)) {
      in.constant = static_cast<int>(constants.size());
      constants.push_back(graph_.constant(input));
    } else if (input != kNoValue) {
      in.buffer = buffer_of(input);
      in.shape = shape(input);
    }
    inputs.push_back(std::move(in));
  }
  BufferId dst = buffer_of(node.output);
  if (dst < 0) dst = make_buffer(shape(node.output));
  define(node.output, dst);
  return make_fallback_step(*plan_, node, std::move(inputs), std::move(constants), dst, shape(node.output));
}

std::unique_ptr<Step> Lowering::try_fast(const Node& node) {
  using kernels::UnaryKind;
  const auto unary = [&](UnaryKind kind, float a = 0, float b = 0) {
    const BufferId dst = make_buffer(shape(node.output));
    define(node.output, dst);
    return make_unary_step(*plan_, buffer_of(node.input(0)), dst, kind, a, b, table_);
  };
  switch (node.type) {
    case OpType::kConv: return lower_conv(node);
    case OpType::kGemm:
    case OpType::kMatMul: return lower_gemm(node);
    case OpType::kBatchNorm: return lower_batchnorm(node);
    case OpType::kRelu: return unary(UnaryKind::kRelu);
    case OpType::kLeakyRelu: return unary(UnaryKind::kLeakyRelu, node.as<LeakyReluAttrs>().alpha);
    case OpType::kClip: return unary(UnaryKind::kClip, node.as<ClipAttrs>().min, node.as<ClipAttrs>().max);
    case OpType::kSigmoid: return unary(UnaryKind::kSigmoid);
    case OpType::kHardSigmoid:
      return unary(UnaryKind::kHardSigmoid, node.as<HardSigmoidAttrs>().alpha, node.as<HardSigmoidAttrs>().beta);
    case OpType::kHardSwish: return unary(UnaryKind::kHardSwish);
    case OpType::kAdd: return lower_binary(node, kernels::BinaryKind::kAdd);
    case OpType::kSub: return lower_binary(node, kernels::BinaryKind::kSub);
    case OpType::kMul: return lower_binary(node, kernels::BinaryKind::kMul);
    case OpType::kDiv: return lower_binary(node, kernels::BinaryKind::kDiv);
    case OpType::kMax: return lower_binary(node, kernels::BinaryKind::kMax);
    case OpType::kMaxPool:
    case OpType::kAveragePool: {
      if (!on_map(node.output)) return nullptr;
      const BufferId dst = make_buffer(shape(node.output));
      define(node.output, dst);
      return make_pool_step(*plan_, buffer_of(node.input(0)), dst, node.as<PoolAttrs>(),
                            node.type == OpType::kMaxPool, table_);
    }
    case OpType::kReduceMean:
      if (node.as<ReduceAttrs>().axes != Dims{2, 3}) return nullptr;
      [[fallthrough]];
    case OpType::kGlobalAveragePool: {
      if (!on_map(node.input(0))) return nullptr;
      const BufferId dst = make_buffer(shape(node.output));
      define(node.output, dst);
      return make_global_average(*plan_, buffer_of(node.input(0)), dst, table_);
    }
    case OpType::kSlice: return lower_slice(node);
    case OpType::kPad: return lower_pad(node);
    default: return nullptr;
  }
}

void Lowering::lower_node(const Node& node) {
  check_value(graph_.value(node.output), node.name);
  for (const ValueId input : node.inputs) {
    if (input != kNoValue && !graph_.is_constant(input)) check_value(graph_.value(input), node.name);
  }
  if (node.type == OpType::kIdentity) return define(node.output, buffer_of(node.input(0)));
  if (node.type == OpType::kConcat && lower_concat(node)) return;
  if (node.type == OpType::kReshape || node.type == OpType::kFlatten) {
    auto step = lower_reshape(node);
    if (step != nullptr) return add(std::move(step), node);
    if (buffer_of(node.output) >= 0) return;
  }
  const bool binary = node.type == OpType::kAdd || node.type == OpType::kSub || node.type == OpType::kMul ||
                      node.type == OpType::kDiv || node.type == OpType::kMax;
  const bool flows = !graph_.is_constant(node.input(0)) || (binary && !graph_.is_constant(node.input(1)));
  auto step = flows ? try_fast(node) : nullptr;
  add(step != nullptr ? std::move(step) : lower_fallback(node), node);
}

void Lowering::finish() {
  const ValueId out = graph_.outputs()[0];
  plan_->output = buffer_of(out);
  if (plan_->output < 0) throw input_error("the model's output does not depend on its input");
  const Buffer& buffer = plan_->buffers[static_cast<size_t>(plan_->output)];
  plan_->output_size = buffer.channels * buffer.positions();
  for (Buffer& b : plan_->buffers) b.first_step = b.last_step = -1;
  for (size_t i = 0; i < plan_->steps.size(); ++i) {
    const auto touch = [&](BufferId id) {
      Buffer& b = plan_->buffers[static_cast<size_t>(id)];
      if (b.first_step < 0) b.first_step = static_cast<int>(i);
      b.last_step = static_cast<int>(i);
    };
    std::for_each(plan_->steps[i]->reads.begin(), plan_->steps[i]->reads.end(), touch);
    std::for_each(plan_->steps[i]->writes.begin(), plan_->steps[i]->writes.end(), touch);
  }
  plan_->buffers[static_cast<size_t>(plan_->output)].last_step = static_cast<int>(plan_->steps.size());
  plan_arena(*plan_);
}

std::unique_ptr<Plan> Lowering::run() {
  if (graph_.outputs().empty()) throw input_error("the model has no output");
  plan_->tile = options_.tile;
  lower_input();
  for (const NodeId id : graph_.order()) {
    const Node& node = graph_.node(id);
    try {
      lower_node(node);
    } catch (Error& error) {
      error.in_layer(node.name);
      throw;
    }
  }
  finish();
  return std::move(plan_);
}

}  // namespace

std::unique_ptr<Plan> lower(const Graph& graph, const LowerOptions& options) { return Lowering(graph, options).run(); }

}  // namespace xdn
