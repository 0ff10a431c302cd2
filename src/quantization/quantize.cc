#include "quantization/quantize.h"

#include <algorithm>
#include <cmath>

#include "base/dtype.h"
#include "base/error.h"
#include "fusion/pipeline.h"
#include "graph/bf16_layers.h"
#include "quantization/equalize.h"
#include "quantization/merge_sums.h"

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

std::map<std::string, float> Quantizer::input_scales(const std::vector<LinearLayer>& layers) const {
  const std::map<std::string, std::string> sources = range_sources(graph_);
  std::map<std::string, float> scales;
  for (const LinearLayer& layer : layers) {
    const auto source = sources.find(graph_.value(layer.src).name);
    scales[graph_.node(layer.id).name] =
        source == sources.end() ? 1.0f : scale_of(ranges_.values.at(source->second).levels).scale;
  }
  return scales;
}

LayerWeights Quantizer::start(const LinearLayer& layer, std::vector<float> scale) const {
  LayerWeights weights;
  if (layer.takes_bias) weights.bias = bias_of(graph_, layer);
  weights.levels = round_to_nearest(weight_rows(graph_, layer), layer.k, scale);
  weights.scale = std::move(scale);
  return weights;
}

RoundedWeights Quantizer::round(const LinearLayer& layer, const InputMoments& moments,
                                LayerWeights& weights) const {
  const std::vector<float> rows = weight_rows(graph_, layer);
  const int sweeps = options_.rounding == Rounding::kLeastSquares ? kMostSweeps : 0;
  RoundedWeights rounded =
      round_by_least_squares(rows, layer.k, weights.scale, layer.groups, moments, sweeps);
  weights.levels = std::move(rounded.levels);
  if (!options_.correct_bias || weights.bias.empty()) return rounded;
  const std::vector<float> shift =
      mean_shift(rows, weights.levels, layer.k, weights.scale, layer.groups, moments);
  for (size_t j = 0; j < shift.size(); ++j) weights.bias[j] -= shift[j];
  return rounded;
}

void Quantizer::round_weights(const Calibration* calibration) {
  const std::vector<LinearLayer> all = layers();
  const std::map<std::string, float> x_scales = input_scales(all);
  weights_.clear();
  reports_.clear();
  sums_.clear();
  for (const LinearLayer& layer : all) {
    const std::string& name = graph_.node(layer.id).name;
    reports_.push_back({name, 0, 0});
    const std::vector<float> bias = layer.takes_bias ? bias_of(graph_, layer) : std::vector<float>();
    weights_[name] =
        start(layer, weight_scales(weight_rows(graph_, layer), layer.k, bias, x_scales.at(name)));
  }
  const bool needs_moments =
      options_.correct_bias || options_.merge_sums || options_.rounding == Rounding::kLeastSquares;
  if (calibration == nullptr || !needs_moments) return;
  std::map<std::string, LayerWeights> tied_weights;
  std::map<std::string, RoundedWeights> own, tied;  // filled by several threads: every entry is there before
  for (const auto& [name, weights] : weights_) own[name];
  for (const ConvolutionSum& sum :
       options_.merge_sums ? convolution_sums(graph_) : std::vector<ConvolutionSum>()) {
    const auto name = [&](size_t side) { return graph_.node(sum.convs[side].id).name; };
    const auto scales = tied_scales({x_scales.at(name(0)), x_scales.at(name(1))},
                                    {weights_[name(0)].scale, weights_[name(1)].scale});
    for (size_t side = 0; side < 2; ++side) {
      tied_weights[name(side)] = start(sum.convs[side], scales[side]);
      tied[name(side)];
    }
  }
  // The calibration's graph is the same, hence its layers.
  calibration->moments(all, [&](const LinearLayer& layer, const InputMoments& moments) {
    const std::string& name = graph_.node(layer.id).name;
    const RoundedWeights& rounded = own.at(name) = round(layer, moments, weights_.at(name));
    if (const auto found = tied_weights.find(name); found != tied_weights.end())
      tied.at(name) = round(layer, moments, found->second);
    const double variance =
        output_variance(weight_rows(graph_, layer), layer.k, layer.oc, layer.groups, moments);
    if (variance <= 0) return;
    const auto at = std::find_if(reports_.begin(), reports_.end(),
                                 [&](const LayerReport& report) { return report.layer == name; });
    at->relative_error = rounded.error / variance;
    at->nearest_relative_error = rounded.nearest_error / variance;
  });
  tie_sums(own, tied, std::move(tied_weights));
}

void Quantizer::tie_sums(const std::map<std::string, RoundedWeights>& own,
                         const std::map<std::string, RoundedWeights>& tied,
                         std::map<std::string, LayerWeights> tied_weights) {
  if (!options_.merge_sums) return;
  for (const ConvolutionSum& sum : convolution_sums(graph_)) {
    SumReport report{sum.add, 0, 0, false};
    for (const LinearLayer& conv : sum.convs) {
      const Node& node = graph_.node(conv.id);
      report.tied_error += tied.at(node.name).error;
      report.stored_error += own.at(node.name).error;
      // Rounding to levels of a step has the variance step^2 / 12.
      const double step =
          static_cast<double>(scale_of(ranges_.values.at(graph_.value(node.output).name).levels).scale);
      report.stored_error += step * step / 12;
    }
    report.tied = report.tied_error <= report.stored_error;
    for (const LinearLayer& conv : sum.convs) {
      const std::string& name = graph_.node(conv.id).name;
      if (report.tied) weights_[name] = std::move(tied_weights.at(name));
    }
    sums_.push_back(std::move(report));
  }
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
  for (const SumReport& sum : sums_) {
    if (sum.tied) spec.merged_sums.insert(sum.add);
  }
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

Graph quantized_for_timing(Graph model) {
  QuantizeOptions options;
  options.correct_bias = false;
  options.rounding = Rounding::kNearest;
  Quantizer quantizer(std::move(model), options);
  Ranges ranges;
  for (const std::string& value : quantizer.values()) ranges.values[value] = {{-1, 3}, {-1, 3}};
  quantizer.set_ranges(std::move(ranges));
  quantizer.round_weights(nullptr);
  return quantizer.quantized();
}

}  // namespace xdn
