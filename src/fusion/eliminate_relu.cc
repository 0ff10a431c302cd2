// x -> Relu  =>  x
// where x is never negative; likewise for LeakyRelu, and for Clip from at most 0 to infinity.
#include "fusion/affine.h"
#include "fusion/nonnegative.h"
#include "fusion/passes.h"

namespace xdn::fusion {
namespace {

bool keeps_nonnegative(const Node& node) {
  if (node.type == OpType::kClip) {
    const auto& clip = node.as<ClipAttrs>();
    return clip.min <= 0 && clip.max == std::numeric_limits<float>::infinity();
  }
  return node.type == OpType::kRelu || node.type == OpType::kLeakyRelu;
}

}  // namespace

int eliminate_relu(Graph& graph) {
  int rewrites = 0;
  const std::vector<bool> nonnegative = nonnegative_values(graph);
  const std::vector<NodeId> order = graph.order();
  for (const NodeId id : order) {
    const ValueId x = graph.node(id).input(0);
    if (!keeps_nonnegative(graph.node(id)) || !nonnegative[static_cast<size_t>(x)]) continue;
    if (bypass(graph, id, x)) ++rewrites;
  }
  return rewrites;
}

}  // namespace xdn::fusion
