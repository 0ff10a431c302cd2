#include <algorithm>
#include <limits>
#include <set>
#include <tuple>

#include "base/error.h"
#include "pruning/coupling.h"
#include "pruning/surgery.h"

namespace xdn::pruning {
namespace {

double activated_zero(const Activation& act) {
  return act.kind == ActKind::kClip
             ? std::clamp(0.0, static_cast<double>(act.a), std::max<double>(act.a, act.b))
             : 0.0;
}

/// Which values are zero wherever a removed unit has an index.
class ZeroFlow {
 public:
  ZeroFlow(const Graph& graph, const Groups& groups, const Removal& removed)
      : g_(graph), groups_(groups), removed_(removed), zero_(graph.value_count(), true) {
    for (const NodeId id : graph.order()) {
      const Node& node = graph.node(id);
      zero_[static_cast<size_t>(node.output)] = keeps_zero(node);
    }
  }

  bool is_zero(ValueId value) const { return zero_[static_cast<size_t>(value)]; }
  bool loses(ValueId value, size_t axis) const {
    const auto units = groups_.units_of(value, axis);
    return std::any_of(units.begin(), units.end(),
                       [&](UnitId unit) { return unit != kNoUnit && removed_[static_cast<size_t>(unit)]; });
  }

 private:
  bool is_zero_input(const Node& node, size_t i) const {
    return node.input(i) == kNoValue || is_zero(node.inputs[i]);
  }
  /// Whether input i has the output's axis, and is not broadcast along it.
  bool has_axis(const Node& node, size_t i, size_t axis) const {
    const Dims &x = g_.value(node.inputs[i]).shape, &y = g_.value(node.output).shape;
    const size_t missing = y.size() - x.size();
    return axis >= missing && x[axis - missing] == y[axis];
  }
  /// holds(axis) for every axis of the output that loses something.
  template <class Holds>
  bool along_losing_axes(const Node& node, Holds holds) const {
    for (size_t axis = 0; axis < g_.value(node.output).shape.size(); ++axis) {
      if (loses(node.output, axis) && !holds(axis)) return false;
    }
    return true;
  }
  /// Along another axis than the channels', the bias of what stays would be added to what goes.
  bool only_channels(const Node& node) const {
    return along_losing_axes(node, [](size_t axis) { return axis == 1; });
  }
  bool zero_along(const Node& node, size_t i, size_t axis) const {
    return is_zero(node.inputs[i]) && has_axis(node, i, axis);
  }

  bool keeps_zero(const Node& node) const {
    switch (node.type) {
      case OpType::kConv:
        return is_zero_input(node, 3) && activated_zero(node.as<ConvAttrs>().act) == 0 && only_channels(node);
      case OpType::kGemm:
        return activated_zero(node.as<GemmAttrs>().act) == 0 && along_losing_axes(node, [&](size_t axis) {
                 return node.input(2) == kNoValue || has_axis(node, 2, axis);
               });
      case OpType::kBatchNorm:
        return only_channels(node);
      case OpType::kMatMul:
        return true;
      case OpType::kSigmoid:
      case OpType::kSoftmax:
        return false;
      case OpType::kHardSigmoid:
        return is_zero_input(node, 0) && node.as<HardSigmoidAttrs>().beta <= 0;
      case OpType::kClip: {
        const auto& clip = node.as<ClipAttrs>();
        return is_zero_input(node, 0) && clip.min <= 0 && clip.max >= 0;
      }
      case OpType::kPad: {
        const auto& pad = node.as<PadAttrs>();
        return is_zero_input(node, 0) && (pad.mode != PadMode::kConstant || pad.value == 0);
      }
      case OpType::kAdd:
      case OpType::kSub:
      case OpType::kMax:
        return along_losing_axes(
            node, [&](size_t axis) { return zero_along(node, 0, axis) && zero_along(node, 1, axis); });
      case OpType::kMul:
        return along_losing_axes(
            node, [&](size_t axis) { return zero_along(node, 0, axis) || zero_along(node, 1, axis); });
      case OpType::kDiv:
        return along_losing_axes(node, [&](size_t axis) { return zero_along(node, 0, axis); });
      case OpType::kPow: {
        const Tensor* exponent = g_.is_constant(node.inputs[1]) ? &g_.constant(node.inputs[1]) : nullptr;
        bool positive = exponent != nullptr;
        for (int64_t i = 0; positive && i < exponent->size(); ++i) positive = exponent->as_double(i) > 0;
        return along_losing_axes(node, [&](size_t axis) { return positive && zero_along(node, 0, axis); });
      }
      default: {
        const size_t data_inputs = node.type == OpType::kConcat ? node.inputs.size() : 1;
        for (size_t i = 0; i < data_inputs; ++i) {
          if (!is_zero_input(node, i)) return false;
        }
        return true;
      }
    }
  }

