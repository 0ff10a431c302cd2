#include <algorithm>
#include <limits>

#include "base/error.h"
#include "formats/onnx/handlers.h"

namespace xdn::onnx_io {
namespace {

/// No window is larger; the bound keeps sums and products of its numbers within 64 bits.
constexpr int64_t kMaxWindowNumber = std::numeric_limits<int32_t>::max();

void check_numbers(const Dims& list, const char* name, size_t size, int64_t least) {
  if (list.size() != size) {
    throw input_error("attribute '" + std::string(name) + "' has " + std::to_string(list.size()) +
                      " entries, expected " + std::to_string(size));
  }
  for (const int64_t value : list) {
    if (value < least || value > kMaxWindowNumber) {
      throw input_error("attribute '" + std::string(name) + "' holds " + std::to_string(value) +
                        ", expected at least " + std::to_string(least));
    }
  }
}

/// pads such that the output has ceil(in / stride) elements; the odd one goes to the end, or to the
/// beginning.
void pad_to_same(Window& window, const Dims& x, bool odd_at_end) {
  for (size_t i = 0; i < window.kernel.size(); ++i) {
    const int64_t in = x[i + 2];
    if (in == kBatch) throw input_error("a spatial extent is the free batch");
    const int64_t out = (in + window.strides[i] - 1) / window.strides[i];
    const int64_t extent = window.dilations[i] * (window.kernel[i] - 1) + 1;
    const int64_t pads = std::max<int64_t>((out - 1) * window.strides[i] + extent - in, 0);
    window.pads_begin[i] = odd_at_end ? pads / 2 : pads - pads / 2;
    window.pads_end[i] = pads - window.pads_begin[i];
  }
}

/// The window attributes of a node that slides over x; an empty kernel means that the attribute must be
/// there.
Window read_window(NodeImport& node, const Dims& x, const Dims& kernel_of_weights) {
  if (x.size() < 3) throw input_error("input of shape " + to_string(x) + " has no spatial dimensions");
  const size_t spatial = x.size() - 2;
  Window w;
  const auto kernel = node.attributes.get_ints("kernel_shape");
  if (!kernel && kernel_of_weights.empty()) throw input_error("attribute 'kernel_shape' is missing");
  w.kernel = kernel.value_or(kernel_of_weights);
  w.strides = node.attributes.get_ints("strides").value_or(Dims(spatial, 1));
  w.dilations = node.attributes.get_ints("dilations").value_or(Dims(spatial, 1));
  const Dims pads = node.attributes.get_ints("pads").value_or(Dims(2 * spatial, 0));
  const std::string mode = node.attributes.get_string("auto_pad", "NOTSET");
  check_numbers(w.kernel, "kernel_shape", spatial, 1);
  check_numbers(w.strides, "strides", spatial, 1);
  check_numbers(w.dilations, "dilations", spatial, 1);
  check_numbers(pads, "pads", 2 * spatial, 0);
  const auto middle = pads.begin() + static_cast<std::ptrdiff_t>(spatial);
  w.pads_begin.assign(pads.begin(), middle);
  w.pads_end.assign(middle, pads.end());
  if (mode == "SAME_UPPER" || mode == "SAME_LOWER") {
    pad_to_same(w, x, mode == "SAME_UPPER");
  } else if (mode == "VALID") {
    w.pads_begin.assign(spatial, 0);
    w.pads_end.assign(spatial, 0);
  } else if (mode != "NOTSET" && !mode.empty()) {
    throw input_error("auto_pad '" + printable(mode) + "' is not known");
  }
  return w;
}

PoolAttrs read_pool(NodeImport& node) {
  PoolAttrs attrs;
  attrs.window = read_window(node, node.input(0, "X").shape, {});
  attrs.ceil_mode = node.attributes.get_flag("ceil_mode", false);
  return attrs;
}

}  // namespace

void import_conv(NodeImport& node) {
  Item& x = node.input(0, "X");
  Item& w = node.input(1, "W");
  if (w.shape.size() != x.shape.size()) {
    throw input_error("weights of shape " + to_string(w.shape) + " do not fit an input of shape " +
                      to_string(x.shape));
  }
  ConvAttrs attrs;
  const Dims kernel(w.shape.begin() + std::min<std::ptrdiff_t>(2, std::ssize(w.shape)), w.shape.end());
  attrs.window = read_window(node, x.shape, kernel);
  attrs.group = node.attributes.get_int("group", 1);
  node.emit(OpType::kConv, std::move(attrs), {&x, &w, node.optional_input(2)});
}

void import_max_pool(NodeImport& node) {
  // Concerns only the indices.
  node.attributes.ignore({"storage_order"});
  node.refuse_output(1, "Indices");
  PoolAttrs attrs = read_pool(node);
  node.emit(OpType::kMaxPool, std::move(attrs), {&node.input(0, "X")});
}

void import_average_pool(NodeImport& node) {
  PoolAttrs attrs = read_pool(node);
  attrs.count_include_pad = node.attributes.get_flag("count_include_pad", false);
  node.emit(OpType::kAveragePool, std::move(attrs), {&node.input(0, "X")});
}

void import_global_average_pool(NodeImport& node) {
  node.emit(OpType::kGlobalAveragePool, NoAttrs{}, {&node.input(0, "X")});
}

}  // namespace xdn::onnx_io
