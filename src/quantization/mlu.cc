#include "quantization/mlu.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include "base/error.h"

namespace xdn {
namespace {

constexpr double kLevels = 127;

bool has_weights(const Node& node) {
  return node.type == OpType::kConv || node.type == OpType::kGemm || node.type == OpType::kMatMul;
}

/// What the weights are multiplied by.
float factor(const Node& node) { return node.type == OpType::kGemm ? node.as<GemmAttrs>().alpha : 1; }

/// The weights as a Caffe file has them, a Gemm's times its alpha.
Tensor scaled_weights(const Graph& graph, const Node& node) {
  if (!graph.is_constant(node.inputs[1])) {
    throw input_error("computes its weights, which the chip wants as constants");
  }
  Tensor weights = graph.constant(node.inputs[1]);
  if (weights.dtype() != DType::kF32) {
    throw input_error("has weights of type " + std::string(dtype_name(weights.dtype())) + ", expected f32");
  }
  if (const float alpha = factor(node); alpha != 1) {
    for (float& w : weights.mutable_data<float>()) w *= alpha;
  }
  return weights;
}

float largest_magnitude(const Tensor& tensor) {
  float most = 0;
  for (const float value : tensor.data<float>()) {
    if (std::isnan(value)) return value;
    most = std::max(most, std::abs(value));
  }
  return most;
}

MluDtype weights_dtype(const Tensor& weights) {
  try {
    return mlu_dtype(largest_magnitude(weights));
  } catch (const Error&) {
    throw input_error("has weights that are not finite");
  }
}

/// Whether the layer reads pixels that it normalises.
bool normalises_bytes(const Graph& graph, const Node& node) {
  const Normalisation found = find_normalisation(graph, node);
  const auto& inputs = graph.inputs();
  return found.mean != nullptr && std::find(inputs.begin(), inputs.end(), found.pixels) != inputs.end();
}

/// Puts quantization into a graph.
class Simulation {
 public:
  explicit Simulation(Graph& graph) : graph_(graph) {}

  void add(NodeId id, const MluLayer& layer) {
    const std::string name = layer_name(graph_, graph_.node(id));
    const Tensor weights = scaled_weights(graph_, graph_.node(id));
    const ValueId x = quantized(graph_.node(id).inputs[0], layer.bottom, name, id);
    const MluDtype dtype = layer.weights ? *layer.weights : weights_dtype(weights);
    Tensor levels(DType::kI8, weights.dims());
    const auto src = weights.data<float>();
    const auto dst = levels.mutable_data<int8_t>();
    for (size_t i = 0; i < src.size(); ++i) dst[i] = mlu_quantize(src[i], dtype);
    const ValueId q = graph_.add_constant(name + "/weight_levels", std::move(levels));
    const ValueId w = dequantized(q, dtype, name + "/weight", id);
    Node& node = graph_.node(id);
    node.inputs[0] = x;
    node.inputs[1] = w;
    if (node.type == OpType::kGemm) node.as<GemmAttrs>().alpha = 1;
  }

 private:
  /// Layers that read a value with the same step share its levels.
  ValueId quantized(ValueId x, const MluDtype& dtype, const std::string& name, NodeId before) {
    const auto [at, fresh] = done_.try_emplace({x, mlu_step(dtype)}, kNoValue);
    if (!fresh) return at->second;
    const std::string stem = name + "/bottom";
    const NodeId q =
        graph_.add_node(OpType::kQuantizeLinear, QuantizeAttrs{1, DType::kI8}, stem + "/quantize",
                        with_step(x, dtype, stem + "/quantize"), stem + "/levels", before);
    return at->second = dequantized(graph_.output_of(q), dtype, stem, before);
  }

  ValueId dequantized(ValueId levels, const MluDtype& dtype, const std::string& stem, NodeId before) {
    return graph_.output_of(graph_.add_node(OpType::kDequantizeLinear, QuantizeAttrs{1, DType::kI8},
                                            stem + "/dequantize", with_step(levels, dtype, stem),
                                            stem + "/dequantized", before));
  }

  std::vector<ValueId> with_step(ValueId x, const MluDtype& dtype, const std::string& stem) {
    const ValueId step = graph_.add_constant(stem + "/step", Tensor::scalar(mlu_step(dtype)));
    return {x, step, graph_.add_constant(stem + "/zero", Tensor::scalar<int8_t>(0))};
  }

  Graph& graph_;
  std::map<std::pair<ValueId, float>, ValueId> done_;
};

template <class F>
void in_layer(const Graph& graph, NodeId id, F&& work) {
  try {
    work();
  } catch (Error& error) {
    throw error.in_layer(layer_name(graph, graph.node(id)));
  }
}

}  // namespace

MluDtype mlu_dtype(float absmax) {
  if (!std::isfinite(absmax) || absmax < 0) {
    throw input_error("a range must be finite and not negative, is " + std::to_string(absmax));
  }
  if (absmax == 0) return {};
  const double log = std::log2(static_cast<double>(absmax) / kLevels);
  const int position =
      std::clamp(static_cast<int>(log) + (log > 0 ? 1 : 0), -kMostMluPosition, kMostMluPosition);
  return {position, static_cast<float>(std::ldexp(kLevels, position) / static_cast<double>(absmax))};
}

float mlu_step(const MluDtype& dtype) {
  const double step = std::ldexp(1.0, dtype.position) / static_cast<double>(dtype.scale);
  return std::max(static_cast<float>(step), std::numeric_limits<float>::min());
}

int8_t mlu_quantize(float x, const MluDtype& dtype) {
  if (std::isnan(x)) return 0;
  const double level = static_cast<double>(x) * static_cast<double>(dtype.scale);
  return static_cast<int8_t>(std::clamp(std::nearbyint(std::ldexp(level, -dtype.position)), -128.0, 127.0));
}

float mlu_dequantize(int8_t level, const MluDtype& dtype) {
  return static_cast<float>(std::ldexp(static_cast<double>(level), dtype.position) /
                            static_cast<double>(dtype.scale));
}

std::vector<ValueId> mlu_inputs(const Graph& graph) {
  std::vector<ValueId> out;
  std::set<ValueId> seen;
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (has_weights(node) && seen.insert(node.inputs[0]).second) out.push_back(node.inputs[0]);
  }
  return out;
}

MluLayers mlu_layers(const Graph& graph, const std::map<std::string, float>& absmax) {
  MluLayers out;
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (!has_weights(node)) continue;
    in_layer(graph, id, [&] {
      const std::string& bottom = graph.value(node.inputs[0]).name;
      const auto found = absmax.find(bottom);
      if (found == absmax.end())
        throw input_error("calibration has no range of its input '" + printable(bottom) + "'");
      out[id] = {normalises_bytes(graph, node), mlu_dtype(found->second),
                 weights_dtype(scaled_weights(graph, node))};
    });
  }
  return out;
}

Graph simulate_mlu(Graph graph, const MluLayers& layers) {
  Simulation simulation(graph);
  const std::vector<NodeId> order = graph.order();
  for (const NodeId id : order) {
    const auto layer = layers.find(id);
    if (layer != layers.end()) in_layer(graph, id, [&] { simulation.add(id, layer->second); });
  }
  graph.drop_unused_constants();
  infer_shapes(graph);
  verify(graph);
  return graph;
}

}  // namespace xdn
