#include "models/quantize.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "base/error.h"

namespace xdn::bench {
namespace {

struct Scale {
  float scale = 1;
  uint8_t zero_point = 0;
};

/// The range holds 0, so that padding is exact.
Scale scale_of(Range range) {
  const float low = std::min(range.low, 0.0f), high = std::max(range.high, 0.0f);
  if (!(high > low) || !std::isfinite(high - low)) return {1.0f / 255, 0};
  const float scale = (high - low) / 255;
  return {scale, static_cast<uint8_t>(std::clamp(std::nearbyint(-low / scale), 0.0f, 255.0f))};
}

class Quantizer {
 public:
  Quantizer(Graph& graph, const Ranges& ranges) : graph_(graph), ranges_(ranges) {}

  void run() {
    const std::vector<NodeId> order = graph_.order();
    for (const NodeId id : order) check(graph_.node(id));
    // Scales first, in execution order: what only moves elements keeps the scale of its input.
    const auto users = graph_.users();
    for (const ValueId id : graph_.inputs()) choose(id, users);
    for (const NodeId id : order) choose(graph_.node(id).output, users);
    for (const NodeId id : order) quantize_weights(id);
    for (const auto& [id, scale] : scales_) quantize_value(id, scale, users[static_cast<size_t>(id)]);
    infer_shapes(graph_);
    verify(graph_);
  }

 private:
  static void check(const Node& node) {
    if (node.type == OpType::kQuantizeLinear || node.type == OpType::kDequantizeLinear)
      throw input_error("the model is quantized already");
  }

  /// The values of the node's inputs that are wanted in 8 bits.
  bool wants(const Node& node, ValueId id) const {
    switch (node.type) {
      case OpType::kConv:
        return node.inputs[0] == id;
      case OpType::kGemm:
      case OpType::kMatMul:
        return node.inputs[0] == id && weight_axis(node).has_value();
      case OpType::kAdd:
      case OpType::kMul:
        return !graph_.is_constant(node.inputs[0]) && !graph_.is_constant(node.inputs[1]);
      case OpType::kConcat:
      case OpType::kMaxPool:
      case OpType::kAveragePool:
      case OpType::kGlobalAveragePool:
        return true;
      default:
        return false;
    }
  }

  /// The axis of output channels in the constant second input.
  std::optional<int64_t> weight_axis(const Node& node) const {
    const ValueId w = node.input(1);
    if (!graph_.is_constant(w) || graph_.value(w).dtype != DType::kF32) return std::nullopt;
    if (node.type == OpType::kConv) return 0;
    if (graph_.value(w).shape.size() != 2) return std::nullopt;
    if (node.type == OpType::kMatMul) return 1;
    if (node.type != OpType::kGemm) return std::nullopt;
    const auto& a = node.as<GemmAttrs>();
    if (a.alpha != 1 || a.beta != 1 || a.trans_a) return std::nullopt;
    return a.trans_b ? 0 : 1;
  }

  /// Results are elements of the input, or zero.
  static bool moves(const Node& node) {
    switch (node.type) {
      case OpType::kMaxPool:
      case OpType::kSlice:
      case OpType::kReshape:
      case OpType::kFlatten:
      case OpType::kTranspose:
        return true;
      case OpType::kPad:
        return node.as<PadAttrs>().mode != PadMode::kConstant || node.as<PadAttrs>().value == 0;
      default:
        return false;
    }
  }

  void choose(ValueId id, const std::vector<std::vector<NodeId>>& users) {
    const Value& value = graph_.value(id);
    if (value.dtype != DType::kF32 || graph_.is_output(id)) return;
    const Node* maker = value.producer == kNoNode ? nullptr : &graph_.node(value.producer);
    const auto source = maker != nullptr && moves(*maker) ? scales_.find(maker->inputs[0]) : scales_.end();
    if (source != scales_.end()) {
      const Scale scale = source->second;
      scales_.emplace(id, scale);
      return;
    }
    const auto& readers = users[static_cast<size_t>(id)];
    if (std::none_of(readers.begin(), readers.end(), [&](NodeId n) { return wants(graph_.node(n), id); }))
      return;
    const auto range = ranges_.find(value.name);
    XDN_CHECK(range != ranges_.end());
    scales_.emplace(id, scale_of(range->second));
  }

  void quantize_value(ValueId id, Scale scale, const std::vector<NodeId>& readers) {
    if (readers.empty()) return;
    const std::string name = graph_.value(id).name;
    const ValueId s = graph_.add_constant(name + "_scale", Tensor::scalar(scale.scale));
    const ValueId z = graph_.add_constant(name + "_zero_point", Tensor::scalar(scale.zero_point));
    const QuantizeAttrs attrs;
    const NodeId before = readers.front();
    const ValueId q = graph_.output_of(
        graph_.add_node(OpType::kQuantizeLinear, attrs, name + "_q", {id, s, z}, name + "_q", before));
    const ValueId dq = graph_.output_of(
        graph_.add_node(OpType::kDequantizeLinear, attrs, name + "_dq", {q, s, z}, name + "_dq", before));
    for (const NodeId reader : readers) {
      auto& inputs = graph_.node(reader).inputs;
      std::replace(inputs.begin(), inputs.end(), id, dq);
    }
  }

