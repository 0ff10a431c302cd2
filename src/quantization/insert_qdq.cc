#include "quantization/insert_qdq.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "graph/op_kinds.h"

namespace xdn {
namespace {

/// Which values of a graph get 8 bits.
class Choice {
 public:
  Choice(const Graph& graph, const std::set<std::string>& float_layers,
         const std::set<std::string>& merged_sums)
      : graph_(graph),
        float_layers_(float_layers),
        merged_sums_(merged_sums),
        users_(graph.users()),
        wanted_(graph.value_count(), false) {
    for (auto id = graph.order().rbegin(); id != graph.order().rend(); ++id) {
      for (const ValueId input : graph.node(*id).inputs) {
        if (input != kNoValue && wants(*id, input)) wanted_[static_cast<size_t>(input)] = true;
      }
    }
    for (const ValueId id : graph.inputs()) choose(id);
    for (const NodeId id : graph.order()) choose(graph.node(id).output);
  }

  /// Quantized values in the order of the graph; those that own their range, and those that share another's.
  const std::vector<ValueId>& values() const { return values_; }
  /// The value whose range this one has.
  ValueId source(ValueId id) const { return sources_.at(id); }
  bool chosen(ValueId id) const { return sources_.contains(id); }
  const std::vector<NodeId>& readers(ValueId id) const { return users_[static_cast<size_t>(id)]; }
  bool stays_float(const Node& node) const { return float_layers_.contains(node.name); }

 private:
  /// A float layer whose result only this Add reads: the sum takes it as it is.
  bool float_addend(ValueId id) const {
    const NodeId producer = graph_.value(id).producer;
    return producer != kNoNode && readers(id).size() == 1 && linear_layer(graph_, producer).has_value() &&
           stays_float(graph_.node(producer));
  }

  /// Readers of what the reader computes have been asked before.
  bool wants(NodeId reader, ValueId id) const {
    const Node& node = graph_.node(reader);
    switch (node.type) {
      case OpType::kConv:
      case OpType::kGemm:
      case OpType::kMatMul:
        return node.input(0) == id && !stays_float(node) && linear_layer(graph_, reader).has_value();
      case OpType::kAdd:
      case OpType::kMul:
        return !graph_.is_constant(node.input(0)) && !graph_.is_constant(node.input(1)) &&
               !merged_sums_.contains(node.name) && !float_addend(id);
      case OpType::kConcat:
      case OpType::kMaxPool:
      case OpType::kAveragePool:
      case OpType::kGlobalAveragePool:
        return true;
      default:
        return moves_elements(node) && wanted_[static_cast<size_t>(node.output)];
    }
  }

  void choose(ValueId id) {
    const Value& value = graph_.value(id);
    if (value.dtype != DType::kF32 || graph_.is_output(id) || value.constant.has_value()) return;
    const Node* maker = value.producer == kNoNode ? nullptr : &graph_.node(value.producer);
    if (maker != nullptr && moves_elements(*maker) && sources_.contains(maker->input(0))) {
      sources_.emplace(id, source(maker->input(0)));
      values_.push_back(id);
      return;
    }
    if (!wanted_[static_cast<size_t>(id)]) return;
    sources_.emplace(id, id);
    values_.push_back(id);
  }

  const Graph& graph_;
  const std::set<std::string>& float_layers_;
  const std::set<std::string>& merged_sums_;
  std::vector<std::vector<NodeId>> users_;
  std::vector<bool> wanted_;  ///< by value: a reader wants it in 8 bits
  std::map<ValueId, ValueId> sources_;
  std::vector<ValueId> values_;
};

class Inserter {
 public:
  Inserter(Graph& graph, const QdqSpec& spec)
      : graph_(graph), spec_(spec), choice_(graph, spec.float_layers, spec.merged_sums) {}

  void run() {
    for (const LinearLayer& layer : linear_layers(graph_)) {
      if (choice_.stays_float(graph_.node(layer.id)) || !choice_.chosen(layer.src)) continue;
      quantize_weights(layer);
    }
    for (const ValueId id : choice_.values()) quantize_value(id);
    infer_shapes(graph_);
    verify(graph_);
  }

 private:
  LevelScale scale(ValueId id) const {
    const auto range = spec_.ranges.find(graph_.value(choice_.source(id)).name);
    XDN_CHECK(range != spec_.ranges.end());
    return scale_of(range->second);
  }

