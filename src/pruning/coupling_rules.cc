// What every operator couples. Along axes that it sums over with constant weights, nothing; along axes that
// it maps index by index, input with output. Everything else is pinned.
#include <algorithm>

#include "base/error.h"
#include "pruning/axis_map.h"
#include "pruning/coupling.h"

namespace xdn::pruning {
namespace {

class NodeRules {
 public:
  NodeRules(Coupling& coupling, const Node& node, NodeId id, const std::vector<int>& readers)
      : c_(coupling), g_(coupling.graph()), node_(node), id_(id), readers_(readers) {}

  void couple() {
    switch (node_.type) {
      case OpType::kConv:
        return conv();
      case OpType::kGemm:
        return gemm();
      case OpType::kMatMul:
        return matmul();
      case OpType::kBatchNorm:
        return batch_norm();
      case OpType::kRelu:
      case OpType::kLeakyRelu:
      case OpType::kClip:
      case OpType::kSigmoid:
      case OpType::kHardSigmoid:
      case OpType::kHardSwish:
      case OpType::kIdentity:
      case OpType::kCast:
        return same_axes(0);
      case OpType::kPRelu:
      case OpType::kAdd:
      case OpType::kSub:
      case OpType::kMul:
      case OpType::kMax:
        return elementwise();
      case OpType::kDiv:
        return divide();
      case OpType::kPow:
        return power();
      case OpType::kMaxPool:
      case OpType::kAveragePool:
      case OpType::kGlobalAveragePool:
        pin_spatial(0, "slides a window over its axis");
        return c_.join_all(in(0, 1), out(1));
      case OpType::kReduceMean:
        return reduce_mean();
      case OpType::kReshape:
      case OpType::kFlatten:
        return reshape();
      case OpType::kTranspose:
        for (size_t i = 0; i < out_rank(); ++i)
          c_.join_all(in(0, static_cast<size_t>(node_.as<TransposeAttrs>().perm[i])), out(i));
        return;
      case OpType::kConcat:
        return concat();
      case OpType::kSlice:
        return slice();
      case OpType::kPad:
        return pad();
      case OpType::kGather:
        return gather();
      case OpType::kSoftmax:
        return softmax();
      case OpType::kLrn:
        pin_spatial(0, "normalises over its axis");
        c_.join_all(in(0, 1), out(1));
        // Zeros over a bias of 0 would be no numbers.
        if (!node_.as<LrnAttrs>().within_channel || node_.as<LrnAttrs>().bias <= 0)
          c_.pin(out(1), why("normalises over channels"));
        return;
      case OpType::kQuantizeLinear:
      case OpType::kDequantizeLinear:
        XDN_CHECK(false);  // the constructor refused them
    }
  }

 private:
  int32_t in(size_t i, size_t axis) const { return c_.space_of(node_.input(i), axis); }
  int32_t out(size_t axis) const { return c_.space_of(node_.output, axis); }
  const Dims& shape(size_t i) const { return g_.value(node_.inputs[i]).shape; }
  size_t rank(size_t i) const { return shape(i).size(); }
  size_t out_rank() const { return g_.value(node_.output).shape.size(); }
  bool has(size_t i) const { return node_.input(i) != kNoValue; }
  /// A constant that nobody else reads: mask may leave it as it is.
  bool is_own_constant(size_t i) const {
    return g_.is_constant(node_.input(i)) && readers_[static_cast<size_t>(node_.inputs[i])] == 1;
  }

