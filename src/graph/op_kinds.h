#pragma once

#include "graph/graph.h"

namespace xdn {

/// Sums products with weights: Conv, Gemm and MatMul.
bool is_linear(OpType type);

/// Results are elements of the first input, or zero.
bool moves_elements(const Node& node);

}  // namespace xdn
