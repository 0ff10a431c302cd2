#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "formats/onnx/handlers.h"

namespace xdn::onnx_io {
namespace {

/// Exporters write "to the end" as one of several huge numbers.
constexpr int64_t kToTheEnd = std::numeric_limits<int32_t>::max();
/// No extent is as large; a step beyond takes one element, as this one does.
constexpr int64_t kMaxStep = int64_t{1} << 40;

struct AxisSlice {
  int64_t start, end, step;
};

/// Counted from the beginning and clamped to the extent; an empty slice has end == start.
AxisSlice normalized(const AxisSlice& s, int64_t extent) {
  const auto from_begin = [&](int64_t at) { return at < 0 ? at + extent : at; };
  AxisSlice out{0, 0, std::clamp(s.step, -kMaxStep, kMaxStep)};
  if (extent == 0) return {0, 0, 1};
  if (out.step > 0) {
    out.start = std::clamp<int64_t>(from_begin(s.start), 0, extent);
    out.end = std::clamp<int64_t>(from_begin(s.end), out.start, extent);
  } else {
    out.start = std::clamp<int64_t>(from_begin(s.start), 0, extent - 1);
    // An end before the first element, counted from the end, is -extent - 1 or less.
    out.end = std::clamp<int64_t>(from_begin(s.end), -1, out.start);
  }
  if (out.start == out.end) return {0, 0, 1};
  return out;
}

bool keeps_all(const AxisSlice& s, int64_t extent) { return s.start == 0 && s.end == extent && s.step == 1; }

Dims ints_of(NodeImport& node, size_t i, const char* name, const Dims& otherwise) {
  if (node.opset() >= 10) return node.has_input(i) ? node.int_input(i, name) : otherwise;
  return node.attributes.get_ints(name).value_or(otherwise);
}

Dims iota(size_t count) {
  Dims out(count);
  std::iota(out.begin(), out.end(), 0);
  return out;
}

PadMode pad_mode(const std::string& name) {
  if (name == "constant") return PadMode::kConstant;
  if (name == "reflect") return PadMode::kReflect;
  if (name == "edge") return PadMode::kEdge;
  throw input_error("mode '" + printable(name) + "' is not supported; expected constant, reflect or edge");
}

}  // namespace

void import_slice(NodeImport& node) {
  Item& x = node.input(0, "data");
  const size_t rank = x.shape.size();
  const Dims starts = ints_of(node, 1, "starts", {}), ends = ints_of(node, 2, "ends", {});
  const Dims axes = normalized_axes(ints_of(node, 3, "axes", iota(starts.size())), rank);
  const Dims steps =
      node.opset() >= 10 ? ints_of(node, 4, "steps", Dims(starts.size(), 1)) : Dims(starts.size(), 1);
  if (ends.size() != starts.size() || axes.size() != starts.size() || steps.size() != starts.size()) {
    throw input_error("starts, ends, axes and steps have different lengths");
  }
  SliceAttrs attrs;
  for (size_t i = 0; i < axes.size(); ++i) {
    if (steps[i] == 0) throw input_error("a step is 0");
    const int64_t extent = x.shape[static_cast<size_t>(axes[i])];
    if (extent == kBatch) {
      if (starts[i] == 0 && steps[i] == 1 && ends[i] >= kToTheEnd) continue;
      throw input_error("slices the batch");
    }
    const AxisSlice slice = normalized({starts[i], ends[i], steps[i]}, extent);
    if (keeps_all(slice, extent)) continue;
    attrs.axes.push_back(axes[i]);
    attrs.starts.push_back(slice.start);
    attrs.ends.push_back(slice.end);
    attrs.steps.push_back(slice.step);
  }
  if (attrs.axes.empty()) return node.emit(OpType::kIdentity, NoAttrs{}, {&x});
  node.emit(OpType::kSlice, std::move(attrs), {&x});
}

namespace {

/// How many elements of the axis each output of Split takes.
Dims split_sizes(NodeImport& node, int64_t extent) {
  const auto outputs = static_cast<int64_t>(node.output_count());
  std::optional<Dims> sizes = node.attributes.get_ints("split");
  if (node.has_input(1)) sizes = node.int_input(1, "split");
  if (!sizes) {
    const int64_t parts = node.attributes.get_int("num_outputs", outputs);
    if (parts != outputs) throw input_error("attribute 'num_outputs' differs from the number of outputs");
    // Since opset 18 the last part may be smaller.
    const bool even = extent % outputs == 0;
    if (!even && node.opset() < 18) {
      throw input_error("cannot split " + std::to_string(extent) + " into " + std::to_string(outputs) +
                        " equal parts");
    }
    const int64_t size = (extent + outputs - 1) / outputs;
    sizes = Dims(static_cast<size_t>(outputs), size);
    sizes->back() = extent - size * (outputs - 1);
  }
  int64_t left = extent;
  for (const int64_t size : *sizes) {
    if (size < 0 || size > left) left = -1;
    if (left >= 0) left -= size;
  }
  if (left != 0 || static_cast<int64_t>(sizes->size()) != outputs) {
    throw input_error("cannot split " + std::to_string(extent) + " elements as " + to_string(*sizes) +
                      " into " + std::to_string(outputs) + " outputs");
  }
  return *sizes;
}

}  // namespace

void import_split(NodeImport& node) {
  Item& x = node.input(0, "input");
  const int64_t axis = normalized_axis(node.attributes.get_int("axis", 0), x.shape.size());
  const int64_t extent = x.shape[static_cast<size_t>(axis)];
  if (extent == kBatch) throw input_error("splits the batch");
  int64_t start = 0;
  const Dims sizes = split_sizes(node, extent);
  for (size_t i = 0; i < sizes.size(); ++i) {
    const int64_t end = start + sizes[i];
    if (node.is_output_used(i)) {
      const bool all = start == 0 && end == extent;
      if (all) {
        node.emit(OpType::kIdentity, NoAttrs{}, {&x}, i);
      } else {
        node.emit(OpType::kSlice, SliceAttrs{{axis}, {start}, {end}, {1}}, {&x}, i);
      }
    }
    start = end;
  }
}

void import_pad(NodeImport& node) {
  Item& x = node.input(0, "data");
  const size_t rank = x.shape.size();
  PadAttrs attrs;
  attrs.mode = pad_mode(node.attributes.get_string("mode", "constant"));
  attrs.begin = attrs.end = Dims(rank, 0);
  Dims pads, axes = iota(rank);
  if (node.opset() < 11) {
    pads = node.attributes.get_ints(node.opset() < 2 ? "paddings" : "pads").value_or(Dims{});
    attrs.value = node.attributes.get_float("value", 0);
  } else {
    pads = node.int_input(1, "pads");
    if (node.has_input(2)) {
      const Tensor& value = node.constant_input(2, "constant_value");
      if (value.size() != 1) throw input_error("the padding value must be a scalar");
      attrs.value = static_cast<float>(value.as_double(0));
    }
    if (node.has_input(3)) axes = normalized_axes(node.int_input(3, "axes"), rank);
  }
  if (pads.size() != 2 * axes.size()) {
    throw input_error("has " + std::to_string(pads.size()) + " pads, expected " +
                      std::to_string(2 * axes.size()));
  }
  for (size_t i = 0; i < axes.size(); ++i) {
    attrs.begin[static_cast<size_t>(axes[i])] = pads[i];
    attrs.end[static_cast<size_t>(axes[i])] = pads[axes.size() + i];
  }
  node.emit(OpType::kPad, std::move(attrs), {&x});
}

}  // namespace xdn::onnx_io
