#include <algorithm>

#include "base/error.h"
#include "formats/onnx/handlers.h"

namespace xdn::onnx_io {
namespace {

/// A file of a few bytes can ask for any extents: what it makes us fill must stay moderate.
constexpr int64_t kMaxFilledBytes = int64_t{1} << 28;

template <class T>
Tensor filled(DType dtype, const Dims& shape, T value) {
  const int64_t count = element_count(shape, dtype_size(dtype));
  if (count * static_cast<int64_t>(dtype_size(dtype)) > kMaxFilledBytes) {
    throw input_error("a constant of shape " + to_string(shape) + " is too large to be computed");
  }
  Tensor tensor(dtype, shape);
  for (T& e : tensor.mutable_data<T>()) e = value;
  return tensor;
}

}  // namespace

void import_constant(NodeImport& node) {
  Attributes& a = node.attributes;
  for (const char* name : {"sparse_value", "value_string", "value_strings"}) {
    if (a.has(name)) throw input_error(std::string("a constant given by '") + name + "' is not supported");
  }
  if (const auto* tensor = a.get_tensor("value")) {
    node.define_constant(0, node.tensors().read(*tensor));
  } else if (a.has("value_float")) {
    node.define_constant(0, Tensor::scalar(a.get_float("value_float", 0)));
  } else if (const auto floats = a.get_floats("value_floats")) {
    node.define_constant(0, Tensor::of({static_cast<int64_t>(floats->size())}, *floats));
  } else if (a.has("value_int")) {
    node.define_constant(0, Tensor::scalar(a.get_int("value_int", 0)));
  } else if (const auto ints = a.get_ints("value_ints")) {
    node.define_constant(0, Tensor::of({static_cast<int64_t>(ints->size())}, *ints));
  } else {
    throw input_error("a constant without a value");
  }
}

void import_constant_of_shape(NodeImport& node) {
  const Dims shape = node.int_input(0, "input");
  if (shape.size() > kMaxRank) throw input_error("a constant of more than 16 dimensions");
  const auto* value = node.attributes.get_tensor("value");
  const Tensor tensor = value == nullptr ? Tensor::scalar(0.0f) : node.tensors().read(*value);
  if (tensor.size() != 1) throw input_error("attribute 'value' must hold one element");
  dispatch_dtype(tensor.dtype(), [&]<class T>() {
    node.define_constant(0, filled(tensor.dtype(), shape, tensor.data<T>()[0]));
  });
}

void import_shape(NodeImport& node) {
  const Dims& shape = node.input(0, "data").shape;
  const auto rank = static_cast<int64_t>(shape.size());
  const auto clamped = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank); };
  const int64_t start = clamped(node.attributes.get_int("start", 0));
  const int64_t end = std::max(start, clamped(node.attributes.get_int("end", rank)));
  node.define_ints(0, sym_from_shape(Dims(shape.begin() + start, shape.begin() + end)));
}

void import_size(NodeImport& node) {
  Dims fixed;
  bool batch = false;
  for (const int64_t extent : node.input(0, "data").shape) {
    if (extent == kBatch) {
      batch = true;
    } else {
      fixed.push_back(extent);
    }
  }
  const int64_t count = element_count(fixed);
  SymInt size = SymInt::known(count);
  if (batch && count != 0) size = count == 1 ? SymInt::batch() : SymInt::unknown();
  node.define_ints(0, SymTensor{DType::kI64, {}, {size}});
}

void import_identity(NodeImport& node) {
  Item& x = node.input(0, "input");
  // Exporters share a constant among layers this way.
  if (node.is_constant(x)) return node.alias(0, x);
  node.emit(OpType::kIdentity, NoAttrs{}, {&x});
}

void import_dropout(NodeImport& node) {
  // is_test and consumed_inputs stood here before opset 7; a model is always read for inference.
  node.attributes.ignore({"seed", "ratio", "is_test", "consumed_inputs"});
  Item& x = node.input(0, "data");
  if (node.has_input(2)) {
    const bool training = node.constant_input(2, "training_mode").as_int(0) != 0;
    const bool drops = !node.has_input(1) || node.constant_input(1, "ratio").as_double(0) != 0;
    if (training && drops) throw input_error("dropout in training mode is not supported");
  }
  if (node.is_output_used(1)) {
    if (std::find(x.shape.begin(), x.shape.end(), kBatch) != x.shape.end()) {
      throw input_error("output 1 (mask) is supported only for fixed shapes");
    }
    // Before opset 10 the mask had the type of the data.
    const Tensor mask = filled(DType::kBool, x.shape, true);
    node.define_constant(1, node.opset() < 10 ? mask.converted(x.dtype) : mask);
  }
  node.emit(OpType::kIdentity, NoAttrs{}, {&x});
}

}  // namespace xdn::onnx_io
