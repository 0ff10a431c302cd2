#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "formats/onnx/handlers.h"

namespace xdn::onnx_io {
namespace {

/// Before opset 7, b stood at axis `axis` of a and was stretched over the axes after its own.
Item& legacy_broadcast(NodeImport& node, Item& a, Item& b) {
  const bool broadcast = node.attributes.get_flag("broadcast", false);
  const bool has_axis = node.attributes.has("axis");
  const int64_t axis = node.attributes.get_int("axis", 0);
  const size_t rank = a.shape.size();
  if (!broadcast || !has_axis || b.shape.empty()) return b;
  const auto first = static_cast<size_t>(normalized_axis(axis, rank));
  if (first + b.shape.size() > rank) {
    throw input_error("shape " + to_string(b.shape) + " does not fit into " + to_string(a.shape) +
                      " at axis " + std::to_string(axis));
  }
  Dims shape = b.shape;
  shape.insert(shape.end(), rank - first - shape.size(), 1);
  return node.reshape_part(b, std::move(shape), "broadcast");
}

void emit_known(NodeImport& node, std::optional<SymTensor> result) {
  if (!result) throw input_error("is supported only in computations of shapes");
  node.define_ints(0, std::move(*result));
}

const SymTensor& known_input(NodeImport& node, size_t i, const char* name) {
  const Item& item = node.input(i, name);
  if (!item.ints) throw input_error("is supported only in computations of shapes");
  return *item.ints;
}

/// A bound of Clip from its input, exact in float; nothing where the input is absent.
std::optional<float> bound_input(NodeImport& node, size_t i, const char* name) {
  if (!node.has_input(i)) return std::nullopt;
  const Tensor& tensor = node.constant_input(i, name);
  if (tensor.size() != 1) {
    throw input_error(std::string(name) + " has shape " + to_string(tensor.dims()) + ", expected a scalar");
  }
  const double value = tensor.as_double(0);
  const auto rounded = static_cast<float>(value);
  const bool exact = is_floating(tensor.dtype()) || static_cast<double>(rounded) == value;
  if (!exact) throw input_error(std::string(name) + " is too large an integer");
  return rounded;
}

}  // namespace

template <OpType type>
void import_binary(NodeImport& node) {
  node.attributes.ignore({"consumed_inputs"});
  Item& a = node.input(0, "A");
  Item& b = node.input(1, "B");
  Item& other = node.opset() < 7 ? legacy_broadcast(node, a, b) : b;
  node.emit(type, NoAttrs{}, {&a, &other});
}
template void import_binary<OpType::kAdd>(NodeImport&);
template void import_binary<OpType::kSub>(NodeImport&);
template void import_binary<OpType::kMul>(NodeImport&);
template void import_binary<OpType::kDiv>(NodeImport&);
template void import_binary<OpType::kPow>(NodeImport&);
template void import_binary<OpType::kMatMul>(NodeImport&);

/// n inputs => a chain of n - 1 nodes.
template <OpType type>
void import_variadic(NodeImport& node) {
  node.attributes.ignore({"consumed_inputs"});
  const size_t count = node.input_count();
  Item* sum = &node.input(0, "data_0");
  if (count == 1) return node.emit(OpType::kIdentity, NoAttrs{}, {sum});
  for (size_t i = 1; i + 1 < count; ++i) {
    sum = &node.emit_part(type, NoAttrs{}, {sum, &node.input(i, "data")}, std::to_string(i));
  }
  node.emit(type, NoAttrs{}, {sum, &node.input(count - 1, "data")});
}
template void import_variadic<OpType::kAdd>(NodeImport&);
template void import_variadic<OpType::kMax>(NodeImport&);

template <OpType type>
void import_unary(NodeImport& node) {
  node.attributes.ignore({"consumed_inputs"});
  node.emit(type, NoAttrs{}, {&node.input(0, "X")});
}
template void import_unary<OpType::kRelu>(NodeImport&);
template void import_unary<OpType::kSigmoid>(NodeImport&);
template void import_unary<OpType::kHardSwish>(NodeImport&);

void import_leaky_relu(NodeImport& node) {
  node.attributes.ignore({"consumed_inputs"});
  LeakyReluAttrs attrs;
  attrs.alpha = node.attributes.get_float("alpha", 0.01f);
  node.emit(OpType::kLeakyRelu, attrs, {&node.input(0, "X")});
}

void import_hard_sigmoid(NodeImport& node) {
  node.attributes.ignore({"consumed_inputs"});
  HardSigmoidAttrs attrs;
  attrs.alpha = node.attributes.get_float("alpha", 0.2f);
  attrs.beta = node.attributes.get_float("beta", 0.5f);
  node.emit(OpType::kHardSigmoid, attrs, {&node.input(0, "X")});
}

void import_prelu(NodeImport& node) {
  node.attributes.ignore({"consumed_inputs"});
  Item& x = node.input(0, "X");
  Item* slope = &node.input(1, "slope");
  // Before opset 7 a vector of slopes belonged to the channels.
  const bool per_channel =
      node.opset() < 7 && slope->shape.size() == 1 && slope->shape[0] != 1 && x.shape.size() > 2;
  if (per_channel) {
    Dims shape(x.shape.size() - 1, 1);
    shape[0] = slope->shape[0];
    slope = &node.reshape_part(*slope, std::move(shape), "slope");
  }
  node.emit(OpType::kPRelu, NoAttrs{}, {&x, slope});
}

void import_clip(NodeImport& node) {
  node.attributes.ignore({"consumed_inputs"});
  ClipAttrs attrs;
  if (node.opset() < 11) {
    attrs.min = node.attributes.get_float("min", attrs.min);
    attrs.max = node.attributes.get_float("max", attrs.max);
  } else {
    attrs.min = bound_input(node, 1, "min").value_or(attrs.min);
    attrs.max = bound_input(node, 2, "max").value_or(attrs.max);
  }
  node.emit(OpType::kClip, attrs, {&node.input(0, "input")});
}

void import_cast(NodeImport& node) {
  // saturate concerns 8-bit floats only, which are not supported.
  node.attributes.ignore({"saturate"});
  int64_t to = 0;
  if (node.opset() < 6) {
    const std::string name = node.attributes.get_string("to", "");
    constexpr const char* kNames[] = {"UNDEFINED", "FLOAT",  "UINT8",  "INT8",   "UINT16",
                                      "INT16",     "INT32",  "INT64",  "STRING", "BOOL",
                                      "FLOAT16",   "DOUBLE", "UINT32", "UINT64"};
    const auto* found = std::find(std::begin(kNames), std::end(kNames), name);
    if (found == std::end(kNames)) throw input_error("cannot cast to '" + printable(name) + "'");
    to = found - std::begin(kNames);
  } else {
    to = node.attributes.get_int("to", 0);
  }
  if (to < 0 || to > 1000) throw input_error("cannot cast to element type " + std::to_string(to));
  CastAttrs attrs;
  attrs.to = require_dtype(static_cast<int>(to), "the output");
  node.emit(OpType::kCast, attrs, {&node.input(0, "input")});
}

void import_gemm(NodeImport& node) {
  // Before opset 7; what fits also broadcasts without it.
  node.attributes.ignore({"broadcast"});
  GemmAttrs attrs;
  attrs.alpha = node.attributes.get_float("alpha", 1);
  attrs.beta = node.attributes.get_float("beta", 1);
  attrs.trans_a = node.attributes.get_int("transA", 0) != 0;
  attrs.trans_b = node.attributes.get_int("transB", 0) != 0;
  node.emit(OpType::kGemm, attrs, {&node.input(0, "A"), &node.input(1, "B"), node.optional_input(2)});
}

void import_min(NodeImport& node) {
  SymTensor least = known_input(node, 0, "data_0");
  for (size_t i = 1; i < node.input_count(); ++i) {
    auto next = sym_min(least, known_input(node, i, "data"));
    if (!next) throw input_error("is supported only in computations of shapes");
    least = std::move(*next);
  }
  emit_known(node, std::move(least));
}

void import_equal(NodeImport& node) {
  emit_known(node, sym_equal(known_input(node, 0, "A"), known_input(node, 1, "B")));
}

void import_where(NodeImport& node) {
  emit_known(node, sym_where(known_input(node, 0, "condition"), known_input(node, 1, "X"),
                             known_input(node, 2, "Y")));
}

}  // namespace xdn::onnx_io
