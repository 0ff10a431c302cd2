// Conv -> MaxPool -> Relu  =>  Conv -> Relu -> MaxPool
// likewise for Clip and for LeakyRelu with a slope of at least 0: what keeps order commutes with a maximum.
// Only where the Conv, which then takes the activation, has none and nobody else reads in between.
#include <algorithm>

#include "fusion/affine.h"
#include "fusion/passes.h"

namespace xdn::fusion {
namespace {

bool keeps_order(const Node& node) {
  if (node.type == OpType::kLeakyRelu) return node.as<LeakyReluAttrs>().alpha >= 0;
  if (node.type == OpType::kClip) return node.as<ClipAttrs>().min <= node.as<ClipAttrs>().max;
  return node.type == OpType::kRelu;
}

/// With dilation a window may lie in the padding alone and give -inf, which an activation would lift.
bool reads_input_everywhere(const Node& pool) {
  const Dims& dilations = pool.as<PoolAttrs>().window.dilations;
  return std::all_of(dilations.begin(), dilations.end(), [](int64_t dilation) { return dilation == 1; });
}

}  // namespace

int hoist_relu(Graph& graph) {
  int rewrites = 0;
  const std::vector<int> uses = use_counts(graph);
  const std::vector<NodeId> order = graph.order();
  for (const NodeId id : order) {
    Node& relu = graph.node(id);
    if (!keeps_order(relu)) continue;
    const ValueId between = relu.input(0);
    const NodeId pool_id = producer_of_type(graph, between, OpType::kMaxPool);
    if (pool_id == kNoNode || uses[static_cast<size_t>(between)] != 1) continue;
    Node& pool = graph.node(pool_id);
    const ValueId x = pool.input(0);
    const NodeId conv = producer_of_type(graph, x, OpType::kConv);
    if (conv == kNoNode || uses[static_cast<size_t>(x)] != 1 || !reads_input_everywhere(pool) ||
        graph.node(conv).as<ConvAttrs>().act.kind != ActKind::kNone) {
      continue;
    }
    std::swap(relu.type, pool.type);
    std::swap(relu.attrs, pool.attrs);
    std::swap(relu.name, pool.name);
    graph.value(between).shape = graph.value(x).shape;
    ++rewrites;
  }
  return rewrites;
}

}  // namespace xdn::fusion
