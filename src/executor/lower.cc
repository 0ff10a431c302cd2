#include "executor/lower.h"

#include <algorithm>

#include "base/error.h"
#include "executor/lowering.h"

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
    throw input_error("the model has " + std::to_string(graph_.inputs().size()) +
                      " inputs, expected one image input");
  }
  input_ = graph_.inputs()[0];
  const Value& value = graph_.value(input_);
  check_value(value, "input");
  if (value.shape.size() != 4) {
    throw input_error("the input has shape " + to_string(value.shape) + ", expected [N,c,h,w]");
  }
  plan_->input_shape = Dims(value.shape.begin() + 1, value.shape.end());
  if (options_.pixels != nullptr && static_cast<int64_t>(options_.pixels->scale.size()) != value.shape[1]) {
    throw input_error("the model's input has " + std::to_string(value.shape[1]) +
                      " channels, the images have " + std::to_string(options_.pixels->scale.size()));
  }
  const auto& readers = users_[static_cast<size_t>(input_)];
  if (options_.pixels != nullptr && options_.fold_pixels && readers.size() == 1 &&
      !graph_.is_output(input_)) {
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

std::unique_ptr<Step> Lowering::try_fast(const Node& node) {
  using kernels::UnaryKind;
  const auto unary = [&](UnaryKind kind, float a = 0, float b = 0) {
    const BufferId dst = make_buffer(shape(node.output));
    define(node.output, dst);
    return make_unary_step(*plan_, buffer_of(node.input(0)), dst, kind, a, b, table_);
  };
  switch (node.type) {
    case OpType::kConv:
      return lower_conv(node);
    case OpType::kGemm:
    case OpType::kMatMul:
      return lower_gemm(node);
    case OpType::kBatchNorm:
      return lower_batchnorm(node);
    case OpType::kRelu:
      return unary(UnaryKind::kRelu);
    case OpType::kLeakyRelu:
      return unary(UnaryKind::kLeakyRelu, node.as<LeakyReluAttrs>().alpha);
    case OpType::kClip:
      return unary(UnaryKind::kClip, node.as<ClipAttrs>().min, node.as<ClipAttrs>().max);
    case OpType::kSigmoid:
      return unary(UnaryKind::kSigmoid);
    case OpType::kHardSigmoid:
      return unary(UnaryKind::kHardSigmoid, node.as<HardSigmoidAttrs>().alpha,
                   node.as<HardSigmoidAttrs>().beta);
    case OpType::kHardSwish:
      return unary(UnaryKind::kHardSwish);
    case OpType::kAdd:
      return lower_binary(node, kernels::BinaryKind::kAdd);
    case OpType::kSub:
      return lower_binary(node, kernels::BinaryKind::kSub);
    case OpType::kMul:
      return lower_binary(node, kernels::BinaryKind::kMul);
    case OpType::kDiv:
      return lower_binary(node, kernels::BinaryKind::kDiv);
    case OpType::kMax:
      return lower_binary(node, kernels::BinaryKind::kMax);
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
    case OpType::kSlice:
      return lower_slice(node);
    case OpType::kPad:
      return lower_pad(node);
    default:
      return nullptr;
  }
}

void Lowering::lower_node(const Node& node) {
  if (node.type == OpType::kQuantizeLinear || node.type == OpType::kDequantizeLinear) {
    throw input_error("the model is quantized; this version runs that with --isa ref only");
  }
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

std::unique_ptr<Plan> lower(const Graph& graph, const LowerOptions& options) {
  return Lowering(graph, options).run();
}

}  // namespace xdn
