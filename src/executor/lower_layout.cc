#include <algorithm>

#include "executor/lowering.h"

namespace xdn {

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
    std::copy(constant.dims().begin(), constant.dims().end(),
              aligned.end() - static_cast<int64_t>(constant.rank()));
    if (aligned[0] != 1) return nullptr;
    if (out.size() == 4 && aligned[1] != channels) return nullptr;
  }
  const auto values = constant.data<float>();
  const BufferId dst = make_buffer(out);
  define(node.output, dst);
  return make_binary_channels_step(*plan_, buffer_of(x), {values.begin(), values.end()}, swapped, dst, kind,
                                   table_);
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
  return make_fallback_step(*plan_, node, std::move(inputs), std::move(constants), dst);
}

}  // namespace xdn
