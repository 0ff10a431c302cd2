#include "quantization/quantize.h"

#include <algorithm>
#include <cmath>
#include <mutex>

#include "base/dtype.h"
#include "base/error.h"
#include "fusion/pipeline.h"
#include "graph/bf16_layers.h"
#include "quantization/equalize.h"
#include "quantization/rounding.h"

namespace xdn {
namespace {

/// A fused activation or residual would come apart again in the file, after Q and DQ had been placed.
void fuse_for_quantization(Graph& graph) {
  record_steps(graph, run_passes(graph, traditional_passes(), {"fuse_relu", "fuse_residual"}));
}

void check_float(const Graph& graph) {
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (node.type == OpType::kQuantizeLinear || node.type == OpType::kDequantizeLinear)
      throw input_error("is quantized already, expected a float model").in_layer(layer_name(graph, node));
  }
}

Graph prepare(Graph graph) {
  check_float(graph);
  check_finite_weights(graph);
  fuse_for_quantization(graph);
  name_layers(graph);
  if (linear_layers(graph).empty())
    throw input_error("has no convolution or matrix product with constant weights: nothing to quantize");
  return graph;
}

Tensor rounded_to_bf16(const Tensor& tensor) {
  Tensor out(DType::kF32, tensor.dims());
  const auto src = tensor.data<float>();
  const auto dst = out.mutable_data<float>();
  for (size_t i = 0; i < src.size(); ++i) dst[i] = static_cast<float>(BFloat16(src[i]));
  return out;
}

constexpr int kMostSweeps = 20;  // of 3 to 8 that are usual

/// Rounds the layers' weights and notes their names in the metadata.
void mark_bf16(Graph& graph, const std::set<std::string>& names) {
  for (const LinearLayer& layer : linear_layers(graph)) {
    if (!names.contains(graph.node(layer.id).name)) continue;
    Value& weights = graph.value(layer.weights);
    weights.constant = rounded_to_bf16(*weights.constant);
  }
  set_bf16_layers(graph, names);
}

}  // namespace

Quantizer::Quantizer(Graph model, const QuantizeOptions& options)
    : graph_(prepare(std::move(model))), options_(options) {
  if (options_.equalize) equalized_ = equalize_layers(graph_);
}

void Quantizer::round_weights(const Calibration* calibration) {
  const std::vector<LinearLayer> all = layers();
  const std::map<std::string, std::string> sources = range_sources(graph_);
  weights_.clear();
  reports_.clear();
  for (const LinearLayer& layer : all) {
    const std::string& name = graph_.node(layer.id).name;
    reports_.push_back({name, 0, 0});
    LayerWeights& out = weights_[name];
    if (layer.takes_bias) out.bias = bias_of(graph_, layer);
    const std::vector<float> rows = weight_rows(graph_, layer);
    // A layer whose input is no activation in 8 bits (it is a model's output too) stays float.
    const auto source = sources.find(graph_.value(layer.src).name);
    const float x_scale =
        source == sources.end() ? 1.0f : scale_of(ranges_.values.at(source->second).levels).scale;
    out.scale = weight_scales(rows, layer.k, out.bias, x_scale);
    out.levels = round_to_nearest(rows, layer.k, out.scale);
  }
  if (calibration == nullptr || (!options_.correct_bias && options_.rounding == Rounding::kNearest)) return;
  // The same graph, hence the same layers by place.
  calibration->moments(all, [&](const LinearLayer& layer, const InputMoments& moments) {
    const auto at = static_cast<size_t>(
        std::find_if(all.begin(), all.end(), [&](const LinearLayer& l) { return l.id == layer.id; }) -
        all.begin());
    LayerWeights& out = weights_.at(graph_.node(layer.id).name);
    const std::vector<float> rows = weight_rows(graph_, layer);
    const int sweeps = options_.rounding == Rounding::kLeastSquares ? kMostSweeps : 0;
    RoundedWeights rounded = round_by_least_squares(rows, layer.k, out.scale, layer.groups, moments, sweeps);
    out.levels = std::move(rounded.levels);
    const double variance = output_variance(rows, layer.k, layer.oc, layer.groups, moments);
    if (variance > 0) {
      reports_[at].relative_error = rounded.error / variance;
      reports_[at].nearest_relative_error = rounded.nearest_error / variance;
    }
    if (!options_.correct_bias || out.bias.empty()) return;
    const std::vector<float> shift = mean_shift(rows, out.levels, layer.k, out.scale, layer.groups, moments);
    for (size_t j = 0; j < shift.size(); ++j) out.bias[j] -= shift[j];
  });
}

Graph Quantizer::quantized(const std::map<std::string, FloatKind>& float_layers) const {
  Graph graph = graph_;
  QdqSpec spec;
  std::set<std::string> bf16;
  for (const auto& [name, kind] : float_layers) {
    spec.float_layers.insert(name);
    if (kind == FloatKind::kBf16) bf16.insert(name);
  }
  for (const auto& [name, range] : ranges_.values) spec.ranges[name] = range.levels;
  spec.weights = weights_;
  mark_bf16(graph, bf16);
  insert_qdq(graph, spec);
  graph.compact();
  return graph;
}

Graph bf16_model(Graph model) {
  Graph graph = prepare(std::move(model));
  std::set<std::string> names;
  for (const LinearLayer& layer : linear_layers(graph)) names.insert(graph.node(layer.id).name);
  mark_bf16(graph, names);
  return graph;
}

}  // namespace xdn
