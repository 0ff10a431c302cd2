#include "executor/lower.h"

#include <algorithm>

#include "base/error.h"
#include "executor/lowering.h"
#include "executor/reference.h"
#include "graph/bf16_layers.h"

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

BufferId Lowering::make_buffer(const Dims& dims, Elem elem) {
  Buffer buffer;
  if (dims.size() == 4) {
    buffer.channels = dims[1];
    buffer.height = dims[2];
    buffer.width = dims[3];
  } else {
    buffer.channels = element_count(Dims(dims.begin() + 1, dims.end()));
  }
  buffer.elem = elem;
  buffer.ld = padded_row(std::max<int64_t>(1, buffer.channels), elem);
  (void)element_count({buffer.height, buffer.width, buffer.ld, options_.tile}, sizeof(float));
  plan_->buffers.push_back(buffer);
  return static_cast<BufferId>(plan_->buffers.size() - 1);
}

bool Lowering::asks_bf16(const Node& node) const {
  return has_precision(node) && options_.bf16.contains(node.name);
}

/// An odd channel's partner in its word may hold anything, and NaN times zero is NaN.
Elem Lowering::factor_elem(const Node& node) const {
  if (!asks_bf16(node)) return Elem::kF32;
  int64_t channels = 0;
  if (node.type == OpType::kConv) {
    const Dims& weights = shape(node.input(1));
    channels = weights[1];
    const int64_t group = node.as<ConvAttrs>().group;
    if (channels == 1 && group == weights[0] && group > 1) return Elem::kBf16;  // depthwise: no words
  } else {
    channels = shape(node.input(0)).back();
  }
  return channels % 2 == 0 ? Elem::kBf16 : Elem::kF32;
}

/// Whether the layer reads bf16 as it is and gives it on.
bool Lowering::passes_bf16(const Node& node) const {
  switch (node.type) {
    case OpType::kMaxPool:
    case OpType::kAveragePool:
    case OpType::kGlobalAveragePool:
    case OpType::kReduceMean:
    case OpType::kIdentity:
      return true;
    case OpType::kReshape:
    case OpType::kFlatten:
      return one_row(node.input(0)) && one_row(node.output);
    case OpType::kAdd:
    case OpType::kSub:
    case OpType::kMul:
    case OpType::kDiv:
    case OpType::kMax:
      return !known(node.input(0)) && !known(node.input(1)) && shape(node.input(0)) == shape(node.input(1));
    default:
      return false;
  }
}

void Lowering::find_bf16_values() {
  bf16_values_.resize(graph_.value_count(), false);
  for (size_t at = graph_.order().size(); at-- > 0;) {
    const ValueId id = graph_.node(graph_.order()[at]).output;
    const auto takes_bf16 = [&](NodeId reader) {
      const Node& node = graph_.node(reader);
      return has_precision(node) ? factor_elem(node) == Elem::kBf16
                                 : passes_bf16(node) && bf16_values_[static_cast<size_t>(node.output)];
    };
    bf16_values_[static_cast<size_t>(id)] = !graph_.is_output(id) && !readers(id).empty() &&
                                            std::all_of(readers(id).begin(), readers(id).end(), takes_bf16);
  }
}

Elem Lowering::store_elem(ValueId id) const {
  return bf16_values_[static_cast<size_t>(id)] ? Elem::kBf16 : Elem::kF32;
}

BufferId Lowering::floats_of(ValueId id, Elem elem) {
  Place& from = place(id);
  XDN_CHECK(from.buffer >= 0);
  if (!from.quant.has_value() && buffer(from.buffer).elem == elem) return from.buffer;
  if (const auto found = from.converted.find(elem); found != from.converted.end()) return found->second;
  // ONNX's dequantized value is an f32; rounding it once more is bf16's part.
  const bool twice = from.quant.has_value() && elem == Elem::kBf16;
  const BufferId src = twice ? floats_of(id, Elem::kF32) : from.buffer;
  const BufferId dst = make_buffer(shape(id), elem);
  auto step = make_convert_step(*plan_, src, dst, from.quant.value_or(QuantScale{}), table_);
  step->layer = graph_.value(id).name;
  plan_->steps.push_back(std::move(step));
  return from.converted[elem] = dst;
}

const Node* Lowering::only_reader(ValueId id) const {
  if (readers(id).size() != 1 || graph_.is_output(id)) return nullptr;
  return &graph_.node(readers(id)[0]);
}

