#pragma once

#include <optional>
#include <span>
#include <vector>

#include "graph/graph.h"

namespace xdn {

/// A Conv of two spatial axes, Gemm or MatMul of an activation with constant f32 weights, whose outputs have
/// a scale each.
struct LinearLayer {
  NodeId id = kNoNode;
  ValueId src = kNoValue, weights = kNoValue;
  ValueId bias = kNoValue;  ///< a constant of oc elements, or none
  bool takes_bias = false;  ///< the operator has room for one
  int64_t axis = 0;         ///< of the output channels in the weights: the first, or the last of two
  int64_t oc = 0, k = 0;    ///< k weights per output channel
  int64_t groups = 1;       ///< output channels g * oc / groups ... see the input channels of group g
};
/// None where the node is something else, or its weights are computed.
std::optional<LinearLayer> linear_layer(const Graph& graph, NodeId id);
std::vector<LinearLayer> linear_layers(const Graph& graph);

/// The weights as rows, oc x k; for a Conv a row is [channel][kh][kw]; and back, in the weights' own order.
std::vector<float> weight_rows(const Graph& graph, const LinearLayer& layer);
Tensor levels_tensor(const Graph& graph, const LinearLayer& layer, std::span<const int8_t> rows);
/// The bias as oc floats, zeros where there is none.
std::vector<float> bias_of(const Graph& graph, const LinearLayer& layer);

/// Gives every Conv, Gemm, MatMul and Add a name of its own: the output's where it has none, or another
/// layer's.
void name_layers(Graph& graph);

/// Input error naming the layer where weights or a bias hold a NaN or an infinity, or a BatchNorm would
/// compute one from its variance.
void check_finite_weights(const Graph& graph);

}  // namespace xdn
