#include "graph/bf16_layers.h"

#include <algorithm>
#include <string_view>

#include "base/error.h"

namespace xdn {

bool has_precision(const Node& node) {
  return node.type == OpType::kConv || node.type == OpType::kGemm || node.type == OpType::kMatMul;
}

std::set<std::string> bf16_layers(const Graph& graph) {
  std::set<std::string> named;
  const auto found = graph.metadata.find(kBf16LayersKey);
  if (found == graph.metadata.end()) return named;
  // Only names that the graph has are kept, so that a long list takes no memory.
  std::set<std::string, std::less<>> layers;
  for (const NodeId id : graph.order()) {
    if (has_precision(graph.node(id)) && !graph.node(id).name.empty()) layers.insert(graph.node(id).name);
  }
  for (std::string_view rest = found->second; !rest.empty();) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    if (const auto layer = layers.find(rest.substr(0, end)); layer != layers.end()) named.insert(*layer);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return named;
}

void set_bf16_layers(Graph& graph, const std::set<std::string>& layers) {
  std::string lines;
  for (const std::string& layer : layers) {
    if (layer.empty() || layer.find('\n') != std::string::npos) {
      throw input_error(
          "a layer's name that is empty or has several lines cannot stand in the model's list "
          "of bf16 layers")
          .in_layer(layer);
    }
    lines += (lines.empty() ? "" : "\n") + layer;
  }
  if (lines.empty()) {
    graph.metadata.erase(kBf16LayersKey);
  } else {
    graph.metadata[kBf16LayersKey] = lines;
  }
}

}  // namespace xdn
