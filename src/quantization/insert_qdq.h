#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "quantization/histogram.h"
#include "quantization/linear_layer.h"

namespace xdn {

/// A linear layer's weights in 8 bits: weights of output channel j are levels * scale[j].
struct LayerWeights {
  std::vector<int8_t> levels;  ///< rows, as weight_rows
  std::vector<float> scale;    ///< by output channel
  std::vector<float> bias;     ///< by output channel, corrected or not; empty: the layer has none
};

/// What runs in 8 bits, and how.
struct QdqSpec {
  std::map<std::string, Range> ranges;          ///< by value name
  std::map<std::string, LayerWeights> weights;  ///< by layer (node) name
  /// Layers, by node name, that stay float: a linear layer's weights and, unless somebody else wants it in 8
  /// bits, its input.
  std::set<std::string> float_layers;
  /// Adds, by name, that take two convolutions' sums as they are, without a rounding to 8 bits in between.
  std::set<std::string> merged_sums;
};

/// The values that quantization wants a range for: what Conv, Gemm, MatMul, Add, Mul, Concat and pools
/// read, after a ReLU rather than before it. What only moves elements (MaxPool, Slice, Pad ...) keeps the
/// range of its input and is not listed.
std::vector<std::string> quantized_values(const Graph& graph);

/// For every value that gets 8 bits, by name, the one whose range it has.
std::map<std::string, std::string> range_sources(const Graph& graph);

/// Inserts QuantizeLinear and DequantizeLinear: u8 activations with one scale per value, s8 weights with one
/// per output channel, i32 biases whose scale is the product of both. The graph is float32, its layers named
/// (name_layers), without fused activations and residuals; every value of quantized_values has a range, every
/// linear layer that is not float has weights. Scales of weights grow where the bias would not fit into 31
/// bits.
void insert_qdq(Graph& graph, const QdqSpec& spec);

}  // namespace xdn
