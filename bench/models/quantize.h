#pragma once

#include <map>
#include <string>

#include "graph/graph.h"

namespace xdn::bench {

/// Smallest and largest element seen, by value name.
struct Range {
  float low = 0, high = 0;
};
using Ranges = std::map<std::string, Range>;

/// Inserts QuantizeLinear and DequantizeLinear as ONNX Runtime's static quantizer does: around what Conv,
/// Gemm, MatMul, Add, Mul and pools read, after a ReLU rather than before it; u8 activations with one scale
/// per value, i8 weights with one per output channel, i32 biases. The graph is float32, without fused
/// activations and residuals, and every value in it has a range. Throws an input error where it is quantized
/// already.
void insert_qdq(Graph& graph, const Ranges& ranges);

}  // namespace xdn::bench