  int32_t why(const std::string& text) {
    return c_.add_reason(layer_name(g_, node_), std::string(op_info(node_.type).name) + " " + text);
  }
  void pin_input(size_t i, const std::string& text) {
    if (!has(i)) return;
    for (size_t axis = 0; axis < rank(i); ++axis) c_.pin(in(i, axis), why(text));
  }
  void pin_output(const std::string& text) {
    for (size_t axis = 0; axis < out_rank(); ++axis) c_.pin(out(axis), why(text));
  }
  void pin_everything(const std::string& text) {
    for (size_t i = 0; i < node_.inputs.size(); ++i) pin_input(i, text);
    pin_output(text);
  }
  /// Axes from the second on, of input i and of the output; the first is joined.
  void pin_spatial(size_t i, const std::string& text) {
    c_.join_all(in(i, 0), out(0));
    for (size_t axis = 2; axis < rank(i); ++axis) c_.pin(in(i, axis), why(text));
    for (size_t axis = 2; axis < out_rank(); ++axis) c_.pin(out(axis), why(text));
  }
  void same_axes(size_t i) {
    for (size_t axis = 0; axis < rank(i); ++axis) c_.join_all(in(i, axis), out(axis));
  }

  /// `axis` is the result's, where filters show.
  void computed_weights(size_t axis) {
    if (out_rank() > 0 && out(axis) != kNoSpace) c_.computed_filters.push_back({id_, out(axis)});
    pin_everything("has weights that are computed");
  }

  void conv() {
    for (const size_t i : {size_t{1}, size_t{2}}) {
      if (has(i) && !g_.is_constant(node_.inputs[i])) return computed_weights(1);
    }
    pin_spatial(0, "slides a window over its axis");
    for (size_t axis = 2; axis < rank(1); ++axis) c_.pin(in(1, axis), why("slides a window over its axis"));
    c_.join_all(in(1, 0), out(1));
    if (has(2)) c_.join_all(in(2, 0), out(1));
    if (has(3)) same_axes(3);
    c_.filters.push_back({id_, in(1, 0)});
    const int64_t group = node_.as<ConvAttrs>().group;
    if (group == 1) {
      c_.join_all(in(0, 1), in(1, 1));
      c_.inputs.push_back({id_, in(1, 1)});
      return;
    }
    // A group of the convolution goes as a whole: its input channels, its filters.
    const int64_t ic = shape(1)[1], oc = shape(1)[0] / group;
    c_.pin(in(1, 1), why("has groups"));
    for (int64_t k = 0; k < group; ++k) {
      const int32_t first = c_.space(in(0, 1)).first + static_cast<int32_t>(k * ic);
      for (int64_t i = 1; i < ic; ++i) c_.join(first, first + static_cast<int32_t>(i));
      for (int64_t o = 0; o < oc; ++o)
        c_.join(first, c_.space(out(1)).first + static_cast<int32_t>(k * oc + o));
    }
  }

  void gemm() {
    const auto& attrs = node_.as<GemmAttrs>();
    if (attrs.trans_a) {
      if (out(1) != kNoSpace) c_.computed_filters.push_back({id_, out(1)});
      return pin_everything("transposes its input");
    }
    for (const size_t i : {size_t{1}, size_t{2}}) {
      if (has(i) && !g_.is_constant(node_.inputs[i])) return computed_weights(1);
    }
    const size_t filters = filter_axis(node_);
    weighted_sum(in(0, 1));
    c_.pin(in(0, 0), why("has rows"));
    c_.pin(out(0), why("has rows"));
    if (!has(2)) return;
    for (size_t axis = 0; axis < rank(2); ++axis) {
      if (axis + 1 == rank(2) && shape(2)[axis] == shape(1)[filters]) {
        c_.join_all(in(2, axis), out(1));
      } else {
        c_.pin(in(2, axis), why("adds the same to all"));
      }
    }
  }

  void matmul() {
    if (rank(0) < 2 || rank(1) != 2 || !g_.is_constant(node_.inputs[1]))
      return computed_weights(out_rank() - 1);
    weighted_sum(in(0, rank(0) - 1));
    for (size_t axis = 0; axis + 1 < rank(0); ++axis) {
      c_.pin(in(0, axis), why("has rows"));
      c_.pin(out(axis), why("has rows"));
    }
  }

