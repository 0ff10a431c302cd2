#include "fusion/cost.h"

#include <algorithm>

#include "fusion/affine.h"

namespace xdn {
namespace {

// One core of the Zen 4 class, f32: what its dense kernels reach, and what streams between the steps of a
// plan at batch 1. Only the ratio decides, and only between forms of one sum.
constexpr double kMacsPerSecond = 50e9, kBytesPerSecond = 10e9;

bool is_view(OpType type) {
  return type == OpType::kIdentity || type == OpType::kReshape || type == OpType::kFlatten;
}

}  // namespace

double predicted_seconds(double macs, double bytes) {
  return macs / kMacsPerSecond + bytes / kBytesPerSecond;
}

namespace fusion {

double value_bytes(const Graph& graph, ValueId id) {
  Dims shape = graph.value(id).shape;
  std::replace(shape.begin(), shape.end(), kBatch, int64_t{1});
  const size_t size = dtype_size(graph.value(id).dtype);
  return static_cast<double>(element_count(shape, size)) * static_cast<double>(size);
}

bool merges_in_plan(const Graph& graph, const Node& conv, const Node& reader) {
  if (conv.type != OpType::kConv || reader.type != OpType::kConv || reader.input(3) != conv.output)
    return false;
  const auto &a = conv.as<ConvAttrs>(), &b = reader.as<ConvAttrs>();
  return a.group == 1 && b.group == 1 && a.act.kind == ActKind::kNone && conv.input(3) == kNoValue &&
         graph.is_constant(conv.input(1)) && graph.is_constant(reader.input(1));
}

}  // namespace fusion

PredictedCost predicted_cost(const Graph& graph) {
  std::vector<bool> merged(graph.value_count(), false);
  const std::vector<int> uses = fusion::use_counts(graph);
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    const ValueId residual = node.type == OpType::kConv ? node.input(3) : kNoValue;
    if (residual == kNoValue || uses[static_cast<size_t>(residual)] != 1) continue;
    const NodeId producer = graph.value(residual).producer;
    merged[static_cast<size_t>(residual)] =
        producer != kNoNode && fusion::merges_in_plan(graph, graph.node(producer), node);
  }
  double bytes = 0;
  const auto touch = [&](ValueId id) {
    if (id != kNoValue && !merged[static_cast<size_t>(id)]) bytes += fusion::value_bytes(graph, id);
  };
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (is_view(node.type)) continue;
    std::for_each(node.inputs.begin(), node.inputs.end(), touch);
    touch(node.output);
  }
  const int64_t macs = graph_cost(graph).macs_effective;
  return {static_cast<int64_t>(graph.order().size()), macs, static_cast<int64_t>(bytes),
          predicted_seconds(static_cast<double>(macs), bytes)};
}

}  // namespace xdn
