#pragma once

#include <string>
#include <utility>
#include <vector>

#include "graph/graph.h"

namespace xdn::bench {

/// A float32 graph as TorchScript: the method "forward" of a module that has the constants as attributes.
struct TorchScript {
  std::string source;
  std::vector<std::pair<std::string, Tensor>> constants;
};

/// The first output of a graph of one input, in operators of ATen. Throws an input error naming the layer
/// where an operator, or a variant of one, is not covered.
TorchScript to_torch_script(const Graph& graph);

}  // namespace xdn::bench
