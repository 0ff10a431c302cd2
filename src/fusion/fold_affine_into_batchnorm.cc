// x -> BatchNorm(scale, bias, ...) -> Mul(s) -> Add(t)  =>  x -> BatchNorm(scale * s, bias * s + t, ...)
// where s and t are constant, one number per channel or one in all; likewise for Div and Sub.
#include "fusion/affine.h"
#include "fusion/passes.h"

namespace xdn::fusion {
namespace {

bool fold(Graph& graph, NodeId batchnorm, const Affine& affine) {
  const Node& node = graph.node(batchnorm);
  for (const size_t i : {size_t{1}, size_t{2}}) {
    if (!graph.is_constant(node.input(i)) || !is_foldable_type(graph.value(node.input(i)).dtype))
      return false;
  }
  std::vector<double> scale = to_doubles(graph.constant(node.input(1)));
  std::vector<double> bias = to_doubles(graph.constant(node.input(2)));
  for (size_t c = 0; c < scale.size(); ++c) {
    scale[c] *= affine.scale[c];
    bias[c] = bias[c] * affine.scale[c] + affine.shift[c];
  }
  auto new_scale = to_tensor(graph.value(node.input(1)).dtype, scale);
  auto new_bias = to_tensor(graph.value(node.input(2)).dtype, bias);
  if (!new_scale || !new_bias) return false;
  set_constant(graph, batchnorm, 1, std::move(*new_scale), "");
  set_constant(graph, batchnorm, 2, std::move(*new_bias), "");
  return true;
}

}  // namespace

int fold_affine_into_batchnorm(Graph& graph) {
  int rewrites = 0;
  std::vector<int> uses = use_counts(graph);
  const std::vector<NodeId> order = graph.order();
  for (const NodeId id : order) {
    const Node& node = graph.node(id);
    if (node.type == OpType::kBatchNorm) continue;
    const std::optional<Affine> affine = affine_of(graph, node);
    if (!affine || uses[static_cast<size_t>(affine->x)] != 1) continue;
    const NodeId batchnorm = producer_of_type(graph, affine->x, OpType::kBatchNorm);
    if (batchnorm == kNoNode || !fold(graph, batchnorm, *affine)) continue;
    graph.replace_uses(graph.output_of(id), affine->x);
    graph.erase(id);
    uses = use_counts(graph);
    ++rewrites;
  }
  return rewrites;
}

}  // namespace xdn::fusion
