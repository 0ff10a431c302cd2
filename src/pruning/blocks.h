#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"

namespace xdn::pruning {

/// A residual branch: what a sum adds to a shortcut, computed from that shortcut alone and read by nobody
/// else.
struct Block {
  std::string name;            ///< the layer of the sum
  NodeId sum;                  ///< an Add, or a Conv that takes the shortcut as its residual
  size_t shortcut;             ///< which of the sum's inputs
  std::vector<NodeId> branch;  ///< in execution order; with the sum itself, where that is a Conv
  int64_t macs_effective = 0;  ///< per image, of the branch
};

/// In execution order. A block may stand inside another's branch. Shapes must be known.
std::vector<Block> find_blocks(const Graph& graph);

/// The graph with the shortcuts alone: a sum is dropped, an activation inside of it stays. Names of graph
/// outputs stay; elsewhere what is left of a block has the shortcut's name. Blocks are those of this graph.
Graph remove_blocks(const Graph& graph, const std::vector<Block>& blocks);
/// Throws an input error naming a layer that ends no such block.
Graph remove_named_blocks(const Graph& graph, const std::vector<std::string>& names);

}  // namespace xdn::pruning
