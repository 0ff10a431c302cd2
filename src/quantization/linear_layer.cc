#include "quantization/linear_layer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"

namespace xdn {
namespace {

/// [rows, columns] to [columns, rows].
template <class T>
std::vector<T> transposed(std::span<const T> src, int64_t rows, int64_t columns) {
  std::vector<T> dst(src.size());
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c)
      dst[static_cast<size_t>(c * rows + r)] = src[static_cast<size_t>(r * columns + c)];
  }
  return dst;
}

/// A BatchNorm of variance -1 computes NaN, which a ReLU behind it may hide.
void check_variances(const Graph& graph, const Node& node) {
  const ValueId id = node.input(4);
  if (!graph.is_constant(id) || graph.value(id).dtype != DType::kF32) return;
  const auto values = graph.constant(id).data<float>();
  const auto bad = std::find_if(values.begin(), values.end(),
                                [&](float x) { return x + node.as<BatchNormAttrs>().epsilon < 0; });
  if (bad == values.end()) return;
  throw input_error(fmt::format("variance {} of '{}' is {}, expected no root of a negative number",
                                bad - values.begin(), printable(graph.value(id).name), *bad))
      .in_layer(layer_name(graph, node));
}

/// The axis of output channels in a Gemm's or MatMul's second input.
std::optional<int64_t> matrix_axis(const Graph& graph, const Node& node) {
  if (graph.value(node.input(1)).shape.size() != 2 || graph.value(node.input(0)).shape.size() != 2)
    return std::nullopt;
  if (node.type == OpType::kMatMul) return 1;
  const auto& attrs = node.as<GemmAttrs>();
  if (attrs.alpha != 1 || attrs.beta != 1 || attrs.trans_a) return std::nullopt;
  return attrs.trans_b ? 0 : 1;
}

}  // namespace

std::optional<LinearLayer> linear_layer(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (node.type != OpType::kConv && node.type != OpType::kGemm && node.type != OpType::kMatMul)
    return std::nullopt;
  LinearLayer layer;
  layer.id = id;
  layer.src = node.input(0);
  layer.weights = node.input(1);
  if (graph.is_constant(layer.src) || !graph.is_constant(layer.weights) ||
      graph.value(layer.weights).dtype != DType::kF32) {
    return std::nullopt;
  }
  const Tensor& weights = graph.constant(layer.weights);
  if (node.type == OpType::kConv) {
    if (weights.rank() != 4) return std::nullopt;  // over one or three spatial axes the executor has f32 only
    layer.groups = node.as<ConvAttrs>().group;
  } else {
    const auto axis = matrix_axis(graph, node);
    if (!axis) return std::nullopt;
    layer.axis = *axis;
  }
  layer.oc = weights.dim(static_cast<size_t>(layer.axis));
  if (layer.oc == 0 || weights.size() == 0) return std::nullopt;
  layer.k = weights.size() / layer.oc;
  const ValueId bias = node.type == OpType::kMatMul ? kNoValue : node.input(2);
  layer.takes_bias = node.type != OpType::kMatMul;
  if (bias != kNoValue) {
    const bool plain = graph.is_constant(bias) && graph.value(bias).dtype == DType::kF32 &&
                       graph.constant(bias).size() == layer.oc && graph.constant(bias).rank() > 0 &&
                       graph.constant(bias).dims().back() == layer.oc;
    if (plain) {
      layer.bias = bias;
    } else {
      layer.takes_bias = false;
    }
  }
  return layer;
}

std::vector<LinearLayer> linear_layers(const Graph& graph) {
  std::vector<LinearLayer> layers;
  for (const NodeId id : graph.order()) {
    if (auto layer = linear_layer(graph, id)) layers.push_back(*layer);
  }
  return layers;
}

std::vector<float> weight_rows(const Graph& graph, const LinearLayer& layer) {
  const auto weights = graph.constant(layer.weights).data<float>();
  if (layer.axis != 0) return transposed(weights, layer.k, layer.oc);
  return {weights.begin(), weights.end()};
}

Tensor levels_tensor(const Graph& graph, const LinearLayer& layer, std::span<const int8_t> rows) {
  const Dims& dims = graph.constant(layer.weights).dims();
  if (layer.axis == 0) return Tensor::of(dims, rows);
  return Tensor::of(dims, transposed(rows, layer.oc, layer.k));
}

std::vector<float> bias_of(const Graph& graph, const LinearLayer& layer) {
  if (layer.bias == kNoValue) return std::vector<float>(static_cast<size_t>(layer.oc), 0.0f);
  const auto bias = graph.constant(layer.bias).data<float>();
  return {bias.begin(), bias.end()};
}

void name_layers(Graph& graph) {
  std::set<std::string> taken;
  for (const NodeId id : graph.order()) {
    Node& node = graph.node(id);
    if (node.type != OpType::kConv && node.type != OpType::kGemm && node.type != OpType::kMatMul &&
        node.type != OpType::kAdd) {
      continue;
    }
    if (!node.name.empty() && taken.insert(node.name).second) continue;
    const std::string base = graph.value(node.output).name;
    std::string name = base;
    for (int i = 2; !taken.insert(name).second; ++i) name = base + "_" + std::to_string(i);
    node.name = name;
  }
}

void check_finite_weights(const Graph& graph) {
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    for (const ValueId input : node.inputs) {
      if (input == kNoValue || !graph.is_constant(input) || graph.value(input).dtype != DType::kF32) continue;
      const auto values = graph.constant(input).data<float>();
      const auto bad = std::find_if(values.begin(), values.end(), [](float x) { return !std::isfinite(x); });
      if (bad == values.end()) continue;
      throw input_error("weight " + std::to_string(bad - values.begin()) + " of '" +
                        printable(graph.value(input).name) + "' is " +
                        (std::isnan(*bad) ? "NaN" : "infinite") + ", expected finite weights")
          .in_layer(layer_name(graph, node));
    }
    if (node.type == OpType::kBatchNorm) check_variances(graph, node);
  }
}

}  // namespace xdn
