#pragma once

#include <vector>

#include "graph/graph.h"

namespace xdn::fusion {

/// For every value, whether all its numbers are known to be at least 0 (or no numbers), whatever the input.
std::vector<bool> nonnegative_values(const Graph& graph);

}  // namespace xdn::fusion
