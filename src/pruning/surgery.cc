#include "pruning/surgery.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "base/error.h"

namespace xdn::pruning {
namespace {

/// The tensor's elements at these indices of one axis.
Tensor pick(const Tensor& from, size_t axis, const std::vector<int64_t>& indices) {
  Dims dims = from.dims();
  const int64_t extent = dims[axis];
  dims[axis] = static_cast<int64_t>(indices.size());
  const auto product = [](auto first, auto last) {
    return std::accumulate(first, last, int64_t{1}, std::multiplies<>());
  };
  const auto at = from.dims().begin() + static_cast<std::ptrdiff_t>(axis);
  const int64_t outer = product(from.dims().begin(), at);
  const size_t run = static_cast<size_t>(product(at + 1, from.dims().end())) * dtype_size(from.dtype());
  Tensor to = Tensor::uninitialized(from.dtype(), std::move(dims));
  const auto* src = static_cast<const std::byte*>(from.raw());
  auto* dst = static_cast<std::byte*>(to.mutable_raw());
  for (int64_t o = 0; o < outer; ++o) {
    for (const int64_t index : indices) {
      std::memcpy(dst, src + static_cast<size_t>(o * extent + index) * run, run);
      dst += run;
    }
  }
  return to;
}

class Surgeon {
 public:
  Surgeon(const Graph& graph, const Groups& groups, const Removal& removed)
      : before_(graph), groups_(groups), removed_(removed), after_(graph) {
    XDN_CHECK(removed.size() == static_cast<size_t>(groups.unit_count()));
  }

  Graph operate() {
    for (size_t v = 0; v < groups_.units.size(); ++v) slice_constant(static_cast<ValueId>(v));
    for (const NodeId id : before_.order()) adjust(id);
    infer_shapes(after_);
    verify(after_);
    for (const NodeId id : before_.order()) {
      const ValueId out = before_.output_of(id);
      for (size_t axis = 0; axis < before_.value(out).shape.size(); ++axis)
        XDN_CHECK(after_.value(out).shape[axis] == width(out, axis));
    }
    after_.drop_unused_constants();
    return std::move(after_);
  }

 private:
  bool goes(ValueId value, size_t axis, int64_t index) const {
    const auto units = groups_.units_of(value, axis);
    if (units.empty() || units[static_cast<size_t>(index)] == kNoUnit) return false;
    return removed_[static_cast<size_t>(units[static_cast<size_t>(index)])];
  }
  int64_t extent(ValueId value, size_t axis) const { return before_.value(value).shape[axis]; }
  /// How many of the indices in [first, last) remain.
  int64_t remaining(ValueId value, size_t axis, int64_t first, int64_t last) const {
    int64_t out = 0;
    for (int64_t i = first; i < last; ++i) out += goes(value, axis, i) ? 0 : 1;
    return out;
  }
  int64_t width(ValueId value, size_t axis) const {
    const int64_t all = extent(value, axis);
    return groups_.units_of(value, axis).empty() ? all : remaining(value, axis, 0, all);
  }
  bool shrinks(ValueId value, size_t axis) const { return width(value, axis) != extent(value, axis); }

  void slice_constant(ValueId id) {
    if (!before_.is_constant(id)) return;
    for (size_t axis = 0; axis < before_.value(id).shape.size(); ++axis) {
      if (!shrinks(id, axis)) continue;
      std::vector<int64_t> indices;
      for (int64_t i = 0; i < extent(id, axis); ++i) {
        if (!goes(id, axis, i)) indices.push_back(i);
      }
      Value& value = after_.value(id);
      value.constant = pick(*value.constant, axis, indices);
      value.shape = value.constant->dims();
    }
  }

  void adjust(NodeId id) {
    const Node& old = before_.node(id);
    Node& node = after_.node(id);
    for (size_t axis = 0; axis < before_.value(old.output).shape.size(); ++axis) {
      if (shrinks(old.output, axis) && width(old.output, axis) == 0)
        throw input_error("all its channels would be removed").in_layer(layer_name(before_, old));
    }
    switch (node.type) {
      case OpType::kConv:
        if (auto& attrs = node.as<ConvAttrs>(); attrs.group != 1)
          attrs.group = width(old.inputs[0], 1) / extent(old.inputs[1], 1);
        return;
      case OpType::kReshape: {
        Dims& shape = node.as<ReshapeAttrs>().shape;
        for (size_t axis = 0; axis < shape.size(); ++axis) shape[axis] = width(old.output, axis);
        return;
      }
      case OpType::kSlice:
        return adjust_slice(old, node.as<SliceAttrs>());
      case OpType::kPad:
        return adjust_pad(old, node.as<PadAttrs>());
      case OpType::kGather:
        return adjust_gather(old);
      default:
        return;
    }
  }

  void adjust_slice(const Node& old, SliceAttrs& attrs) const {
    const ValueId x = old.inputs[0];
    for (size_t i = 0; i < attrs.axes.size(); ++i) {
      const auto axis = static_cast<size_t>(attrs.axes[i]);
      if (!shrinks(x, axis)) continue;
      const int64_t first = std::min(attrs.starts[i], extent(x, axis));
      const int64_t last = first + extent(old.output, axis);
      attrs.starts[i] = remaining(x, axis, 0, first);
      attrs.ends[i] = attrs.starts[i] + remaining(x, axis, first, last);
    }
  }

  /// A negative pad crops: what is left of what it crops.
  void adjust_pad(const Node& old, PadAttrs& attrs) const {
    const ValueId x = old.inputs[0], y = old.output;
    for (size_t axis = 0; axis < attrs.begin.size(); ++axis) {
      if (!shrinks(x, axis) && !shrinks(y, axis)) continue;
      const int64_t begin = attrs.begin[axis], end = attrs.end[axis];
      const int64_t from = extent(x, axis), to = extent(y, axis);
      attrs.begin[axis] = begin >= 0 ? remaining(y, axis, 0, begin) : -remaining(x, axis, 0, -begin);
      attrs.end[axis] = end >= 0 ? remaining(y, axis, to - end, to) : -remaining(x, axis, from + end, from);
    }
  }

  /// The indices, already sliced, count what remains.
  void adjust_gather(const Node& old) {
    const auto axis = static_cast<size_t>(old.as<AxisAttrs>().axis);
    const ValueId x = old.inputs[0], indices = old.inputs[1];
    if (!shrinks(x, axis)) return;
    Tensor& tensor = *after_.value(indices).constant;
    const auto renumber = [&]<class T>() {
      for (T& index : tensor.mutable_data<T>()) {
        const int64_t at = index < 0 ? index + extent(x, axis) : index;
        index = static_cast<T>(remaining(x, axis, 0, at));
      }
    };
    if (tensor.dtype() == DType::kI32) {
      renumber.template operator()<int32_t>();
    } else {
      renumber.template operator()<int64_t>();
    }
  }

  const Graph& before_;
  const Groups& groups_;
  const Removal& removed_;
  Graph after_;
};

}  // namespace

Graph remove_channels(const Graph& graph, const Groups& groups, const Removal& removed) {
  return Surgeon(graph, groups, removed).operate();
}

}  // namespace xdn::pruning