bool Lowering::known(ValueId id) const {
  if (id == kNoValue) return false;
  if (graph_.is_constant(id)) return true;
  const NodeId producer = graph_.value(id).producer;
  if (producer == kNoNode || graph_.node(producer).type != OpType::kDequantizeLinear) return false;
  const Node& node = graph_.node(producer);
  return std::all_of(node.inputs.begin(), node.inputs.end(),
                     [&](ValueId input) { return input == kNoValue || graph_.is_constant(input); });
}

const Tensor& Lowering::known_tensor(ValueId id) {
  if (graph_.is_constant(id)) return graph_.constant(id);
  if (const auto found = folded_.find(id); found != folded_.end()) return found->second;
  const Node& node = graph_.node(graph_.value(id).producer);
  std::vector<const Tensor*> inputs;
  for (const ValueId input : node.inputs)
    inputs.push_back(input == kNoValue ? nullptr : &graph_.constant(input));
  return folded_[id] = evaluate_node(node, inputs);
}

std::vector<float> Lowering::known_floats(ValueId id) {
  if (id == kNoValue) return {};
  const auto values = known_tensor(id).data<float>();
  return {values.begin(), values.end()};
}

void Lowering::add(std::unique_ptr<Step> step, const Node& node) {
  step->layer = node.name;
  if (!refused_.empty()) step->refused = refused_ + (step->refused.empty() ? "" : "; " + step->refused);
  refused_.clear();
  plan_->steps.push_back(std::move(step));
}

void Lowering::add_input(IngestSpec spec, std::optional<QuantScale> quant, ValueId value) {
  spec.pixels = options_.pixels;
  spec.quant = quant.value_or(QuantScale{});
  spec.height = shape(input_)[2];
  spec.width = shape(input_)[3];
  auto step = make_ingest_step(*plan_, spec);
  step->layer = graph_.value(input_).name;
  plan_->steps.push_back(std::move(step));
  define(value, spec.dst, quant);
}

/// The input goes as far as it can before a step is needed: to the image with a border that a first
/// convolution reads, quantized if the file asks for that.
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
  ValueId end = input_;
  std::optional<QuantScale> quant;
  std::vector<NodeId> passed;
  const Node* reader = only_reader(input_);
  if (options_.integers && reader != nullptr && reader->type == OpType::kQuantizeLinear) {
    const Node* back = only_reader(reader->output);
    const auto level = scalar_quant(*reader);
    if (back != nullptr && back->type == OpType::kDequantizeLinear && level.has_value() &&
        scalar_quant(*back) == level) {
      passed = {readers(input_)[0], readers(reader->output)[0]};
      end = back->output;
      quant = level;
      reader = only_reader(end);
    }
  }
  const Elem elem = quant.has_value()                         ? Elem::kU8
                    : reader != nullptr && asks_bf16(*reader) ? Elem::kBf16
                                                              : Elem::kF32;
  const bool image = options_.fold_pixels && reader != nullptr && read_image(*reader, end, elem, quant);
  if (!image) {
    IngestSpec spec;
    spec.dst = make_buffer(shape(input_), quant.has_value() ? Elem::kU8 : Elem::kF32);
    add_input(spec, quant, end);
  }
  for (const NodeId id : passed) done_[static_cast<size_t>(id)] = true;
}

std::unique_ptr<Step> Lowering::try_fast(const Node& node) {
  using kernels::UnaryKind;
  switch (node.type) {
    case OpType::kConv:
      return lower_conv(node);
    case OpType::kGemm:
    case OpType::kMatMul:
      return lower_gemm(node);
    case OpType::kBatchNorm:
      return lower_batchnorm(node);
    case OpType::kRelu:
      return lower_unary(node, UnaryKind::kRelu);
    case OpType::kLeakyRelu:
      return lower_unary(node, UnaryKind::kLeakyRelu, node.as<LeakyReluAttrs>().alpha);
    case OpType::kClip:
      return lower_unary(node, UnaryKind::kClip, node.as<ClipAttrs>().min, node.as<ClipAttrs>().max);
    case OpType::kSigmoid:
      return lower_unary(node, UnaryKind::kSigmoid);
    case OpType::kHardSigmoid:
      return lower_unary(node, UnaryKind::kHardSigmoid, node.as<HardSigmoidAttrs>().alpha,
                         node.as<HardSigmoidAttrs>().beta);
    case OpType::kHardSwish:
      return lower_unary(node, UnaryKind::kHardSwish);
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
      return on_map(node.output) ? lower_max_pool(node) : nullptr;
    case OpType::kReduceMean:
      if (node.as<ReduceAttrs>().axes != Dims{2, 3}) return nullptr;
      [[fallthrough]];
    case OpType::kAveragePool:
    case OpType::kGlobalAveragePool:
      return on_map(node.input(0)) ? lower_average(node) : nullptr;
    case OpType::kSoftmax:
      return lower_softmax(node);
    case OpType::kSlice:
      return lower_slice(node);
    case OpType::kPad:
      return lower_pad(node);
    default:
      return nullptr;
  }
}

