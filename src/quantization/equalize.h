#pragma once

#include "graph/graph.h"

namespace xdn {

/// Cross-layer equalization (Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias
/// Correction", ICCV 2019, section 4.1): where one Conv's result reaches only one other Conv, through nothing
/// but ReLU, leaky ReLU and pools, channel i may be divided by s[i] in the first and multiplied by s[i] in
/// the second; s[i] = sqrt(r1[i] / r2[i]) makes the channel's largest weights r1 and r2 of both equal. The
/// function computed is the same up to float rounding. Channels without weights, and pairs with a Clip
/// between them, stay as they are. Rounds over all pairs until no s[i] is further from 1 than a hundredth,
/// or 20. Needs a graph without fused activations; returns how many pairs were scaled.
int equalize_layers(Graph& graph);

}  // namespace xdn
