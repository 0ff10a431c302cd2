// x -> AveragePool over the whole map  =>  x -> GlobalAveragePool
// x -> ReduceMean over all spatial axes  =>  x -> GlobalAveragePool (-> Flatten, where they do not remain)
#include <algorithm>

#include "fusion/affine.h"
#include "fusion/passes.h"

namespace xdn::fusion {
namespace {

bool covers_map(const Node& node, const Dims& x, const Dims& y) {
  const Window& window = node.as<PoolAttrs>().window;
  for (size_t i = 0; i < window.kernel.size(); ++i) {
    if (window.kernel[i] != x[i + 2] || window.dilations[i] != 1 || window.pads_begin[i] != 0 ||
        window.pads_end[i] != 0 || y[i + 2] != 1) {
      return false;
    }
  }
  return true;
}

bool covers_spatial_axes(const Dims& axes, size_t rank) {
  if (rank < 3 || axes.size() != rank - 2) return false;
  for (size_t i = 0; i < axes.size(); ++i) {
    if (axes[i] != static_cast<int64_t>(i) + 2) return false;
  }
  return true;
}

}  // namespace

int normalize_global_pool(Graph& graph) {
  int rewrites = 0;
  const std::vector<NodeId> order = graph.order();
  for (const NodeId id : order) {
    Node& node = graph.node(id);
    const ValueId input = node.input(0);
    if (input == kNoValue || !is_foldable_type(graph.value(input).dtype)) continue;
    const Dims &x = graph.value(input).shape, &y = graph.value(node.output).shape;
    if (x.size() < 3 || std::find(x.begin() + 2, x.end(), kBatch) != x.end()) continue;
    if (node.type == OpType::kAveragePool && covers_map(node, x, y)) {
      node.type = OpType::kGlobalAveragePool;
      node.attrs = NoAttrs{};
    } else if (node.type == OpType::kReduceMean &&
               covers_spatial_axes(node.as<ReduceAttrs>().axes, x.size())) {
      if (node.as<ReduceAttrs>().keepdims) {
        node.type = OpType::kGlobalAveragePool;
        node.attrs = NoAttrs{};
      } else {
        const std::string name = node.name, value = graph.value(node.output).name;
        const NodeId pool = add_typed_node(graph, OpType::kGlobalAveragePool, NoAttrs{}, name + ".pool",
                                           {input}, value + ".pool", id);
        Node& flatten = graph.node(id);
        flatten.type = OpType::kFlatten;
        flatten.attrs = FlattenAttrs{1};
        flatten.inputs[0] = graph.output_of(pool);
      }
    } else {
      continue;
    }
    ++rewrites;
  }
  return rewrites;
}

}  // namespace xdn::fusion
