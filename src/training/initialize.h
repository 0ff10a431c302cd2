#pragma once

#include "graph/graph.h"

namespace xdn::training {

/// Forgets what the graph has learned. Weights of Conv become Kaiming normal (fan out), those of Gemm and
/// MatMul, on whichever side they stand, uniform in +-1/sqrt(inputs), BatchNorms and the scales per channel
/// behind these layers 1, biases and shifts 0, slopes of PRelu 0.25 (He et al., ICCV 2015); as
/// build_architecture begins. Equal seeds give equal weights. Throws an input error naming a quantized layer.
void initialize(Graph& graph, uint64_t seed);

}  // namespace xdn::training
