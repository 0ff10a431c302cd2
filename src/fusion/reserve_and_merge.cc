// x -> Conv(w1) act=relu -> ... -> Conv(wk, b, x)  =>  x -> Conv([w1; I]) act=relu -> ... -> Conv([wk I], b)
// x -> Conv(w1) act=relu -> ... -> Conv(wk, b) + x -> Conv(p, c)  =>  likewise with [wk p] and b + c
// Channels in between carry x: I is the identity, and Relu keeps it since x is never negative. The residual
// is gone, at many times the cost until pruning takes channels away, so it is done where it is asked for.
#include <algorithm>

#include "fusion/conv_weights.h"
#include "fusion/nonnegative.h"
#include "fusion/passes.h"

namespace xdn::fusion {
namespace {

struct Site {
  NodeId sum;                 ///< the Conv with the residual; it becomes the block's last
  NodeId last;                ///< whose weights end the chain: `sum`, or the Conv that `sum` adds
  std::vector<NodeId> chain;  ///< the Convs before `last`, first to last
  NodeId projection = kNoNode;
  ValueId x = kNoValue;
};

constexpr size_t kLongestChain = 8;

bool keeps(const Activation& act, bool nonnegative) {
  return act.kind == ActKind::kNone ||
         (nonnegative && (act.kind == ActKind::kRelu || act.kind == ActKind::kLeakyRelu));
}

/// A dense Conv without residual that can carry channels on.
bool is_plain(const Graph& graph, const Node& conv) {
  return conv.type == OpType::kConv && conv.as<ConvAttrs>().group == 1 && has_own_weights(graph, conv);
}

bool carries(const Graph& graph, const Node& conv) {
  const Window& window = conv.as<ConvAttrs>().window;
  return identity_tap(window).has_value() &&
         identity_stays_inside(window, graph.value(conv.inputs[0]).shape, graph.value(conv.output).shape);
}

/// The Convs between x and `last`; empty where there is no such chain.
std::vector<NodeId> chain_between(const Graph& graph, ValueId x, NodeId last, const std::vector<int>& uses,
                                  bool nonnegative) {
  std::vector<NodeId> chain;
  ValueId at = graph.node(last).inputs[0];
  while (at != x && chain.size() < kLongestChain) {
    const NodeId id = producer_of_type(graph, at, OpType::kConv);
    if (id == kNoNode || uses[static_cast<size_t>(at)] != 1) return {};
    const Node& conv = graph.node(id);
    if (!is_plain(graph, conv) || conv.input(3) != kNoValue || !carries(graph, conv) ||
        !keeps(conv.as<ConvAttrs>().act, nonnegative)) {
      return {};
    }
    chain.insert(chain.begin(), id);
    at = conv.inputs[0];
  }
  return at == x ? chain : std::vector<NodeId>{};
}

/// Strides of the whole chain, `last` included.
Dims total_strides(const Graph& graph, const Site& site) {
  Dims out = graph.node(site.last).as<ConvAttrs>().window.strides;
  for (const NodeId id : site.chain) {
    const Dims& strides = graph.node(id).as<ConvAttrs>().window.strides;
    for (size_t i = 0; i < out.size(); ++i) {
      if (__builtin_mul_overflow(out[i], strides[i], &out[i])) return {};
    }
  }
  return out;
}

bool all_are(const Dims& dims, int64_t wanted) {
  return std::all_of(dims.begin(), dims.end(), [&](int64_t value) { return value == wanted; });
}

bool is_pointwise(const Node& conv) {
  const Window& window = conv.as<ConvAttrs>().window;
  return all_are(window.kernel, 1) && all_are(window.pads_begin, 0) && all_are(window.pads_end, 0);
}

/// The block that ends in `sum` with its residual, of which `last` ends the chain and `projection`, if any,
/// is the shortcut.
std::optional<Site> find_block(const Graph& graph, NodeId sum, NodeId last, NodeId projection, ValueId x,
                               const std::vector<int>& uses, const std::vector<bool>& nonnegative) {
  if (!is_plain(graph, graph.node(last)) || !carries(graph, graph.node(last))) return std::nullopt;
  Site site{sum, last, chain_between(graph, x, last, uses, nonnegative[static_cast<size_t>(x)]), projection,
            x};
  if (site.chain.empty()) return std::nullopt;
  const Dims strides = total_strides(graph, site);
  if (projection == kNoNode) return all_are(strides, 1) ? std::optional(site) : std::nullopt;
  const Node& shortcut = graph.node(projection);
  if (!is_plain(graph, shortcut) || !is_pointwise(shortcut) ||
      shortcut.as<ConvAttrs>().window.strides != strides) {
    return std::nullopt;
  }
  return site;
}

std::optional<Site> find_site(const Graph& graph, NodeId id, const std::vector<int>& uses,
                              const std::vector<bool>& nonnegative) {
  const Node& sum = graph.node(id);
  if (sum.type != OpType::kConv || sum.input(3) == kNoValue) return std::nullopt;
  const ValueId residual = sum.inputs[3];
  if (auto site = find_block(graph, id, id, kNoNode, residual, uses, nonnegative)) return site;
  const NodeId other = producer_of_type(graph, residual, OpType::kConv);
  if (other == kNoNode || uses[static_cast<size_t>(residual)] != 1 ||
      graph.node(other).input(3) != kNoValue ||
      graph.node(other).as<ConvAttrs>().act.kind != ActKind::kNone) {
    return std::nullopt;
  }
  if (auto site = find_block(graph, id, id, other, graph.node(other).inputs[0], uses, nonnegative))
    return site;
  return find_block(graph, id, other, id, sum.inputs[0], uses, nonnegative);
}

RewriteCost cost_of(const Graph& graph, const Site& site) {
  const double x = value_bytes(graph, site.x);
  const auto carried = static_cast<double>(graph.value(site.x).shape[1]);
  RewriteCost cost;
  cost.bytes_before = 2 * x;
  cost.bytes_after = x;
  double more_in = 0;
  std::vector<NodeId> block = site.chain;
  block.push_back(site.last);
  for (const NodeId id : block) {
    const Node& conv = graph.node(id);
    const Dims& w = graph.value(conv.inputs[1]).shape;
    const double touches = id == site.last ? 1 : 2, more_out = id == site.last ? 0 : carried;
    const double oc = static_cast<double>(w[0]), out = value_bytes(graph, conv.output);
    const double pairs = (oc + more_out) * (static_cast<double>(w[1]) + more_in);
    cost.macs_before += conv_macs(graph, conv);
    cost.bytes_before += value_bytes(graph, conv.inputs[1]) + touches * out;
    cost.macs_after += macs_per_channel_pair(graph, conv) * pairs;
    cost.bytes_after += bytes_per_channel_pair(graph, conv) * pairs + touches * out * (1 + more_out / oc);
    more_in = carried;
  }
  if (site.projection != kNoNode) {
    const Node& shortcut = graph.node(site.projection);
    cost.macs_before += conv_macs(graph, shortcut);
    cost.bytes_before += value_bytes(graph, shortcut.inputs[1]);
  }
  return cost;
}

struct NewConv {
  NodeId id;
  Tensor weights;
  std::optional<Tensor> bias;
};

/// A Conv of the chain that carries `carried` channels on besides.
std::optional<NewConv> widened(const Graph& graph, NodeId id, int64_t carried, bool first) {
  const Node& conv = graph.node(id);
  const Tensor& w = graph.constant(conv.inputs[1]);
  const Window& window = conv.as<ConvAttrs>().window;
  auto weights =
      ConvWeights::make(w.dtype(), w.dim(0) + carried, first ? w.dim(1) : w.dim(1) + carried, window.kernel);
  if (!weights) return std::nullopt;
  weights->add(w, 0, 0, Dims(window.kernel.size(), 0));
  weights->add_identity(carried, carried, w.dim(0), first ? 0 : w.dim(1), *identity_tap(window));
  auto tensor = weights->finish();
  if (!tensor) return std::nullopt;
  NewConv out{id, std::move(*tensor), std::nullopt};
  if (conv.input(2) != kNoValue) {
    auto bias = bias_of(graph, conv, static_cast<size_t>(w.dim(0)));
    bias->resize(static_cast<size_t>(w.dim(0) + carried), 0);
    out.bias = to_tensor(w.dtype(), *bias);
    if (!out.bias) return std::nullopt;
  }
  return out;
}

/// The block's last Conv, which reads the carried channels as its shortcut.
std::optional<NewConv> merged(const Graph& graph, const Site& site, int64_t carried) {
  const Node& conv = graph.node(site.last);
  const Tensor& w = graph.constant(conv.inputs[1]);
  const Window& window = conv.as<ConvAttrs>().window;
  auto weights = ConvWeights::make(w.dtype(), w.dim(0), w.dim(1) + carried, window.kernel);
  auto bias = bias_of(graph, conv, static_cast<size_t>(w.dim(0)));
  if (!weights || !bias) return std::nullopt;
  weights->add(w, 0, 0, Dims(window.kernel.size(), 0));
  bool has_bias = conv.input(2) != kNoValue;
  if (site.projection == kNoNode) {
    weights->add_identity(carried, carried, 0, w.dim(1), *identity_tap(window));
  } else {
    const Node& shortcut = graph.node(site.projection);
    weights->add(graph.constant(shortcut.inputs[1]), 0, w.dim(1), *identity_tap(window));
    const auto more = bias_of(graph, shortcut, bias->size());
    for (size_t c = 0; c < bias->size(); ++c) (*bias)[c] += (*more)[c];
    has_bias = has_bias || shortcut.input(2) != kNoValue;
  }
  auto tensor = weights->finish();
  if (!tensor) return std::nullopt;
  NewConv out{site.sum, std::move(*tensor), std::nullopt};
  if (has_bias) {
    out.bias = to_tensor(w.dtype(), *bias);
    if (!out.bias) return std::nullopt;
  }
  return out;
}

bool rewrite(Graph& graph, const Site& site) {
  const int64_t carried = graph.value(site.x).shape[1];
  std::vector<NewConv> convs;
  for (const NodeId id : site.chain) {
    auto conv = widened(graph, id, carried, id == site.chain.front());
    if (!conv) return false;
    convs.push_back(std::move(*conv));
  }
  auto end = merged(graph, site, carried);
  if (!end) return false;
  convs.push_back(std::move(*end));

  const ValueId input = graph.node(site.last).inputs[0];
  const Window window = graph.node(site.last).as<ConvAttrs>().window;
  graph.node(site.sum).inputs[0] = input;
  graph.node(site.sum).inputs.resize(3);
  graph.node(site.sum).as<ConvAttrs>().window = window;
  for (NewConv& conv : convs) {
    const ValueId out = graph.output_of(conv.id);
    set_constant(graph, conv.id, 1, std::move(conv.weights), graph.value(out).name + ".weights");
    if (conv.bias) set_constant(graph, conv.id, 2, std::move(*conv.bias), graph.value(out).name + ".bias");
    if (conv.id != site.sum) graph.value(out).shape = infer_node(graph, graph.node(conv.id)).shape;
  }
  drop_absent_inputs(graph.node(site.sum));
  if (site.projection != kNoNode) graph.erase(site.last == site.sum ? site.projection : site.last);
  return true;
}

}  // namespace

int reserve_and_merge(Graph& graph, bool forced) {
  int rewrites = 0;
  const std::vector<bool> nonnegative = nonnegative_values(graph);
  std::vector<int> uses = use_counts(graph);
  const std::vector<NodeId> order = graph.order();
  for (const NodeId id : order) {
    const auto site = find_site(graph, id, uses, nonnegative);
    if (!site || (!forced && !cost_of(graph, *site).pays()) || !rewrite(graph, *site)) continue;
    ++rewrites;
    uses = use_counts(graph);
  }
  return rewrites;
}

}  // namespace xdn::fusion
