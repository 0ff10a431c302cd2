// x -> Conv(w, b, y -> Conv(v, c))  =>  Concat(x, y) -> Conv([w v], b + c)
// x -> Conv(w, b, x -> Conv(v, c))  =>  x -> Conv(w + v, b + c)
// where strides agree and the taps of one window stand among the other's. The first form copies x and y,
// which the executor's plan does not have to, so it never pays there; the second does. Groups only in the
// second.
#include <algorithm>

#include "fusion/conv_weights.h"
#include "fusion/passes.h"

namespace xdn::fusion {
namespace {

struct Site {
  NodeId sum, branch;  ///< the Conv that adds, and the one whose result it adds
  bool same_input;
  bool sum_is_larger;
  Dims offset;  ///< of the smaller window's taps in the larger
};

std::optional<Site> find_site(const Graph& graph, NodeId id, const std::vector<int>& uses) {
  const Node& sum = graph.node(id);
  if (sum.type != OpType::kConv) return std::nullopt;
  const ValueId residual = sum.input(3);
  const NodeId branch_id = producer_of_type(graph, residual, OpType::kConv);
  if (branch_id == kNoNode || uses[static_cast<size_t>(residual)] != 1) return std::nullopt;
  const Node& branch = graph.node(branch_id);
  const auto &a = sum.as<ConvAttrs>(), &b = branch.as<ConvAttrs>();
  if (b.act.kind != ActKind::kNone || a.group != b.group || !has_own_weights(graph, sum) ||
      !has_own_weights(graph, branch)) {
    return std::nullopt;
  }
  Site site{id, branch_id, sum.inputs[0] == branch.inputs[0], true, {}};
  const Dims &x = graph.value(sum.inputs[0]).shape, &y = graph.value(branch.inputs[0]).shape;
  const bool same_map = x[0] == y[0] && std::equal(x.begin() + 2, x.end(), y.begin() + 2, y.end());
  if (!site.same_input && (a.group != 1 || !same_map)) return std::nullopt;
  auto offset = place_within(b.window, a.window);
  if (!offset) {
    site.sum_is_larger = false;
    offset = place_within(a.window, b.window);
  }
  if (!offset) return std::nullopt;
  site.offset = std::move(*offset);
  return site;
}

RewriteCost cost_of(const Graph& graph, const Site& site) {
  const Node &sum = graph.node(site.sum), &branch = graph.node(site.branch);
  const Node& larger = site.sum_is_larger ? sum : branch;
  const Dims &w = graph.value(sum.inputs[1]).shape, &v = graph.value(branch.inputs[1]).shape;
  const double x = value_bytes(graph, sum.inputs[0]), y = value_bytes(graph, branch.inputs[0]);
  const double out = value_bytes(graph, sum.output);
  const double pairs = static_cast<double>(w[0]) * static_cast<double>(site.same_input ? w[1] : w[1] + v[1]);
  RewriteCost cost;
  cost.macs_before = conv_macs(graph, sum) + conv_macs(graph, branch);
  cost.bytes_before = x + y + value_bytes(graph, sum.inputs[1]) + value_bytes(graph, branch.inputs[1]) + out +
                      (merges_in_plan(graph, branch, sum) ? 0 : 2 * out);
  cost.macs_after = macs_per_channel_pair(graph, larger) * pairs;
  cost.bytes_after =
      (site.same_input ? x : 3 * (x + y)) + bytes_per_channel_pair(graph, larger) * pairs + out;
  return cost;
}

bool merge(Graph& graph, const Site& site) {
  const Node &sum = graph.node(site.sum), &branch = graph.node(site.branch);
  const Tensor &w = graph.constant(sum.inputs[1]), &v = graph.constant(branch.inputs[1]);
  const Node& larger = site.sum_is_larger ? sum : branch;
  const Window window = larger.as<ConvAttrs>().window;
  const Dims zeros(window.kernel.size(), 0);
  auto weights =
      ConvWeights::make(w.dtype(), w.dim(0), site.same_input ? w.dim(1) : w.dim(1) + v.dim(1), window.kernel);
  const auto channels = static_cast<size_t>(w.dim(0));
  auto bias = bias_of(graph, sum, channels);
  const auto more = bias_of(graph, branch, channels);
  if (!weights || !bias || !more) return false;
  weights->add(w, 0, 0, site.sum_is_larger ? zeros : site.offset);
  weights->add(v, 0, site.same_input ? 0 : w.dim(1), site.sum_is_larger ? site.offset : zeros);
  for (size_t c = 0; c < channels; ++c) (*bias)[c] += (*more)[c];
  auto new_weights = weights->finish();
  auto new_bias = to_tensor(w.dtype(), *bias);
  if (!new_weights || !new_bias) return false;

  const ValueId x = sum.inputs[0], y = branch.inputs[0], behind = branch.input(3);
  const bool has_bias = sum.input(2) != kNoValue || branch.input(2) != kNoValue;
  const std::string name = sum.name, value = graph.value(sum.output).name;
  ValueId input = x;
  if (!site.same_input) {
    input = graph.output_of(add_typed_node(graph, OpType::kConcat, AxisAttrs{1}, name + ".concat", {x, y},
                                           value + ".concat", site.sum));
  }
  set_constant(graph, site.sum, 1, std::move(*new_weights), value + ".weights");
  if (has_bias) set_constant(graph, site.sum, 2, std::move(*new_bias), value + ".bias");
  Node& merged = graph.node(site.sum);
  merged.inputs[0] = input;
  merged.inputs.resize(4, kNoValue);
  merged.inputs[3] = behind;
  drop_absent_inputs(merged);
  merged.as<ConvAttrs>().window = window;
  graph.erase(site.branch);
  return true;
}

}  // namespace

int merge_projection(Graph& graph, bool forced) {
  int rewrites = 0;
  const std::vector<NodeId> order = graph.order();
  std::vector<int> uses = use_counts(graph);
  for (const NodeId id : order) {
    while (const auto site = find_site(graph, id, uses)) {
      if ((!forced && !cost_of(graph, *site).pays()) || !merge(graph, *site)) break;
      ++rewrites;
      uses = use_counts(graph);
    }
  }
  return rewrites;
}

}  // namespace xdn::fusion
