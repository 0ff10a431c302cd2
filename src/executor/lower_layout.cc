#include <algorithm>

#include "base/error.h"
#include "executor/lowering.h"

namespace xdn {

std::unique_ptr<Step> Lowering::lower_binary(const Node& node, kernels::BinaryKind kind) {
  const ValueId a = node.input(0), b = node.input(1);
  const Dims& out = shape(node.output);
  if (!known(a) && !known(b)) {
    if (on_map(node.output) && shape(a) != shape(b)) return lower_gate(node, kind);
    if (shape(a) != out || shape(b) != out) return nullptr;
    if (kind == kernels::BinaryKind::kAdd && options_.integers) {
      if (auto step = lower_quantized_add(node)) return step;
    }
    const Elem elem = store_elem(node.output);
    const BufferId x = floats_of(a, elem), y = floats_of(b, elem);
    const BufferId dst = make_buffer(out, elem);
    define(node.output, dst);
    return make_binary_step(*plan_, x, y, dst, kind, table_);
  }
  const bool swapped = known(a);
  const ValueId x = swapped ? b : a;
  const Tensor& constant = known_tensor(swapped ? a : b);
  if (shape(x) != out || constant.dtype() != DType::kF32) return nullptr;
  const int64_t channels = out.size() == 4 ? out[1] : element_count(Dims(out.begin() + 1, out.end()));
  if (constant.size() != 1) {
    if (constant.size() != channels) return nullptr;
    // Only the channel axis (4-d), or everything after the batch, may be wider than 1.
    Dims aligned(out.size(), 1);
    if (constant.rank() > out.size()) return nullptr;
    std::copy(constant.dims().begin(), constant.dims().end(),
              aligned.end() - static_cast<int64_t>(constant.rank()));
    if (aligned[0] != 1) return nullptr;
    if (out.size() == 4 && aligned[1] != channels) return nullptr;
  }
  const auto values = constant.data<float>();
  const BufferId src = floats_of(x);
  const BufferId dst = make_buffer(out);
  define(node.output, dst);
  return make_binary_channels_step(*plan_, src, {values.begin(), values.end()}, swapped, dst, kind, table_);
}

/// One operand has one position, broadcast over the other's map: what squeeze-and-excitation multiplies.
std::unique_ptr<Step> Lowering::lower_gate(const Node& node, kernels::BinaryKind kind) {
  const Dims& out = shape(node.output);
  const bool swapped = shape(node.input(0)) != out;
  const ValueId map = node.input(swapped ? 1 : 0), gate = node.input(swapped ? 0 : 1);
  if (shape(map) != out || shape(gate) != Dims{out[0], out[1], 1, 1}) return nullptr;
  const BufferId x = floats_of(map), y = floats_of(gate);
  const BufferId dst = make_buffer(out);
  define(node.output, dst);
  return make_gate_step(*plan_, x, y, swapped, dst, kind, table_);
}

/// Over the channels.
std::unique_ptr<Step> Lowering::lower_softmax(const Node& node) {
  const auto& attrs = node.as<SoftmaxAttrs>();
  const ValueId src = node.input(0);
  const bool channels =
      attrs.axis == 1 && (shape(src).size() == 2 || (on_map(src) && (!attrs.to_end || one_row(src))));
  if (!channels || !placed(src)) return nullptr;
  const BufferId from = floats_of(src);
  const BufferId dst = make_buffer(shape(node.output));
  define(node.output, dst);
  return make_softmax_step(*plan_, from, dst);
}

std::unique_ptr<Step> Lowering::lower_unary(const Node& node, kernels::UnaryKind kind, float a, float b) {
  if (options_.integers) {
    if (auto step = lower_quantized_unary(node, kind, a, b)) return step;
  }
  const BufferId src = floats_of(node.input(0));
  const BufferId dst = make_buffer(shape(node.output));
  define(node.output, dst);
  return make_unary_step(*plan_, src, dst, kind, a, b, table_);
}

/// The largest level is the largest number's: levels are pooled as they are.
std::unique_ptr<Step> Lowering::lower_max_pool(const Node& node) {
  const Place from = place(node.input(0));
  const BufferId dst = make_buffer(shape(node.output), buffer(from.buffer).elem);
  define(node.output, dst, from.quant);
  return make_max_pool_step(*plan_, from.buffer, dst, node.as<PoolAttrs>(), table_);
}

/// AveragePool, GlobalAveragePool and ReduceMean over h and w.
std::unique_ptr<Step> Lowering::lower_average(const Node& node) {
  const ValueId src = node.input(0);
  AverageScales scales;
  ValueId end = node.output;
  Elem elem = Elem::kF32;
  if (options_.integers && quantized(src)) {
    scales.src = *place(src).quant;
    const Chain chain = follow(node, {}, src);
    const bool plain = chain.last_act.kind == ActKind::kNone;
    if (chain.quant.has_value() && plain) {
      scales.dst = *chain.quant;
      elem = Elem::kU8;
      end = chain.end;
      for (const NodeId id : chain.absorbed) done_[static_cast<size_t>(id)] = true;
    }
  } else if (!quantized(src)) {
    elem = buffer(place(src).buffer).elem;
  }
  const bool levels = options_.integers && quantized(src);
  const BufferId from = levels ? place(src).buffer : floats_of(src, elem);
  const BufferId dst = make_buffer(shape(end), elem);
  auto step = node.type == OpType::kAveragePool
                  ? make_average_pool_step(*plan_, from, dst, node.as<PoolAttrs>(), scales, table_)
                  : make_global_average(*plan_, from, dst, scales, table_);
  if (elem == Elem::kU8) {
    if (step == nullptr) throw input_error("a window that holds padding only; only --isa ref runs it");
    define_levels(end, dst, scales.dst);
  } else if (step != nullptr) {
    define(end, dst);
  }
  return step;
}

/// Levels are copied as they are, if what fills the rest is zero and has a level.
void Lowering::copy_levels_or_floats(const Node& node, CopyBox& box) {
  const Place from = place(node.input(0));
  const bool zeros = !box.has_fill || (box.fill == 0 && from.quant.has_value() && from.quant->zero >= 0 &&
                                       from.quant->zero <= 255);
  const bool levels = options_.integers && from.quant.has_value() && zeros;
  box.src = levels ? from.buffer : floats_of(node.input(0));
  box.dst = make_buffer(shape(node.output), levels ? Elem::kU8 : Elem::kF32);
  if (levels) box.fill = static_cast<float>(from.quant->zero);
  define(node.output, box.dst, levels ? from.quant : std::nullopt);
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
      case 0:
        break;
      case 1:
        if (step != 1) return nullptr;
        box.from_c = start;
        break;
      case 2:
        box.from_h = start;
        box.step_h = step;
        break;
      default:
        box.from_w = start;
        box.step_w = step;
        break;
    }
  }
  copy_levels_or_floats(node, box);
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
  copy_levels_or_floats(node, box);
  return make_copy_step(*plan_, box);
}