  const Graph& g_;
  const Groups& groups_;
  const Removal& removed_;
  std::vector<bool> zero_;
};

/// What a reader wants at the removed indices of one axis of a constant input.
enum class Wish { kNothing, kZero, kOne };

Wish wish_of(const ZeroFlow& flow, const Node& node, size_t i, size_t axis) {
  switch (node.type) {
    case OpType::kConv:
    case OpType::kGemm:
    case OpType::kMatMul: {
      if (i != 1) return Wish::kZero;
      return axis == filter_axis(node) || !flow.is_zero(node.inputs[0]) ? Wish::kZero : Wish::kNothing;
    }
    case OpType::kBatchNorm:
      return i == 4 ? Wish::kOne : Wish::kZero;
    case OpType::kDiv:
    case OpType::kPow:
      return i == 1 ? Wish::kOne : Wish::kZero;
    case OpType::kGather:
      return i == 1 ? Wish::kNothing : Wish::kZero;
    default:
      return Wish::kZero;
  }
}

template <class T>
T converted(double value) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    return T(static_cast<float>(value));
  } else {
    return static_cast<T>(value);
  }
}

void fill(Tensor& tensor, const MaskedAxis& masked) {
  int64_t outer = 1, inner = 1;
  for (size_t axis = 0; axis < tensor.rank(); ++axis) {
    if (axis < masked.axis) outer *= tensor.dim(axis);
    if (axis > masked.axis) inner *= tensor.dim(axis);
  }
  const int64_t extent = tensor.dim(masked.axis);
  dispatch_dtype(tensor.dtype(), [&]<class T>() {
    const std::span<T> data = tensor.mutable_data<T>();
    for (int64_t o = 0; o < outer; ++o) {
      for (const int64_t index : masked.indices) {
        const auto run =
            data.subspan(static_cast<size_t>((o * extent + index) * inner), static_cast<size_t>(inner));
        std::fill(run.begin(), run.end(), converted<T>(masked.fill));
      }
    }
  });
}

}  // namespace

std::vector<MaskedAxis> masked_axes(const Graph& graph, const Groups& groups, const Removal& removed) {
  XDN_CHECK(removed.size() == static_cast<size_t>(groups.unit_count()));
  const ZeroFlow flow(graph, groups, removed);
  std::set<std::tuple<ValueId, size_t, bool>> wished;  // of value and axis: zero, or one
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (!graph.is_constant(node.inputs[i])) continue;
      for (size_t axis = 0; axis < graph.value(node.inputs[i]).shape.size(); ++axis) {
        if (!flow.loses(node.inputs[i], axis)) continue;
        const Wish wish = wish_of(flow, node, i, axis);
        if (wish != Wish::kNothing) wished.emplace(node.inputs[i], axis, wish == Wish::kOne);
      }
    }
  }
  std::vector<MaskedAxis> out;
  for (const auto& [value, axis, one] : wished) {
    MaskedAxis masked{value, axis, {}, one ? 1.0 : 0.0};
    const auto units = groups.units_of(value, axis);
    for (size_t i = 0; i < units.size(); ++i) {
      if (units[i] != kNoUnit && removed[static_cast<size_t>(units[i])])
        masked.indices.push_back(static_cast<int64_t>(i));
    }
    out.push_back(std::move(masked));
  }
  return out;
}

Graph mask_channels(const Graph& graph, const Groups& groups, const Removal& removed) {
  Graph out = graph;
  for (const MaskedAxis& masked : masked_axes(graph, groups, removed))
    fill(*out.value(masked.value).constant, masked);
  return out;
}

}  // namespace xdn::pruning
