#include "fusion/nonnegative.h"

#include <algorithm>

namespace xdn::fusion {
namespace {

/// Larger constants are not looked through.
constexpr int64_t kMostElements = 4096;

bool is_nonnegative(const Activation& act) {
  return act.kind == ActKind::kRelu || (act.kind == ActKind::kClip && act.a >= 0 && act.b >= 0);
}

bool is_nonnegative(const Tensor& tensor) {
  if (tensor.size() > kMostElements) return false;
  for (int64_t i = 0; i < tensor.size(); ++i) {
    if (!(tensor.as_double(i) >= 0)) return false;
  }
  return true;
}

bool is_nonnegative(const Node& node, const std::vector<bool>& known) {
  const auto input = [&](size_t i) { return known[static_cast<size_t>(node.inputs[i])]; };
  switch (node.type) {
    case OpType::kConv:
      return is_nonnegative(node.as<ConvAttrs>().act);
    case OpType::kGemm:
      return is_nonnegative(node.as<GemmAttrs>().act);
    case OpType::kRelu:
    case OpType::kSigmoid:
    case OpType::kHardSigmoid:
    case OpType::kSoftmax:
      return true;
    case OpType::kClip: {
      const auto& clip = node.as<ClipAttrs>();
      return (clip.min >= 0 && clip.max >= 0) || (input(0) && clip.max >= 0);
    }
    case OpType::kMax:
      return input(0) || input(1);
    case OpType::kAdd:
    case OpType::kMul:
      return input(0) && input(1);
    case OpType::kPad:
      return input(0) && node.as<PadAttrs>().value >= 0;
    case OpType::kConcat:
      return std::all_of(node.inputs.begin(), node.inputs.end(),
                         [&](ValueId id) { return known[static_cast<size_t>(id)]; });
    case OpType::kAveragePool:
    case OpType::kGlobalAveragePool:
    case OpType::kReduceMean:
    case OpType::kReshape:
    case OpType::kFlatten:
    case OpType::kTranspose:
    case OpType::kSlice:
    case OpType::kIdentity:
    case OpType::kLeakyRelu:
      return input(0);
    // A window of a MaxPool that lies in the padding alone gives -inf; without dilation there is none.
    case OpType::kMaxPool: {
      const Dims& dilations = node.as<PoolAttrs>().window.dilations;
      return input(0) &&
             std::all_of(dilations.begin(), dilations.end(), [](int64_t dilation) { return dilation == 1; });
    }
    default:
      return false;
  }
}

}  // namespace

std::vector<bool> nonnegative_values(const Graph& graph) {
  std::vector<bool> known(graph.value_count(), false);
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    for (const ValueId input : node.inputs) {
      if (graph.is_constant(input)) known[static_cast<size_t>(input)] = is_nonnegative(graph.constant(input));
    }
    known[static_cast<size_t>(node.output)] = is_nonnegative(node, known);
  }
  return known;
}

}  // namespace xdn::fusion
