#include "pruning/cost_model.h"

#include <map>

namespace xdn::pruning {

CostModel macs_cost() {
  return [](const Graph&) -> NodeCostOf {
    return [](NodeId node, const Widths& widths) { return static_cast<double>(widths.macs_effective(node)); };
  };
}

CostModel latency_cost(const LatencyTable& table) {
  return [&table](const Graph& graph) -> NodeCostOf {
    const std::vector<std::string> in_order = table_names(graph);
    std::map<NodeId, std::string> names;
    size_t at = 0;
    for (const NodeId id : graph.order()) names[id] = in_order[at++];
    return [&table, &graph, names = std::move(names)](NodeId id, const Widths& widths) {
      const Node& node = graph.node(id);
      const auto width = [&](ValueId value) {
        const size_t rank = graph.value(value).shape.size();
        return rank < 2 ? 1 : widths.width(value, rank == 3 ? 2 : 1);  // as layer_widths counts
      };
      return table.layer_seconds(names.at(id), width(node.inputs[0]), width(node.output));
    };
  };
}

double total_cost(const Graph& graph, const CostModel& model) {
  const Groups groups = find_groups(graph);
  const Widths widths(graph, groups);
  const NodeCostOf cost = model(graph);
  double total = 0;
  for (const NodeId id : graph.order()) total += cost(id, widths);
  return total;
}

}  // namespace xdn::pruning