  /// Of Gemm and MatMul: input 1 holds the weights; the result's last axis is the filters'.
  void weighted_sum(int32_t x) {
    const size_t filters = filter_axis(node_), sums = 1 - filters;
    c_.join_all(x, in(1, sums));
    c_.join_all(in(1, filters), out(out_rank() - 1));
    c_.filters.push_back({id_, in(1, filters)});
    c_.inputs.push_back({id_, in(1, sums)});
  }

  void batch_norm() {
    for (size_t i = 1; i < 5; ++i) {
      if (!g_.is_constant(node_.inputs[i])) return pin_everything("has statistics that are computed");
      c_.join_all(in(i, 0), out(1));
    }
    if (!is_own_constant(4)) c_.pin(in(4, 0), why("shares its variance"));
    same_axes(0);
  }

  void elementwise() {
    for (size_t i = 0; i < 2; ++i) {
      const size_t missing = out_rank() - rank(i);
      for (size_t axis = 0; axis < rank(i); ++axis) {
        if (shape(i)[axis] == g_.value(node_.output).shape[axis + missing]) {
          c_.join_all(in(i, axis), out(axis + missing));
        } else {
          c_.pin(in(i, axis), why("takes one channel for many"));
        }
      }
    }
  }

  /// Mask makes removed channels zero, but it can leave a constant as it is.
  void divide() {
    elementwise();
    if (!is_own_constant(1)) pin_input(1, "divides by its channels");
  }

  void power() {
    elementwise();
    bool known = is_own_constant(1);
    for (int64_t i = 0; known && i < g_.constant(node_.inputs[1]).size(); ++i)
      known = g_.constant(node_.inputs[1]).as_double(i) >= 0;
    if (!known) pin_everything("has an exponent that may be negative");
  }

  void reduce_mean() {
    const auto& attrs = node_.as<ReduceAttrs>();
    size_t to = 0;
    for (size_t axis = 0; axis < rank(0); ++axis) {
      const bool reduced =
          std::find(attrs.axes.begin(), attrs.axes.end(), static_cast<int64_t>(axis)) != attrs.axes.end();
      if (reduced) {
        c_.pin(in(0, axis), why("averages over its axis"));
        if (attrs.keepdims) ++to;
      } else {
        c_.join_all(in(0, axis), out(to++));
      }
    }
  }

  void reshape() {
    const AxisMap map = map_axes(shape(0), g_.value(node_.output).shape);
    for (const size_t axis : map.lost_in) c_.pin(in(0, axis), why("mixes its axis with others"));
    for (const size_t axis : map.lost_out) c_.pin(out(axis), why("mixes its axis with others"));
    for (const AxisPair& pair : map.pairs) {
      const int32_t from = in(0, pair.in), to = out(pair.out);
      if (from == kNoSpace || to == kNoSpace) continue;
      const Space a = c_.space(from), b = c_.space(to);
      for (int32_t i = 0; i < std::max(a.extent, b.extent); ++i) {
        const int32_t ai = a.extent >= b.extent ? i : i / (b.extent / a.extent);
        const int32_t bi = b.extent >= a.extent ? i : i / (a.extent / b.extent);
        c_.join(a.first + ai, b.first + bi);
      }
    }
  }

  void concat() {
    const auto along = static_cast<size_t>(node_.as<AxisAttrs>().axis);
    int64_t at = 0;
    for (size_t i = 0; i < node_.inputs.size(); ++i) {
      for (size_t axis = 0; axis < rank(i); ++axis) {
        if (axis != along) c_.join_all(in(i, axis), out(axis));
      }
      if (in(i, along) == kNoSpace) continue;
      c_.join(in(i, along), 0, out(along), at, shape(i)[along]);
      at += shape(i)[along];
    }
  }

