#include "quantization/merge_sums.h"

#include <algorithm>

namespace xdn {

std::vector<ConvolutionSum> convolution_sums(const Graph& graph) {
  std::vector<ConvolutionSum> sums;
  const auto users = graph.users();
  const auto convolution = [&](ValueId value) -> std::optional<LinearLayer> {
    const NodeId producer = graph.value(value).producer;
    if (producer == kNoNode || graph.is_output(value) || users[static_cast<size_t>(value)].size() != 1 ||
        graph.node(producer).type != OpType::kConv || graph.node(producer).as<ConvAttrs>().group != 1) {
      return std::nullopt;
    }
    return linear_layer(graph, producer);
  };
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (node.type != OpType::kAdd || node.input(0) == node.input(1) ||
        graph.value(node.input(0)).shape != graph.value(node.input(1)).shape) {
      continue;
    }
    const auto a = convolution(node.input(0)), b = convolution(node.input(1));
    if (a && b) sums.push_back({node.name, {*a, *b}});
  }
  return sums;
}

std::array<std::vector<float>, 2> tied_scales(const std::array<float, 2>& x_scales,
                                              const std::array<std::vector<float>, 2>& scales) {
  std::array<std::vector<float>, 2> tied = scales;
  const auto product = [&](size_t side, size_t j) {
    return static_cast<double>(x_scales[side]) * static_cast<double>(scales[side][j]);
  };
  for (size_t j = 0; j < scales[0].size(); ++j) {
    const double wider = std::max(product(0, j), product(1, j));
    for (size_t side = 0; side < 2; ++side)
      tied[side][j] = static_cast<float>(wider / static_cast<double>(x_scales[side]));
  }
  return tied;
}

}  // namespace xdn
