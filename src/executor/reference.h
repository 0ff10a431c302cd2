#pragma once

#include <map>
#include <span>
#include <vector>

#include "graph/graph.h"

namespace xdn {

/// Evaluates one node on dense tensors (NCHW, row-major): naive, readable, the oracle. Inputs that are absent
/// are null. Accumulates in double. Throws an input error naming the node when a type is not supported.
Tensor evaluate_node(const Node& node, std::span<const Tensor* const> inputs);

/// Runs the graph node by node. `inputs` follow graph.inputs(); the batch is what their leading extents say.
/// Returns the graph's outputs; `values`, if given, receives every value computed, by name.
std::vector<Tensor> run_reference(const Graph& graph, std::span<const Tensor> inputs,
                                  std::map<std::string, Tensor>* values = nullptr);

}  // namespace xdn
