#include "base/error.h"
#include "formats/onnx/handlers.h"

namespace xdn::onnx_io {
namespace {

/// A constant scale or zero point of shape [1] for the whole tensor => a scalar.
Item* scalar_if_single(NodeImport& node, Item* item, const char* suffix) {
  const bool single = item != nullptr && item->shape == Dims{1} && node.is_constant(*item);
  return single ? &node.reshape_part(*item, {}, suffix) : item;
}

/// What both directions share: x, scale, zero_point and the axis.
void import_linear(NodeImport& node, OpType type, DType dtype) {
  if (node.attributes.get_int("block_size", 0) != 0)
    throw input_error("blocked quantization is not supported");
  Item& x = node.input(0, "x");
  Item* scale = scalar_if_single(node, &node.input(1, "scale"), "scale");
  Item* zero_point = scalar_if_single(node, node.optional_input(2), "zero_point");
  QuantizeAttrs attrs;
  attrs.dtype = dtype;
  attrs.axis = node.attributes.get_int("axis", 1);
  attrs.axis = scale->shape.empty() ? 1 : normalized_axis(attrs.axis, x.shape.size());
  node.emit(type, attrs, {&x, scale, zero_point});
}

}  // namespace

void import_quantize_linear(NodeImport& node) {
  // saturate concerns 8-bit floats only, which are not supported.
  node.attributes.ignore({"saturate"});
  const int64_t output = node.attributes.get_int("output_dtype", 0);
  if (output < 0 || output > 1000) throw input_error("output_dtype is " + std::to_string(output));
  DType dtype = output == 0 ? DType::kU8 : require_dtype(static_cast<int>(output), "the output");
  if (const Item* zero_point = node.optional_input(2)) {
    if (output != 0 && zero_point->dtype != dtype)
      throw input_error("output_dtype is not the zero point's type");
    dtype = zero_point->dtype;
  }
  import_linear(node, OpType::kQuantizeLinear, dtype);
}

void import_dequantize_linear(NodeImport& node) {
  import_linear(node, OpType::kDequantizeLinear, node.input(0, "x").dtype);
}

}  // namespace xdn::onnx_io