void Lowering::lower_node(const Node& node) {
  if (known(node.output)) return;
  if (node.type == OpType::kQuantizeLinear && lower_quantize(node)) return;
  if (node.type == OpType::kDequantizeLinear && lower_dequantize(node)) return;
  check_value(graph_.value(node.output), node.name);
  for (const ValueId input : node.inputs) {
    if (input != kNoValue && !known(input)) check_value(graph_.value(input), node.name);
  }
  if (node.type == OpType::kIdentity) {
    place(node.output) = place(node.input(0));
    return;
  }
  if (node.type == OpType::kConv) {
    if (wait(node)) return;
  } else {
    for (const ValueId input : node.inputs) release(input);
  }
  if (node.type == OpType::kConcat && lower_concat(node)) return;
  if (node.type == OpType::kReshape || node.type == OpType::kFlatten) {
    auto step = lower_reshape(node);
    if (step != nullptr) return add(std::move(step), node);
    if (placed(node.output)) return;
  }
  const bool binary = node.type == OpType::kAdd || node.type == OpType::kSub || node.type == OpType::kMul ||
                      node.type == OpType::kDiv || node.type == OpType::kMax;
  const bool flows = !known(node.input(0)) || (binary && !known(node.input(1)));
  auto step = flows ? try_fast(node) : nullptr;
  add(step != nullptr ? std::move(step) : lower_fallback(node), node);
}

void Lowering::finish() {
  const ValueId out = graph_.outputs()[0];
  if (!placed(out)) throw input_error("the model's output does not depend on its input");
  plan_->output = floats_of(out);
  const Buffer& result = buffer(plan_->output);
  plan_->output_size = result.channels * result.positions();
  plan_arena(*plan_);
}

void Lowering::observe(ValueId id) {
  if (options_.observed == nullptr) return;
  const auto found = std::find(options_.observed->begin(), options_.observed->end(), graph_.value(id).name);
  if (found == options_.observed->end() || !placed(id)) return;
  const Buffer& b = buffer(place(id).buffer);
  if (b.elem != Elem::kF32 || b.image_stride > 0) return;
  plan_->observed.push_back(
      {static_cast<size_t>(found - options_.observed->begin()), place(id).buffer, plan_->steps.size() - 1});
}

/// By place in the order, the constants that no later node needs, reached through DequantizeLinear too.
std::vector<std::vector<ValueId>> Lowering::last_uses() const {
  std::vector<std::vector<ValueId>> uses(graph_.order().size());
  std::vector<bool> seen(graph_.value_count(), false);
  const auto touch = [&](ValueId id, size_t at) {
    if (id == kNoValue || seen[static_cast<size_t>(id)]) return;
    seen[static_cast<size_t>(id)] = true;
    uses[at].push_back(id);
  };
  for (size_t at = graph_.order().size(); at-- > 0;) {
    const Node& node = graph_.node(graph_.order()[at]);
    if (known(node.output)) continue;
    for (const ValueId input : node.inputs) {
      if (!known(input)) continue;
      touch(input, at);
      const NodeId producer = graph_.value(input).producer;
      if (producer == kNoNode) continue;
      for (const ValueId behind : graph_.node(producer).inputs) touch(behind, at);
    }
  }
  return uses;
}

std::unique_ptr<Plan> Lowering::run() {
  if (graph_.outputs().empty()) throw input_error("the model has no output");
  plan_->tile = options_.tile;
  plan_->huge_pages = options_.huge_pages;
  const Value& out = graph_.value(graph_.outputs()[0]);
  check_value(out, out.producer == kNoNode ? "output" : graph_.node(out.producer).name);
  lower_input();
  observe(input_);
  const auto uses = last_uses();
  for (size_t at = 0; at < graph_.order().size(); ++at) {
    const NodeId id = graph_.order()[at];
    const Node& node = graph_.node(id);
    try {
      if (!done_[static_cast<size_t>(id)]) lower_node(node);
      observe(node.output);
    } catch (Error& error) {
      error.in_layer(node.name);
      throw;
    }
    for (const ValueId value : uses[at]) {
      folded_.erase(value);
      graph_.value(value).constant.reset();
    }
  }
  finish();
  return std::move(plan_);
}

std::unique_ptr<Plan> lower(Graph& graph, const LowerOptions& options) {
  return Lowering(graph, options).run();
}

}  // namespace xdn
