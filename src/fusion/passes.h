#pragma once

#include "graph/graph.h"

namespace xdn::fusion {

// One per file of the same name.
bool eliminate_dead(Graph& graph);
bool eliminate_identity(Graph& graph);
bool fold_add_into_conv(Graph& graph);
bool fold_affine_into_batchnorm(Graph& graph);
bool fold_batchnorm(Graph& graph);
bool fold_constants(Graph& graph);
bool fold_mul_into_conv(Graph& graph);
bool fold_pad(Graph& graph);
bool fuse_relu(Graph& graph);
bool fuse_residual(Graph& graph);

}  // namespace xdn::fusion