  void quantize_weights(NodeId id) {
    const std::optional<int64_t> axis = weight_axis(graph_.node(id));
    const auto x = scales_.find(graph_.node(id).inputs[0]);
    if (!axis || x == scales_.end()) return;
    const ValueId w = graph_.node(id).inputs[1], b = graph_.node(id).input(2);
    const Tensor weights = graph_.constant(w);
    const int64_t channels = weights.dim(static_cast<size_t>(*axis));
    const bool has_bias = graph_.node(id).type != OpType::kMatMul && graph_.is_constant(b) &&
                          graph_.constant(b).size() == channels;
    const Tensor bias = has_bias ? graph_.constant(b) : Tensor();

    const std::vector<float> w_scale = weight_scales(weights, *axis, bias, x->second.scale);
    const int64_t inner = *axis == 0 ? weights.size() / std::max<int64_t>(1, channels) : 1;
    Tensor q(DType::kI8, weights.dims());
    const auto from = weights.data<float>();
    const auto to = q.mutable_data<int8_t>();
    for (size_t i = 0; i < from.size(); ++i) {
      const auto c = static_cast<size_t>(static_cast<int64_t>(i) / inner % channels);
      to[i] = static_cast<int8_t>(std::clamp(std::nearbyint(from[i] / w_scale[c]), -127.0f, 127.0f));
    }
    dequantized(id, 1, w, q, w_scale, *axis);
    if (!has_bias) return;

    std::vector<float> b_scale = w_scale;
    for (float& scale : b_scale) scale *= x->second.scale;
    Tensor qb(DType::kI32, {channels});
    const auto addends = bias.data<float>();
    const auto ints = qb.mutable_data<int32_t>();
    for (size_t c = 0; c < b_scale.size(); ++c)
      ints[c] = static_cast<int32_t>(std::nearbyint(static_cast<double>(addends[c]) / b_scale[c]));
    dequantized(id, 2, b, qb, b_scale, 0);
  }

  /// Per channel of `axis`, the first or the last; wide enough for the bias to fit into 31 bits.
  static std::vector<float> weight_scales(const Tensor& weights, int64_t axis, const Tensor& bias,
                                          float x_scale) {
    const int64_t channels = weights.dim(static_cast<size_t>(axis));
    const int64_t inner = axis == 0 ? weights.size() / std::max<int64_t>(1, channels) : 1;
    std::vector<float> scales(static_cast<size_t>(channels), 0);
    const auto values = weights.data<float>();
    for (size_t i = 0; i < values.size(); ++i) {
      float& scale = scales[static_cast<size_t>(static_cast<int64_t>(i) / inner % channels)];
      scale = std::max(scale, std::abs(values[i]) / 127);
    }
    for (size_t c = 0; c < scales.size(); ++c) {
      if (bias.size() > 0)
        scales[c] = std::max(scales[c], std::abs(bias.data<float>()[c]) / (x_scale * 0x1p30f));
      if (!(scales[c] > std::numeric_limits<float>::min())) scales[c] = 1.0f / 127;
    }
    return scales;
  }

  /// Input i of the node reads the integers through a DequantizeLinear.
  void dequantized(NodeId id, size_t i, ValueId old, const Tensor& integers, const std::vector<float>& scales,
                   int64_t axis) {
    const std::string name = graph_.value(old).name;
    const auto channels = static_cast<int64_t>(scales.size());
    const ValueId q = graph_.add_constant(graph_.unique_name(name + "_q"), integers);
    const ValueId s =
        graph_.add_constant(graph_.unique_name(name + "_scale"), Tensor::of({channels}, scales));
    const ValueId z =
        graph_.add_constant(graph_.unique_name(name + "_zero_point"), Tensor(integers.dtype(), {channels}));
    const ValueId dq =
        graph_.output_of(graph_.add_node(OpType::kDequantizeLinear, QuantizeAttrs{axis, integers.dtype()},
                                         name + "_dq", {q, s, z}, name + "_dq", id));
    graph_.node(id).inputs[i] = dq;
  }

  Graph& graph_;
  const Ranges& ranges_;
  std::map<ValueId, Scale> scales_;
};

}  // namespace

void insert_qdq(Graph& graph, const Ranges& ranges) { Quantizer(graph, ranges).run(); }

}  // namespace xdn::bench
