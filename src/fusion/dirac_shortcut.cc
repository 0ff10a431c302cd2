// x -> Conv(w, b, s)  =>  Concat(x, s) -> Conv([w I], b)
// x -> Conv(w, b, x)  =>  x -> Conv(w + I, b)
// where I is the identity at the tap that reads the output's own position. The first form costs a
// multiply-accumulate per pair of channels, and is there for pruning, which can then drop shortcut channels
// one by one; the second saves reading x twice.
#include <algorithm>

#include "fusion/conv_weights.h"
#include "fusion/passes.h"

namespace xdn::fusion {
namespace {

/// The tap of the identity; nothing where the shortcut cannot become channels of this Conv.
std::optional<Dims> find_tap(const Graph& graph, const Node& conv, const std::vector<int>& uses) {
  if (conv.type != OpType::kConv || conv.input(3) == kNoValue || !has_own_weights(graph, conv)) {
    return std::nullopt;
  }
  const auto& attrs = conv.as<ConvAttrs>();
  const ValueId shortcut = conv.inputs[3];
  if (attrs.group != 1 && shortcut != conv.inputs[0]) return std::nullopt;
  const Dims &x = graph.value(conv.inputs[0]).shape, &s = graph.value(shortcut).shape;
  if (x[0] != s[0] || !std::equal(x.begin() + 2, x.end(), s.begin() + 2, s.end())) return std::nullopt;
  for (const int64_t stride : attrs.window.strides) {
    if (stride != 1) return std::nullopt;
  }
  // A projection: merge_projection and the plan merge it as it is.
  const NodeId producer = producer_of_type(graph, shortcut, OpType::kConv);
  if (producer != kNoNode && uses[static_cast<size_t>(shortcut)] == 1 &&
      merges_in_plan(graph, graph.node(producer), conv)) {
    return std::nullopt;
  }
  return identity_tap(attrs.window);
}

RewriteCost cost_of(const Graph& graph, const Node& conv) {
  const double x = value_bytes(graph, conv.inputs[0]), s = value_bytes(graph, conv.inputs[3]);
  const double weights = value_bytes(graph, conv.inputs[1]), out = value_bytes(graph, conv.output);
  RewriteCost cost;
  cost.macs_before = cost.macs_after = conv_macs(graph, conv);
  cost.bytes_before = x + s + weights + out;
  if (conv.inputs[3] == conv.inputs[0]) {
    cost.bytes_after = x + weights + out;
  } else {
    const auto channels = static_cast<double>(graph.value(conv.inputs[1]).shape[0]);
    const double pairs = channels * channels;
    cost.macs_after += macs_per_channel_pair(graph, conv) * pairs;
    cost.bytes_after = 3 * (x + s) + weights + bytes_per_channel_pair(graph, conv) * pairs + out;
  }
  return cost;
}

bool add_identity(Graph& graph, NodeId id, const Dims& tap) {
  const Node& conv = graph.node(id);
  const Tensor& w = graph.constant(conv.inputs[1]);
  const ValueId x = conv.inputs[0], shortcut = conv.inputs[3];
  const bool same_input = x == shortcut;
  const int64_t oc = w.dim(0), ic = w.dim(1);
  const Dims& kernel = conv.as<ConvAttrs>().window.kernel;
  auto weights = ConvWeights::make(w.dtype(), oc, same_input ? ic : ic + oc, kernel);
  if (!weights) return false;
  weights->add(w, 0, 0, Dims(kernel.size(), 0));
  weights->add_identity(oc, same_input ? ic : oc, 0, same_input ? 0 : ic, tap);
  auto new_weights = weights->finish();
  if (!new_weights) return false;

  const std::string name = conv.name, value = graph.value(conv.output).name;
  ValueId input = x;
  if (!same_input) {
    input = graph.output_of(add_typed_node(graph, OpType::kConcat, AxisAttrs{1}, name + ".concat",
                                           {x, shortcut}, value + ".concat", id));
  }
  set_constant(graph, id, 1, std::move(*new_weights), value + ".weights");
  std::vector<ValueId>& inputs = graph.node(id).inputs;
  inputs[0] = input;
  inputs.pop_back();
  drop_absent_inputs(graph.node(id));
  return true;
}

}  // namespace

int dirac_shortcut(Graph& graph, bool forced) {
  int rewrites = 0;
  std::vector<int> uses = use_counts(graph);
  const std::vector<NodeId> order = graph.order();
  for (const NodeId id : order) {
    const auto tap = find_tap(graph, graph.node(id), uses);
    if (!tap || (!forced && !cost_of(graph, graph.node(id)).pays()) || !add_identity(graph, id, *tap))
      continue;
    ++rewrites;
    uses = use_counts(graph);
  }
  return rewrites;
}

}  // namespace xdn::fusion
