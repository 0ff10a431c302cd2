#include <algorithm>

#include "graph/infer_internal.h"

namespace xdn {
namespace infer {

Error batch_error(const std::string& what) {
  return input_error(what + " cannot be expressed with a free batch dimension");
}

void require_rank(const Inputs& in, size_t i, const char* what, size_t least, size_t most) {
  const size_t rank = in.shape(i).size();
  require(rank >= least && rank <= most, [&] {
    std::string wanted = least == most ? "exactly " + text(least) : "at least " + text(least);
    if (least != most && most < kMaxRank) wanted += " and at most " + text(most);
    return std::string(what) + " must have " + wanted + (most == 1 ? " axis" : " axes") +
           ", but its shape is " + text(in.shape(i));
  });
}

int64_t fixed_extent(const Dims& shape, size_t axis, const char* what) {
  if (shape[axis] == kBatch) {
    throw batch_error(std::string(what) + ", axis " + text(axis) + " of shape " + text(shape) + ",");
  }
  return shape[axis];
}

size_t checked_axis(int64_t axis, size_t rank, const char* what) {
  require(axis >= 0 && axis < static_cast<int64_t>(rank), [&] {
    return std::string(what) + " " + text(axis) + " is not an axis of an input with " + text(rank) + " axes";
  });
  return static_cast<size_t>(axis);
}

void require_same_dtype(const Inputs& in, size_t i) {
  require(in.dtype(i) == in.dtype(0), [&] {
    return "input " + text(i) + " is " + std::string(dtype_name(in.dtype(i))) + ", but input 0 is " +
           std::string(dtype_name(in.dtype(0))) + ": element types must be equal";
  });
}

Dims broadcast(const Dims& a, const Dims& b) {
  Dims out(std::max(a.size(), b.size()));
  for (size_t i = 0; i < out.size(); ++i) {  // from the innermost axis
    const int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1;
    const int64_t y = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (x != y && x != 1 && y != 1) {
      const std::string shapes = "shapes " + text(a) + " and " + text(b);
      if (x == kBatch || y == kBatch) {
        throw input_error(shapes + " do not broadcast: the free batch dimension N fits only N or 1, not " +
                          text(x == kBatch ? y : x));
      }
      throw input_error(shapes + " do not broadcast");
    }
    out[out.size() - 1 - i] = x == 1 ? y : x;
  }
  return out;
}

void require_broadcasts_to(const Dims& from, const Dims& to, const char* what) {
  bool fits = from.size() <= to.size();
  for (size_t i = 0; fits && i < from.size(); ++i) {
    const int64_t x = from[from.size() - 1 - i];
    fits = x == 1 || x == to[to.size() - 1 - i];
  }
  require(fits, [&] {
    return std::string(what) + " has shape " + text(from) + ", which does not broadcast to " + text(to);
  });
}

namespace {

/// Extents are not negative but for one free batch at most, and one image's worth of elements fits in memory.
void check_shape(const Dims& shape, DType dtype, const std::string& what) {
  require(shape.size() <= kMaxRank, [&] {
    return what + " has " + text(shape.size()) + " axes, more than the " + text(kMaxRank) + " allowed";
  });
  Dims one_image = shape;
  size_t batches = 0;
  for (int64_t& extent : one_image) {
    if (extent == kBatch) {
      ++batches;
      extent = 1;
    }
    require(extent <= kMaxTensorBytes,
            [&] { return what + " has an absurd extent in shape " + text(shape); });
  }
  require(batches <= 1,
          [&] { return what + " has the free batch dimension N twice, in shape " + text(shape); });
  element_count(one_image, dtype_size(dtype));
}

Dims gemm(const Inputs& in) {
  const auto& attrs = in.node.as<GemmAttrs>();
  require_rank(in, 0, "input a", 2, 2);
  require_rank(in, 1, "input b", 2, 2);
  require_same_dtype(in, 1);
  const Dims &a = in.shape(0), &b = in.shape(1);
  const int64_t depth_a = fixed_extent(a, attrs.trans_a ? 0 : 1, "the summed axis of a");
  const int64_t depth_b = fixed_extent(b, attrs.trans_b ? 1 : 0, "the summed axis of b");
  require(depth_a == depth_b, [&] {
    return "cannot multiply " + text(a) + (attrs.trans_a ? " transposed" : "") + " by " + text(b) +
           (attrs.trans_b ? " transposed" : "") + ": " + text(depth_a) + " columns meet " + text(depth_b) +
           " rows";
  });
  Dims out{a[attrs.trans_a ? 1 : 0], b[attrs.trans_b ? 0 : 1]};
  if (in.has(2)) {
    require_same_dtype(in, 2);
    require_broadcasts_to(in.shape(2), out, "input c");
  }
  return out;
}

Dims matmul(const Inputs& in) {
  require_rank(in, 0, "input a", 1, kMaxRank);
  require_rank(in, 1, "input b", 1, kMaxRank);
  require_same_dtype(in, 1);
  const Dims &a = in.shape(0), &b = in.shape(1);
  const int64_t depth_a = fixed_extent(a, a.size() - 1, "the summed axis of a");
  const int64_t depth_b = fixed_extent(b, b.size() < 2 ? 0 : b.size() - 2, "the summed axis of b");
  require(depth_a == depth_b, [&] {
    return "cannot multiply " + text(a) + " by " + text(b) + ": " + text(depth_a) + " columns meet " +
           text(depth_b) + " rows";
  });
  const auto outer = [](const Dims& dims) {
    return Dims(dims.begin(), dims.end() - std::min<long>(2, std::ssize(dims)));
  };
  Dims out = broadcast(outer(a), outer(b));
  if (a.size() > 1) out.push_back(a[a.size() - 2]);
  if (b.size() > 1) out.push_back(b.back());
  return out;
}

Dims softmax(const Inputs& in) {
  const auto& attrs = in.node.as<SoftmaxAttrs>();
  const Dims& shape = in.shape(0);
  const size_t first = checked_axis(attrs.axis, shape.size(), "axis");
  const size_t last = attrs.to_end ? shape.size() : first + 1;
  for (size_t axis = first; axis < last; ++axis) fixed_extent(shape, axis, "normalising over the batch");
  return shape;
}

bool is_quantized_type(DType dtype) {
  return dtype == DType::kI8 || dtype == DType::kU8 || dtype == DType::kI16 || dtype == DType::kU16 ||
         dtype == DType::kI32;
}

/// x [..., scale, zero_point]; quantized is the element type on the integer side.
Dims quantize(const Inputs& in, DType quantized) {
  const auto& attrs = in.node.as<QuantizeAttrs>();
  require(is_quantized_type(quantized), [&] {
    return "quantized elements must be i8, u8, i16, u16 or i32, not " + std::string(dtype_name(quantized));
  });
  require(is_floating(in.dtype(1)), [&] {
    return "the scale must be of a floating-point type, not " + std::string(dtype_name(in.dtype(1)));
  });
  const Dims &shape = in.shape(0), &scale = in.shape(1);
  const bool single = scale.empty() || scale == Dims{1};
  if (!single) {
    require_rank(in, 1, "the scale", 0, 1);
    const int64_t extent =
        fixed_extent(shape, checked_axis(attrs.axis, shape.size(), "axis"), "the quantized axis");
    require(scale[0] == extent, [&] {
      return "the scale has " + text(scale[0]) + " elements, but axis " + text(attrs.axis) + " of shape " +
             text(shape) + " has " + text(extent);
    });
  }
  if (in.has(2)) {
    const Dims& zero = in.shape(2);
    require(zero == scale || (single && (zero.empty() || zero == Dims{1})),
            [&] { return "the zero point has shape " + text(zero) + ", but the scale has " + text(scale); });
    require(in.dtype(2) == quantized, [&] {
      return "the zero point is " + std::string(dtype_name(in.dtype(2))) + ", but quantized elements are " +
             std::string(dtype_name(quantized));
    });
  }
  return shape;
}

Dims broadcast_all(const Inputs& in) {
  if (in.node.type != OpType::kPow) require_same_dtype(in, 1);
  return broadcast(in.shape(0), in.shape(1));
}

ValueType infer_type(const Inputs& in) {
  const DType same = in.dtype(0);
  switch (in.node.type) {
    case OpType::kConv:
      return {same, conv(in)};
    case OpType::kGemm:
      return {same, gemm(in)};
    case OpType::kMatMul:
      return {same, matmul(in)};
    case OpType::kBatchNorm:
      return {same, batch_norm(in)};
    case OpType::kRelu:
    case OpType::kLeakyRelu:
    case OpType::kClip:
    case OpType::kSigmoid:
    case OpType::kHardSigmoid:
    case OpType::kHardSwish:
    case OpType::kIdentity:
      return {same, in.shape(0)};
    case OpType::kPRelu:
      require_same_dtype(in, 1);
      require_broadcasts_to(in.shape(1), in.shape(0), "the slope");
      return {same, in.shape(0)};
    case OpType::kAdd:
    case OpType::kSub:
    case OpType::kMul:
    case OpType::kDiv:
    case OpType::kPow:
    case OpType::kMax:
      return {same, broadcast_all(in)};
    case OpType::kMaxPool:
    case OpType::kAveragePool:
      return {same, pool(in)};
    case OpType::kGlobalAveragePool:
      return {same, global_pool(in)};
    case OpType::kReduceMean:
      return {same, reduce(in)};
    case OpType::kReshape:
      return {same, reshape(in)};
    case OpType::kFlatten:
      return {same, flatten(in)};
    case OpType::kTranspose:
      return {same, transpose(in)};
    case OpType::kConcat:
      return {same, concat(in)};
    case OpType::kSlice:
      return {same, slice(in)};
    case OpType::kPad:
      return {same, pad(in)};
    case OpType::kGather:
      return {same, gather(in)};
    case OpType::kCast:
      return {in.node.as<CastAttrs>().to, in.shape(0)};
    case OpType::kSoftmax:
      return {same, softmax(in)};
    case OpType::kLrn:
      return {same, lrn(in)};
    case OpType::kQuantizeLinear: {
      const DType quantized = in.node.as<QuantizeAttrs>().dtype;
      require(quantized != DType::kI32, [&] { return std::string("cannot quantize to i32"); });
      return {quantized, quantize(in, quantized)};
    }
    case OpType::kDequantizeLinear:
      return {in.dtype(1), quantize(in, same)};
  }
  XDN_CHECK(false);
}

}  // namespace
}  // namespace infer

void check_node_signature(const Node& node) {
  using infer::require;
  using infer::text;
  const OpInfo& info = op_info(node.type);
  require(node.attrs.index() == info.default_attrs.index(),
          [&] { return "the attributes are not those of " + std::string(info.name); });
  const size_t count = node.inputs.size();
  require(count >= info.least_inputs && count <= info.most_inputs, [&] {
    std::string wanted = text(info.least_inputs);
    if (info.most_inputs == std::numeric_limits<size_t>::max()) {
      wanted += " or more";
    } else if (info.most_inputs != info.least_inputs) {
      wanted += " to " + text(info.most_inputs);
    }
    return std::string(info.name) + " takes " + wanted + " inputs, but has " + text(count);
  });
  const size_t needed = node.type == OpType::kConcat ? count : info.least_inputs;
  for (size_t i = 0; i < needed; ++i) {
    require(node.inputs[i] != kNoValue,
            [&] { return "input " + text(i) + " of " + std::string(info.name) + " must not be absent"; });
  }
}

ValueType infer_node(const Graph& graph, const Node& node) {
  try {
    check_node_signature(node);
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId id = node.inputs[i];
      if (id == kNoValue) continue;
      XDN_CHECK(id >= 0 && static_cast<size_t>(id) < graph.value_count());
      infer::check_shape(graph.value(id).shape, graph.value(id).dtype, "input " + infer::text(i));
    }
    ValueType out = infer::infer_type({graph, node});
    infer::check_shape(out.shape, out.dtype, "the output");
    return out;
  } catch (Error& error) {
    throw error.in_layer(layer_name(graph, node));
  }
}

void infer_shapes(Graph& graph) {
  for (const ValueId id : graph.inputs()) {
    const Value& value = graph.value(id);
    infer::check_shape(value.shape, value.dtype, "graph input '" + printable(value.name) + "'");
  }
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    ValueType type = infer_node(graph, node);
    Value& out = graph.value(node.output);
    out.dtype = type.dtype;
    out.shape = std::move(type.shape);
  }
}

std::string layer_name(const Graph& graph, const Node& node) {
  return node.name.empty() ? graph.value(node.output).name : node.name;
}

}  // namespace xdn
