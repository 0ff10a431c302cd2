// x -> Reshape to [N, everything else]  =>  x -> Flatten
// x -> Reshape or Flatten -> Reshape or Flatten  =>  x -> the second alone
// where the free batch stays in front.
#include "fusion/affine.h"
#include "fusion/passes.h"

namespace xdn::fusion {
namespace {

bool is_reshaping(OpType type) { return type == OpType::kReshape || type == OpType::kFlatten; }
bool batch_leads(const Dims& shape) { return !shape.empty() && shape[0] == kBatch; }

/// What x is reshaped from: x itself, or what a Reshape or Flatten made x of.
ValueId source_of(const Graph& graph, ValueId x) {
  const NodeId producer = graph.value(x).producer;
  if (producer == kNoNode || !is_reshaping(graph.node(producer).type)) return x;
  const ValueId source = graph.node(producer).inputs[0];
  return batch_leads(graph.value(source).shape) ? source : x;
}

}  // namespace

int normalize_flatten(Graph& graph) {
  int rewrites = 0;
  const std::vector<NodeId> order = graph.order();
  for (const NodeId id : order) {
    Node& node = graph.node(id);
    if (!is_reshaping(node.type)) continue;
    const Dims& shape = graph.value(node.output).shape;
    if (!batch_leads(shape) || !batch_leads(graph.value(node.inputs[0]).shape)) continue;
    const ValueId source = source_of(graph, node.inputs[0]);
    const bool flattens = shape.size() == 2;
    const bool is_flatten = node.type == OpType::kFlatten && node.as<FlattenAttrs>().axis == 1;
    if (source == node.inputs[0] && flattens == is_flatten) continue;
    node.inputs[0] = source;
    node.type = flattens ? OpType::kFlatten : OpType::kReshape;
    if (flattens) {
      node.attrs = FlattenAttrs{1};
    } else {
      node.attrs = ReshapeAttrs{shape};
    }
    ++rewrites;
  }
  return rewrites;
}

}  // namespace xdn::fusion
