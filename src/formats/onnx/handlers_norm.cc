#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "formats/onnx/handlers.h"

namespace xdn::onnx_io {

void import_batch_normalization(NodeImport& node) {
  node.attributes.ignore({"momentum", "is_test", "consumed_inputs"});
  if (node.attributes.get_int("training_mode", 0) != 0) throw input_error("training mode is not supported");
  if (node.attributes.get_int("spatial", 1) != 1) throw input_error("spatial = 0 is not supported");
  for (size_t i = 1; i < node.output_count(); ++i) node.refuse_output(i, "a statistic of training");
  BatchNormAttrs attrs;
  attrs.epsilon = node.attributes.get_float("epsilon", 1e-5f);
  Item& x = node.input(0, "X");
  std::vector<Item*> inputs{&x};
  const char* names[] = {"X", "scale", "B", "mean", "var"};
  for (size_t i = 1; i < std::size(names); ++i) {
    Item* item = &node.input(i, names[i]);
    // Since opset 14 statistics may be wider than the data.
    if (item->dtype != x.dtype) {
      CastAttrs cast{x.dtype};
      item = &node.emit_part(OpType::kCast, cast, {item}, names[i]);
    }
    inputs.push_back(item);
  }
  node.emit(OpType::kBatchNorm, attrs, inputs);
}

void import_softmax(NodeImport& node) {
  Item& x = node.input(0, "input");
  const size_t rank = x.shape.size();
  const bool coerces = node.opset() < 13;
  SoftmaxAttrs attrs;
  attrs.axis = normalized_axis(node.attributes.get_int("axis", coerces ? 1 : -1), rank);
  attrs.to_end = coerces && attrs.axis + 1 != static_cast<int64_t>(rank);
  node.emit(OpType::kSoftmax, attrs, {&x});
}

void import_lrn(NodeImport& node) {
  LrnAttrs attrs;
  attrs.alpha = node.attributes.get_float("alpha", 1e-4f);
  attrs.beta = node.attributes.get_float("beta", 0.75f);
  attrs.bias = node.attributes.get_float("bias", 1);
  attrs.size = node.attributes.get_int("size", 0);
  node.emit(OpType::kLrn, attrs, {&node.input(0, "X")});
}

void import_reduce_mean(NodeImport& node) {
  Item& x = node.input(0, "data");
  const size_t rank = x.shape.size();
  ReduceAttrs attrs;
  attrs.keepdims = node.attributes.get_flag("keepdims", true);
  const bool noop = node.attributes.get_flag("noop_with_empty_axes", false);
  Dims axes = node.attributes.get_ints("axes").value_or(Dims{});
  if (node.has_input(1)) axes = node.int_input(1, "axes");
  if (axes.empty() && !noop) {
    axes.resize(rank);
    std::iota(axes.begin(), axes.end(), 0);
  }
  attrs.axes = normalized_axes(axes, rank);
  std::sort(attrs.axes.begin(), attrs.axes.end());
  if (attrs.axes.empty()) return node.emit(OpType::kIdentity, NoAttrs{}, {&x});
  node.emit(OpType::kReduceMean, std::move(attrs), {&x});
}

}  // namespace xdn::onnx_io
