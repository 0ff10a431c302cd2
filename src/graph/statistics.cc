#include <algorithm>

#include "graph/infer_internal.h"
#include "graph/window.h"

namespace xdn {
namespace {

int64_t multiply(int64_t a, int64_t b) {
  int64_t out;
  infer::require(!__builtin_mul_overflow(a, b, &out),
                 [] { return std::string("the number of multiply-accumulates does not fit in 63 bits"); });
  return out;
}

void add_to(int64_t& sum, int64_t term) {
  infer::require(!__builtin_add_overflow(sum, term, &sum),
                 [] { return std::string("the number of multiply-accumulates does not fit in 63 bits"); });
}

/// The product of extents, the free batch counting as one image.
int64_t elements_per_image(const Dims& dims) {
  int64_t out = 1;
  for (const int64_t extent : dims) out = multiply(out, extent == kBatch ? 1 : extent);
  return out;
}

/// Axis 0 is images; taps that hit are separable, so they are counted per axis.
void conv_cost(const Graph& graph, const Node& node, NodeCost& cost) {
  const Window& window = node.as<ConvAttrs>().window;
  const Dims &x = graph.value(node.input(0)).shape, &w = graph.value(node.input(1)).shape;
  const Dims& out = graph.value(node.output).shape;
  cost.macs = cost.macs_effective = multiply(w[0], w[1]);
  for (size_t i = 0; i < window.kernel.size(); ++i) {
    const int64_t extent = out[i + 2];
    int64_t hits = 0;
    for (int64_t tap = 0; tap < window.kernel[i]; ++tap) {
      hits += tap_range(tap, x[i + 2], extent, window.strides[i], window.dilations[i], window.pads_begin[i])
                  .count();
    }
    cost.macs = multiply(cost.macs, multiply(extent, window.kernel[i]));
    cost.macs_effective = multiply(cost.macs_effective, hits);
  }
}

int64_t constant_elements(const Graph& graph, ValueId id) {
  return graph.is_constant(id) ? graph.constant(id).size() : 0;
}

bool all_equal(const Tensor& tensor, double wanted) {
  for (int64_t i = 0; i < tensor.size(); ++i) {
    if (tensor.as_double(i) != wanted) return false;
  }
  return true;
}

/// Elements of input i that training learns. BatchNorm's mean and variance are measured; a scale of ones and
/// a bias of zeros stand for none (Caffe's BatchNorm has neither, a Scale layer after it learns them).
int64_t parameter_count(const Graph& graph, const Node& node, size_t i) {
  const ValueId id = node.inputs[i];
  const int64_t elements = constant_elements(graph, id);
  if (node.type != OpType::kBatchNorm || elements == 0) return elements;
  if (i >= 3) return 0;
  return all_equal(graph.constant(id), i == 1 ? 1.0 : 0.0) ? 0 : elements;
}

}  // namespace

NodeCost node_cost(const Graph& graph, const Node& node) {
  NodeCost cost;
  try {
    if (node.type == OpType::kConv) {
      conv_cost(graph, node, cost);
    } else if (node.type == OpType::kGemm || node.type == OpType::kMatMul) {
      const Dims& a = graph.value(node.input(0)).shape;
      const bool transposed = node.type == OpType::kGemm && node.as<GemmAttrs>().trans_a;
      const int64_t depth = transposed ? a.front() : a.back();
      cost.macs = multiply(elements_per_image(graph.value(node.output).shape), depth);
      cost.macs_effective = cost.macs;
    }
  } catch (Error& error) {
    throw error.in_layer(layer_name(graph, node));
  }
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const auto end = node.inputs.begin() + static_cast<std::ptrdiff_t>(i);
    if (std::find(node.inputs.begin(), end, node.inputs[i]) == end)
      cost.parameters += parameter_count(graph, node, i);
  }
  return cost;
}

NodeCost graph_cost(const Graph& graph) {
  NodeCost sum;
  std::vector<bool> counted(graph.value_count(), false);
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    const NodeCost cost = node_cost(graph, node);
    add_to(sum.macs, cost.macs);
    add_to(sum.macs_effective, cost.macs_effective);
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId input = node.inputs[i];
      if (input == kNoValue || counted[static_cast<size_t>(input)]) continue;
      const int64_t elements = parameter_count(graph, node, i);
      counted[static_cast<size_t>(input)] = elements != 0;
      add_to(sum.parameters, elements);
    }
  }
  return sum;
}

}  // namespace xdn
