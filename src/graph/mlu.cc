#include "graph/mlu.h"

#include <algorithm>

namespace xdn {

Normalisation find_normalisation(const Graph& graph, const Node& conv) {
  Normalisation out;
  out.pixels = conv.inputs[0];
  if (conv.type != OpType::kConv) return out;
  const std::string layer = layer_name(graph, conv);
  const Dims& image = graph.value(out.pixels).shape;
  Dims per_channel(image.begin() + 1, image.end());
  std::fill(per_channel.begin() + 1, per_channel.end(), 1);
  const auto step_before = [&](OpType type, const char* suffix) -> const Node* {
    const NodeId id = graph.value(out.pixels).producer;
    if (id == kNoNode) return nullptr;
    const Node& node = graph.node(id);
    if (node.type != type || node.name != layer + suffix || !graph.is_constant(node.inputs[1]))
      return nullptr;
    const Tensor& operand = graph.constant(node.inputs[1]);
    const bool one = operand.size() == 1, one_each = type == OpType::kSub && operand.dims() == per_channel;
    const bool broadcasts = graph.value(node.inputs[0]).shape != image;
    if ((!one && !one_each) || broadcasts || operand.dtype() != DType::kF32) return nullptr;
    out.pixels = node.inputs[0];
    return &node;
  };
  out.std = step_before(OpType::kMul, "/std");
  out.mean = step_before(OpType::kSub, "/mean");
  return out;
}

}  // namespace xdn