  void slice() {
    const auto& attrs = node_.as<SliceAttrs>();
    for (size_t axis = 0; axis < rank(0); ++axis) {
      const auto found = std::find(attrs.axes.begin(), attrs.axes.end(), static_cast<int64_t>(axis));
      if (found == attrs.axes.end() || in(0, axis) == kNoSpace) {
        c_.join_all(in(0, axis), out(axis));
        continue;
      }
      const auto entry = static_cast<size_t>(found - attrs.axes.begin());
      if (attrs.steps[entry] == 1) {
        const int64_t first = std::min(attrs.starts[entry], shape(0)[axis]);
        c_.join(in(0, axis), first, out(axis), 0, g_.value(node_.output).shape[axis]);
      } else {
        c_.pin(in(0, axis), why("steps over its axis"));
        c_.pin(out(axis), why("steps over its axis"));
      }
    }
  }

  void pad() {
    const auto& attrs = node_.as<PadAttrs>();
    const bool zeros = attrs.mode == PadMode::kConstant && attrs.value == 0;
    for (size_t axis = 0; axis < rank(0); ++axis) {
      const int64_t begin = attrs.begin[axis], end = attrs.end[axis];
      if (in(0, axis) == kNoSpace) continue;
      const int64_t kept = shape(0)[axis] + std::min<int64_t>(begin, 0) + std::min<int64_t>(end, 0);
      c_.join(in(0, axis), std::max<int64_t>(-begin, 0), out(axis), std::max<int64_t>(begin, 0), kept);
      if ((begin == 0 && end == 0) || zeros) continue;
      c_.pin(in(0, axis), why("pads its channels with other than zeros"));
      c_.pin(out(axis), why("pads its channels with other than zeros"));
    }
  }

  void gather() {
    const auto along = static_cast<size_t>(node_.as<AxisAttrs>().axis);
    if (!is_own_constant(1) || rank(1) != 1)
      return pin_everything("picks channels by what is computed or shared");
    const Tensor& indices = g_.constant(node_.inputs[1]);
    const int64_t extent = shape(0)[along];
    for (size_t axis = 0; axis < rank(0); ++axis) {
      if (axis != along) c_.join_all(in(0, axis), out(axis));
    }
    c_.join_all(in(1, 0), out(along));
    for (int64_t i = 0; i < indices.size(); ++i) {
      const int64_t index = indices.as_int(i);
      c_.join(out(along), i, in(0, along), index < 0 ? index + extent : index, 1);
    }
  }

  void softmax() {
    const auto& attrs = node_.as<SoftmaxAttrs>();
    same_axes(0);
    const size_t last = attrs.to_end ? rank(0) : static_cast<size_t>(attrs.axis) + 1;
    for (auto axis = static_cast<size_t>(attrs.axis); axis < last; ++axis)
      c_.pin(in(0, axis), why("normalises over its axis"));
  }

  Coupling& c_;
  const Graph& g_;
  const Node& node_;
  NodeId id_;
  const std::vector<int>& readers_;
};

}  // namespace

void couple_all(Coupling& coupling) {
  const Graph& graph = coupling.graph();
  std::vector<int> readers(graph.value_count(), 0);
  for (const NodeId id : graph.order()) {
    for (const ValueId input : graph.node(id).inputs) {
      if (input != kNoValue) ++readers[static_cast<size_t>(input)];
    }
  }
  const auto pin_value = [&](ValueId id, const char* what) {
    const int32_t reason = coupling.add_reason("", std::string(what) + " '" + graph.value(id).name + "'");
    for (size_t axis = 0; axis < graph.value(id).shape.size(); ++axis)
      coupling.pin(coupling.space_of(id, axis), reason);
  };
  for (const ValueId id : graph.inputs()) pin_value(id, "graph input");
  for (const ValueId id : graph.outputs()) pin_value(id, "graph output");
  for (const NodeId id : graph.order()) NodeRules(coupling, graph.node(id), id, readers).couple();
}

}  // namespace xdn::pruning
