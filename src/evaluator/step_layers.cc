#include "evaluator/step_layers.h"

#include <sstream>

#include "graph/op_kinds.h"

namespace xdn {
namespace {

constexpr size_t kNone = static_cast<size_t>(-1);

bool is_linear(const Graph& graph, const Node& node) {
  return xdn::is_linear(node.type) && graph.is_constant(node.input(1));
}

std::string extents(const Dims& dims, size_t first) {
  std::string text;
  for (size_t i = first; i < dims.size(); ++i) {
    if (i > first) text += 'x';
    text += std::to_string(dims[i]);
  }
  return text;
}

const Window* window_of(const Node& node) {
  if (const auto* conv = std::get_if<ConvAttrs>(&node.attrs)) return &conv->window;
  if (const auto* pool = std::get_if<PoolAttrs>(&node.attrs)) return &pool->window;
  return nullptr;
}

}  // namespace

LayerMap::LayerMap(const Graph& graph) {
  const auto users = graph.users();
  std::map<NodeId, size_t> place;
  for (size_t i = 0; i < graph.order().size(); ++i) {
    const Node& node = graph.node(graph.order()[i]);
    place[graph.order()[i]] = i;
    by_name_[node.name] = i;
    by_value_[graph.value(node.output).name] = i;
    layers_.push_back({node_cost(graph, node).macs_effective, is_linear(graph, node), {}});
  }
  for (size_t i = 0; i < layers_.size(); ++i) {
    for (const NodeId reader : users[static_cast<size_t>(graph.node(graph.order()[i]).output)])
      layers_[i].readers.push_back(place.at(reader));
  }
}

StepLayers LayerMap::layers_of(const std::vector<StepReport>& steps) const {
  std::vector<size_t> owner(steps.size(), kNone);
  std::vector<bool> has_step(layers_.size(), false);
  for (size_t s = 0; s < steps.size(); ++s) {
    auto found = by_name_.find(steps[s].layer);
    if (found == by_name_.end()) {
      found = by_value_.find(steps[s].layer);  // conversions have their values' names
      if (found == by_value_.end()) continue;
    }
    owner[s] = found->second;
    has_step[owner[s]] = true;
  }
  // The first step reads the image; other nameless ones prepare what the next step reads.
  for (size_t s = steps.size(); s-- > 1;) {
    if (owner[s] == kNone && s + 1 < steps.size()) owner[s] = owner[s + 1];
  }
  // Layers that have no step run inside that of the next one behind them that has.
  std::map<size_t, std::vector<size_t>> inside;
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (has_step[i] || !layers_[i].linear) continue;
    size_t at = i;
    while (!has_step[at] && !layers_[at].readers.empty()) at = layers_[at].readers[0];
    if (has_step[at]) inside[at].push_back(i);
  }
  StepLayers out;
  out.parts.resize(steps.size());
  for (size_t s = 0; s < steps.size(); ++s) {
    const size_t own = owner[s];
    if (own == kNone) continue;
    std::vector<size_t> members = inside.contains(own) ? inside.at(own) : std::vector<size_t>();
    members.push_back(own);
    int64_t macs = 0;
    for (const size_t member : members) macs += layers_[member].macs;
    for (const size_t member : members) {
      const double share = macs > 0 ? static_cast<double>(layers_[member].macs) / static_cast<double>(macs)
                                    : (member == own ? 1.0 : 0.0);
      if (share > 0) out.parts[s].push_back({member, share, member == own});
    }
  }
  return out;
}

std::string shape_key(const Graph& graph, const Node& node) {
  std::ostringstream key;
  key << op_info(node.type).name;
  if (const Window* window = window_of(node)) {
    key << ' ' << extents(window->kernel, 0);
    const Dims ones(window->dilations.size(), 1);
    if (window->dilations != ones) key << " dilated " << extents(window->dilations, 0);
    key << " padded " << extents(window->pads_begin, 0);
  }
  if (const auto* conv = std::get_if<ConvAttrs>(&node.attrs); conv != nullptr && conv->group > 1)
    key << " groups " << conv->group;
  if (node.input(0) != kNoValue) key << ' ' << extents(graph.value(node.input(0)).shape, 1);
  key << " -> " << extents(graph.value(node.output).shape, 1);
  return key.str();
}

std::string kernel_additions(const std::string& kernel) {
  std::istringstream words(kernel);
  std::string word, out;
  while (words >> word) {
    if (word[0] != '+') continue;
    out += ' ';
    out += word;
  }
  return out;
}

bool is_dense(const Graph& graph, const Node& node) {
  if (!is_linear(graph, node)) return false;
  const auto* conv = std::get_if<ConvAttrs>(&node.attrs);
  return conv == nullptr || conv->group == 1;
}

}  // namespace xdn