  void quantize_value(ValueId id) {
    const std::vector<NodeId>& readers = choice_.readers(id);
    if (readers.empty()) return;
    const LevelScale levels = scale(id);
    const std::string name = graph_.value(id).name;
    const auto unique = [&](const char* suffix) { return graph_.unique_name(name + suffix); };
    const ValueId s = graph_.add_constant(unique("_scale"), Tensor::scalar(levels.scale));
    const ValueId z = graph_.add_constant(unique("_zero_point"), Tensor::scalar(levels.zero_point));
    const QuantizeAttrs attrs;
    const NodeId before = readers.front();
    const ValueId q = graph_.output_of(
        graph_.add_node(OpType::kQuantizeLinear, attrs, name + "_q", {id, s, z}, unique("_q"), before));
    const ValueId dq = graph_.output_of(
        graph_.add_node(OpType::kDequantizeLinear, attrs, name + "_dq", {q, s, z}, unique("_dq"), before));
    for (const NodeId reader : readers) {
      auto& inputs = graph_.node(reader).inputs;
      std::replace(inputs.begin(), inputs.end(), id, dq);
    }
  }

  void quantize_weights(const LinearLayer& layer) {
    const auto found = spec_.weights.find(graph_.node(layer.id).name);
    XDN_CHECK(found != spec_.weights.end());
    const LayerWeights& weights = found->second;
    const std::string weights_name = graph_.value(layer.weights).name;  // values move as others are added
    dequantized(layer.id, 1, weights_name, levels_tensor(graph_, layer, weights.levels), weights.scale,
                layer.axis);
    if (weights.bias.empty()) return;
    const auto x_scale = static_cast<double>(scale(layer.src).scale);
    std::vector<float> bias_scale(weights.scale.size());
    Tensor levels(DType::kI32, {layer.oc});
    const auto out = levels.mutable_data<int32_t>();
    for (size_t j = 0; j < bias_scale.size(); ++j) {
      bias_scale[j] = static_cast<float>(x_scale * static_cast<double>(weights.scale[j]));
      constexpr double kMost = 0x7fffffff;
      const double level = static_cast<double>(weights.bias[j]) / static_cast<double>(bias_scale[j]);
      out[j] = static_cast<int32_t>(std::clamp(std::nearbyint(level), -kMost, kMost));
    }
    const std::string name = layer.bias != kNoValue ? graph_.value(layer.bias).name : weights_name + "_bias";
    dequantized(layer.id, 2, name, levels, bias_scale, 0);
  }

  /// Input i of the node reads the integers through a DequantizeLinear.
  void dequantized(NodeId id, size_t i, const std::string& name, const Tensor& integers,
                   const std::vector<float>& scales, int64_t axis) {
    const auto channels = static_cast<int64_t>(scales.size());
    const auto unique = [&](const char* suffix) { return graph_.unique_name(name + suffix); };
    const ValueId q = graph_.add_constant(unique("_q"), integers);
    const ValueId s = graph_.add_constant(unique("_scale"), Tensor::of({channels}, scales));
    const ValueId z = graph_.add_constant(unique("_zero_point"), Tensor(integers.dtype(), {channels}));
    const ValueId dq =
        graph_.output_of(graph_.add_node(OpType::kDequantizeLinear, QuantizeAttrs{axis, integers.dtype()},
                                         name + "_dq", {q, s, z}, unique("_dq"), id));
    auto& inputs = graph_.node(id).inputs;
    if (inputs.size() <= i) inputs.resize(i + 1, kNoValue);
    inputs[i] = dq;
  }

  Graph& graph_;
  const QdqSpec& spec_;
  Choice choice_;
};

}  // namespace

std::vector<std::string> quantized_values(const Graph& graph) {
  const std::set<std::string> none;
  const Choice choice(graph, none, none);
  std::vector<std::string> names;
  for (const ValueId id : choice.values()) {
    if (choice.source(id) == id) names.push_back(graph.value(id).name);
  }
  return names;
}

std::map<std::string, std::string> range_sources(const Graph& graph) {
  const std::set<std::string> none;
  const Choice choice(graph, none, none);
  std::map<std::string, std::string> names;
  for (const ValueId id : choice.values())
    names.emplace(graph.value(id).name, graph.value(choice.source(id)).name);
  return names;
}

void insert_qdq(Graph& graph, const QdqSpec& spec) { Inserter(graph, spec).run(); }

}  // namespace xdn
