#pragma once

#include <functional>

#include "pruning/latency_table.h"
#include "pruning/widths.h"

namespace xdn::pruning {

/// What a node of a graph costs at the widths that are left, in any unit: seconds, multiply-accumulates.
using NodeCostOf = std::function<double(NodeId node, const Widths& widths)>;
/// For one graph after another; the graph must outlive what it gives.
using CostModel = std::function<NodeCostOf(const Graph& graph)>;

/// Effective multiply-accumulates.
CostModel macs_cost();
/// Seconds per image, without the table's fixed_seconds(). The table must outlive it.
CostModel latency_cost(const LatencyTable& table);

/// The sum over a graph's nodes.
double total_cost(const Graph& graph, const CostModel& model);

}  // namespace xdn::pruning
