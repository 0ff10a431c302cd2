// x -> Identity  =>  x
// likewise for every operator whose attributes or constants leave x as it is.
#include <algorithm>

#include "fusion/affine.h"
#include "fusion/passes.h"

namespace xdn::fusion {
namespace {

bool is_zero(int64_t value) { return value == 0; }

/// Starts at 0, steps by 1, and nothing is cut off.
bool takes_all(const SliceAttrs& slice, bool same_shape) {
  return same_shape && std::all_of(slice.starts.begin(), slice.starts.end(), is_zero) &&
         std::all_of(slice.steps.begin(), slice.steps.end(), [](int64_t step) { return step == 1; });
}

bool is_sorted_permutation(const Dims& perm) {
  for (size_t i = 0; i < perm.size(); ++i) {
    if (perm[i] != static_cast<int64_t>(i)) return false;
  }
  return true;
}

/// With the input's extents, no pads and one tap, nothing moves.
bool is_single_tap(const Window& window) {
  return std::all_of(window.kernel.begin(), window.kernel.end(), [](int64_t k) { return k == 1; }) &&
         std::all_of(window.strides.begin(), window.strides.end(), [](int64_t s) { return s == 1; }) &&
         std::all_of(window.pads_begin.begin(), window.pads_begin.end(), is_zero);
}

bool is_filled_with(const Graph& graph, ValueId id, double wanted) {
  if (!graph.is_constant(id)) return false;
  const Tensor& tensor = graph.constant(id);
  for (int64_t i = 0; i < tensor.size(); ++i) {
    if (tensor.as_double(i) != wanted) return false;
  }
  return true;
}

/// The value the node passes on unchanged, up to its shape; kNoValue if there is none.
ValueId passed_on(const Graph& graph, const Node& node) {
  const ValueId x = node.input(0);
  const bool same_shape = graph.value(x).shape == graph.value(node.output).shape;
  const auto x_if = [&](bool condition) { return condition ? x : kNoValue; };
  switch (node.type) {
    case OpType::kIdentity:
      return x;
    case OpType::kReshape:
    case OpType::kFlatten:
      return x_if(same_shape);
    case OpType::kTranspose:
      return x_if(is_sorted_permutation(node.as<TransposeAttrs>().perm));
    case OpType::kPad: {
      const auto& pad = node.as<PadAttrs>();
      return x_if(std::all_of(pad.begin.begin(), pad.begin.end(), is_zero) &&
                  std::all_of(pad.end.begin(), pad.end.end(), is_zero));
    }
    case OpType::kSlice:
      return x_if(takes_all(node.as<SliceAttrs>(), same_shape));
    case OpType::kCast:
      return x_if(graph.value(x).dtype == node.as<CastAttrs>().to);
    case OpType::kConcat:
      return x_if(node.inputs.size() == 1);
    case OpType::kClip: {
      const auto& clip = node.as<ClipAttrs>();
      constexpr float kInfinity = std::numeric_limits<float>::infinity();
      return x_if(clip.min == -kInfinity && clip.max == kInfinity);
    }
    case OpType::kMul:
    case OpType::kAdd: {
      const double neutral = node.type == OpType::kMul ? 1 : 0;
      if (is_filled_with(graph, node.input(1), neutral)) return x;
      return is_filled_with(graph, x, neutral) ? node.input(1) : kNoValue;
    }
    case OpType::kDiv:
      return x_if(is_filled_with(graph, node.input(1), 1));
    case OpType::kSub:
      return x_if(is_filled_with(graph, node.input(1), 0));
    case OpType::kMaxPool:
    case OpType::kAveragePool:
      return x_if(same_shape && is_single_tap(node.as<PoolAttrs>().window));
    default:
      return kNoValue;
  }
}

}  // namespace

int eliminate_identity(Graph& graph) {
  int rewrites = 0;
  const std::vector<NodeId> order = graph.order();
  for (const NodeId id : order) {
    const ValueId y = graph.output_of(id), x = passed_on(graph, graph.node(id));
    if (x == kNoValue || graph.value(x).shape != graph.value(y).shape) continue;
    if (bypass(graph, id, x)) ++rewrites;
  }
  return rewrites;
}

}  // namespace xdn::fusion
