// x -> Conv -> Relu  =>  x -> Conv act=relu
// likewise for LeakyRelu and Clip, and for Gemm.
#include <cmath>

#include "fusion/affine.h"
#include "fusion/passes.h"

namespace xdn::fusion {
namespace {

std::optional<Activation> activation_of(const Node& node) {
  if (node.type == OpType::kRelu) return Activation{ActKind::kRelu, 0, 0};
  if (node.type == OpType::kLeakyRelu)
    return Activation{ActKind::kLeakyRelu, node.as<LeakyReluAttrs>().alpha, 0};
  if (node.type == OpType::kClip) {
    const auto& clip = node.as<ClipAttrs>();
    if (std::isnan(clip.min) || std::isnan(clip.max)) return std::nullopt;
    if (clip.min == 0 && clip.max == std::numeric_limits<float>::infinity())
      return Activation{ActKind::kRelu, 0, 0};
    return Activation{ActKind::kClip, clip.min, clip.max};
  }
  return std::nullopt;
}

Activation* activation_slot(Graph& graph, ValueId value) {
  if (const NodeId conv = producer_of_type(graph, value, OpType::kConv); conv != kNoNode) {
    return &graph.node(conv).as<ConvAttrs>().act;
  }
  if (const NodeId gemm = producer_of_type(graph, value, OpType::kGemm); gemm != kNoNode) {
    return &graph.node(gemm).as<GemmAttrs>().act;
  }
  return nullptr;
}

}  // namespace

int fuse_relu(Graph& graph) {
  int rewrites = 0;
  std::vector<int> uses = use_counts(graph);
  const std::vector<NodeId> order = graph.order();
  for (const NodeId id : order) {
    const auto act = activation_of(graph.node(id));
    if (!act) continue;
    const ValueId x = graph.node(id).input(0);
    Activation* slot = activation_slot(graph, x);
    if (slot == nullptr || slot->kind != ActKind::kNone || uses[static_cast<size_t>(x)] != 1) continue;
    *slot = *act;
    graph.replace_uses(graph.output_of(id), x);
    graph.erase(id);
    uses = use_counts(graph);
    ++rewrites;
  }
  return rewrites;
}

}  // namespace xdn::fusion
