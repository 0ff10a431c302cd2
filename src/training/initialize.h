#pragma once

#include "graph/graph.h"

namespace xdn::training {

/// Forgets what the graph has learned. Weights of Conv become Kaiming normal (fan out), those of Gemm and
/// MatMul uniform in +-1/sqrt(inputs), BatchNorms and other scales per channel 1, biases and shifts 0; as
/// build_architecture begins. Equal seeds give equal weights. Throws an input error naming a quantized layer.
void initialize(Graph& graph, uint64_t seed);

}  // namespace xdn::training
