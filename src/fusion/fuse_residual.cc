// Add(x -> Conv, y)  =>  Conv(x, residual y)
// The Conv moves to the place of the Add, where y is known; of two Convs the later one takes the sum.
#include <algorithm>

#include "fusion/affine.h"
#include "fusion/passes.h"

namespace xdn::fusion {
namespace {

/// The Conv behind input i of the Add, if it can take the other input as its residual. Since the Add is its
/// only reader, the other input cannot depend on it.
NodeId candidate(const Graph& graph, const Node& add, size_t i, const std::vector<int>& uses) {
  const ValueId x = add.inputs[i];
  const NodeId conv = producer_of_type(graph, x, OpType::kConv);
  if (conv == kNoNode || uses[static_cast<size_t>(x)] != 1) return kNoNode;
  const Node& node = graph.node(conv);
  const bool is_free = node.input(3) == kNoValue && node.as<ConvAttrs>().act.kind == ActKind::kNone;
  const bool same_shape = graph.value(add.inputs[1 - i]).shape == graph.value(x).shape;
  return is_free && same_shape ? conv : kNoNode;
}

}  // namespace

int fuse_residual(Graph& graph) {
  int rewrites = 0;
  std::vector<int> uses = use_counts(graph);
  const std::vector<NodeId> order = graph.order();
  for (const NodeId id : order) {
    if (graph.node(id).type != OpType::kAdd) continue;
    const Node& add = graph.node(id);
    NodeId conv = candidate(graph, add, 0, uses);
    const NodeId second = candidate(graph, add, 1, uses);
    if (conv == kNoNode || second != kNoNode) {
      const auto position = [&](NodeId node) {
        return std::find(graph.order().begin(), graph.order().end(), node);
      };
      if (conv == kNoNode || position(conv) < position(second)) conv = second;
    }
    if (conv == kNoNode) continue;
    const ValueId sum = graph.output_of(conv);
    const ValueId other = add.inputs[0] == sum ? add.inputs[1] : add.inputs[0];
    graph.node(conv).inputs.resize(4, kNoValue);
    graph.node(conv).inputs[3] = other;
    graph.move_before(conv, id);
    graph.replace_uses(graph.output_of(id), sum);
    graph.erase(id);
    uses = use_counts(graph);
    ++rewrites;
  }
  return rewrites;
}

}  // namespace xdn::fusion
