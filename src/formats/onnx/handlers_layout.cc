#include <algorithm>

#include "base/error.h"
#include "formats/onnx/handlers.h"
#include "formats/onnx/reshape_target.h"

namespace xdn::onnx_io {
namespace {

/// The axes of Squeeze and Unsqueeze: an attribute before opset 13, then an input. Nothing where they are
/// absent.
std::optional<Dims> axes_of(NodeImport& node) {
  if (node.has_input(1)) return node.int_input(1, "axes");
  return node.attributes.get_ints("axes");
}

}  // namespace

void import_flatten(NodeImport& node) {
  Item& x = node.input(0, "input");
  const auto rank = static_cast<int64_t>(x.shape.size());
  const int64_t axis = node.attributes.get_int("axis", 1);
  FlattenAttrs attrs;
  // rank itself is allowed: everything before the axis, and 1.
  attrs.axis = axis == rank ? rank : normalized_axis(axis, x.shape.size());
  node.emit(OpType::kFlatten, attrs, {&x});
}

void import_reshape(NodeImport& node) {
  node.attributes.ignore({"consumed_inputs"});
  Item& x = node.input(0, "data");
  SymTensor target;
  if (node.opset() < 5) {
    const Dims shape = node.attributes.get_ints("shape").value_or(Dims{});
    target.dims = {static_cast<int64_t>(shape.size())};
    for (const int64_t extent : shape) target.elements.push_back(SymInt::known(extent));
  } else {
    target = node.shape_input(1, "shape");
  }
  const bool allow_zero = node.attributes.get_flag("allowzero", false);
  ReshapeAttrs attrs{reshape_target(x.shape, target, allow_zero, node.freeing_batch())};
  node.emit(OpType::kReshape, std::move(attrs), {&x});
}

void import_squeeze(NodeImport& node) {
  Item& x = node.input(0, "data");
  const size_t rank = x.shape.size();
  std::vector<bool> drop(rank, false);
  if (const auto axes = axes_of(node)) {
    for (const int64_t axis : normalized_axes(*axes, rank)) {
      const int64_t extent = x.shape[static_cast<size_t>(axis)];
      if (extent != 1) {
        throw input_error("cannot squeeze axis " + std::to_string(axis) + " of " + to_string(x.shape));
      }
      drop[static_cast<size_t>(axis)] = true;
    }
  } else {
    std::transform(x.shape.begin(), x.shape.end(), drop.begin(), [](int64_t extent) { return extent == 1; });
  }
  ReshapeAttrs attrs;
  for (size_t i = 0; i < rank; ++i) {
    if (!drop[i]) attrs.shape.push_back(x.shape[i]);
  }
  node.emit(OpType::kReshape, std::move(attrs), {&x});
}

void import_unsqueeze(NodeImport& node) {
  Item& x = node.input(0, "data");
  const auto axes = axes_of(node);
  if (!axes) throw input_error("the axes are missing");
  const size_t rank = x.shape.size() + axes->size();
  if (rank > kMaxRank) throw input_error("has more than 16 dimensions");
  Dims at = normalized_axes(*axes, rank);
  std::sort(at.begin(), at.end());
  ReshapeAttrs attrs{x.shape};
  for (const int64_t axis : at) attrs.shape.insert(attrs.shape.begin() + axis, 1);
  node.emit(OpType::kReshape, std::move(attrs), {&x});
}

void import_transpose(NodeImport& node) {
  Item& x = node.input(0, "data");
  const size_t rank = x.shape.size();
  TransposeAttrs attrs;
  for (size_t i = rank; i-- > 0;) attrs.perm.push_back(static_cast<int64_t>(i));
  if (const auto perm = node.attributes.get_ints("perm")) {
    if (perm->size() != rank) {
      throw input_error("attribute 'perm' has " + std::to_string(perm->size()) + " entries, expected " +
                        std::to_string(rank));
    }
    attrs.perm = normalized_axes(*perm, rank);
  }
  node.emit(OpType::kTranspose, std::move(attrs), {&x});
}

void import_concat(NodeImport& node) {
  std::vector<Item*> parts;
  for (size_t i = 0; i < node.input_count(); ++i) parts.push_back(&node.input(i, "inputs"));
  if (parts.empty()) throw input_error("has no inputs");
  if (node.opset() >= 4 && !node.attributes.has("axis")) throw input_error("attribute 'axis' is missing");
  AxisAttrs attrs{normalized_axis(node.attributes.get_int("axis", 1), parts[0]->shape.size())};
  node.emit(OpType::kConcat, attrs, parts);
}

void import_gather(NodeImport& node) {
  Item& x = node.input(0, "data");
  AxisAttrs attrs{normalized_axis(node.attributes.get_int("axis", 0), x.shape.size())};
  node.emit(OpType::kGather, attrs, {&x, &node.input(1, "indices")});
}

}  // namespace xdn::onnx_io
