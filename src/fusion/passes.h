#pragma once

#include "graph/graph.h"

namespace xdn::fusion {

// One per file of the same name. Each returns how many times it rewrote.
int eliminate_dead(Graph& graph);
int eliminate_identity(Graph& graph);
int eliminate_relu(Graph& graph);
int fold_add_into_conv(Graph& graph);
int fold_affine_into_batchnorm(Graph& graph);
int fold_batchnorm(Graph& graph);
int fold_constants(Graph& graph);
int fold_mul_into_conv(Graph& graph);
int fold_pad(Graph& graph);
int fuse_relu(Graph& graph);
int fuse_residual(Graph& graph);
int hoist_relu(Graph& graph);
int normalize_flatten(Graph& graph);
int normalize_global_pool(Graph& graph);
int turn_matmul_into_gemm(Graph& graph);

// Those that may cost more than they save: they rewrite where it pays or, if forced, wherever it is exact.
int dirac_shortcut(Graph& graph, bool forced);
int merge_projection(Graph& graph, bool forced);
int reserve_and_merge(Graph& graph, bool forced);

}  // namespace xdn::fusion