/// Reshape and Flatten: rows keep their elements; only the layout of maps larger than 1x1 differs.
std::unique_ptr<Step> Lowering::lower_reshape(const Node& node) {
  const bool from_row = one_row(node.input(0)), to_row = one_row(node.output);
  if (!placed(node.input(0)) || (!from_row && !to_row)) return nullptr;
  if (from_row && to_row) {
    place(node.output) = place(node.input(0));
    return nullptr;
  }
  const BufferId src = floats_of(node.input(0));
  const BufferId dst = make_buffer(shape(node.output));
  define(node.output, dst);
  return from_row ? make_unflatten_step(*plan_, src, dst) : make_flatten_step(*plan_, src, dst);
}

bool Lowering::lower_concat(const Node& node) {
  if (!on_map(node.output) || node.as<AxisAttrs>().axis != 1) return false;
  for (const ValueId input : node.inputs) {
    if (known(input) || !placed(input)) return false;
  }
  // Alike levels are joined as they are.
  const auto quant = place(node.input(0)).quant;
  const bool alike =
      quant.has_value() && std::all_of(node.inputs.begin(), node.inputs.end(),
                                       [&](ValueId input) { return place(input).quant == quant; });
  std::vector<BufferId> sources;
  for (const ValueId input : node.inputs) sources.push_back(alike ? place(input).buffer : floats_of(input));
  CopyBox box;
  box.dst = make_buffer(shape(node.output), alike ? Elem::kU8 : Elem::kF32);
  define(node.output, box.dst, alike ? quant : std::nullopt);
  box.height = shape(node.output)[2];
  box.width = shape(node.output)[3];
  for (size_t i = 0; i < sources.size(); ++i) {
    box.src = sources[i];
    box.channels = shape(node.inputs[i])[1];
    add(make_copy_step(*plan_, box), node);
    box.into_c += box.channels;
  }
  return true;
}

std::unique_ptr<Step> Lowering::lower_fallback(const Node& node) {
  for (const ValueId input : node.inputs) release(input);
  std::vector<FallbackInput> inputs;
  std::vector<Tensor> constants;
  for (const ValueId input : node.inputs) {
    FallbackInput in;
    if (known(input)) {
      in.constant = static_cast<int>(constants.size());
      constants.push_back(known_tensor(input));
    } else if (input != kNoValue) {
      in.buffer = floats_of(input);
      in.shape = shape(input);
    }
    inputs.push_back(std::move(in));
  }
  const BufferId dst = make_buffer(shape(node.output));
  define(node.output, dst);
  return make_fallback_step(*plan_, node, std::move(inputs), std::move(constants), dst);
}

}  // namespace xdn
