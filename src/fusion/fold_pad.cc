// x -> Pad(zeros around the spatial axes) -> Conv(pads p)  =>  x -> Conv(pads p + Pad's)
// likewise for MaxPool where Pad's value is -inf, and for AveragePool where the padding it adds counts.
#include <cmath>

#include "fusion/affine.h"
#include "fusion/passes.h"
#include "graph/window.h"

namespace xdn::fusion {
namespace {

/// What shape inference allows.
constexpr int64_t kMostPads = (int64_t{1} << 31) - 1;

bool pads_spatial_axes_only(const PadAttrs& pad) {
  for (size_t i = 0; i < pad.begin.size(); ++i) {
    if (pad.begin[i] < 0 || pad.end[i] < 0) return false;
    if (i < 2 && (pad.begin[i] != 0 || pad.end[i] != 0)) return false;
  }
  return pad.mode == PadMode::kConstant && pad.begin.size() > 2;
}

/// The window with Pad's pads added; false where one grows too large.
bool widen(Window& window, const PadAttrs& pad) {
  for (size_t i = 0; i < window.kernel.size(); ++i) {
    if (pad.begin[i + 2] > kMostPads - window.pads_begin[i] ||
        pad.end[i + 2] > kMostPads - window.pads_end[i]) {
      return false;
    }
    window.pads_begin[i] += pad.begin[i + 2];
    window.pads_end[i] += pad.end[i + 2];
  }
  return true;
}

bool fold_into_pool(PoolAttrs& pool, const PadAttrs& pad, OpType type) {
  if (pool.ceil_mode) return false;  // the last window depends on what is padding and what is input
  if (type == OpType::kMaxPool) {
    if (pad.value != -std::numeric_limits<float>::infinity()) return false;
  } else {
    const Dims zeros(pool.window.kernel.size(), 0);
    const bool own_pads = pool.window.pads_begin != zeros || pool.window.pads_end != zeros;
    if (pad.value != 0 || (own_pads && !pool.count_include_pad)) return false;
    pool.count_include_pad = true;
  }
  if (!widen(pool.window, pad)) return false;
  for (size_t i = 0; i < pool.window.kernel.size(); ++i) {
    const int64_t extent = dilated_extent(pool.window.kernel[i], pool.window.dilations[i]);
    if (pool.window.pads_begin[i] >= extent || pool.window.pads_end[i] >= extent) return false;
  }
  return true;
}

/// The attributes of the node once the Pad is part of them.
std::optional<OpAttrs> folded(const Node& node, const PadAttrs& pad) {
  OpAttrs attrs = node.attrs;
  bool fits = false;
  if (node.type == OpType::kConv) {
    fits = pad.value == 0 && widen(std::get<ConvAttrs>(attrs).window, pad);
  } else if (node.type == OpType::kMaxPool || node.type == OpType::kAveragePool) {
    fits = fold_into_pool(std::get<PoolAttrs>(attrs), pad, node.type);
  }
  return fits ? std::optional(std::move(attrs)) : std::nullopt;
}

}  // namespace

int fold_pad(Graph& graph) {
  int rewrites = 0;
  std::vector<int> uses = use_counts(graph);
  const std::vector<NodeId> order = graph.order();
  for (const NodeId id : order) {
    Node& node = graph.node(id);
    const ValueId padded = node.input(0);
    const NodeId pad = producer_of_type(graph, padded, OpType::kPad);
    if (pad == kNoNode || uses[static_cast<size_t>(padded)] != 1) continue;
    const auto& attrs = graph.node(pad).as<PadAttrs>();
    if (!pads_spatial_axes_only(attrs)) continue;
    auto with_pad = folded(node, attrs);
    if (!with_pad) continue;
    node.attrs = std::move(*with_pad);
    node.inputs[0] = graph.node(pad).inputs[0];
    graph.erase(pad);
    uses = use_counts(graph);
    ++rewrites;
  }
  return rewrites;
}

}  // namespace xdn::fusion
