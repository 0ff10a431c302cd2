// constants -> any operator  =>  constant
#include "base/error.h"
#include "executor/reference.h"
#include "fusion/affine.h"
#include "fusion/passes.h"

namespace xdn::fusion {
namespace {

constexpr int64_t kMostBytes = int64_t{64} << 20;
/// Seconds at most of the reference's arithmetic, even where a file asks for more.
constexpr double kMostWork = 0x1p28;

/// Elementary steps the reference would take, roughly.
double work(const Graph& graph, const Node& node, int64_t elements) {
  double out = static_cast<double>(elements);
  if (node.type == OpType::kConv) {
    for (size_t i = 1; i < graph.value(node.input(1)).shape.size(); ++i) {
      out *= static_cast<double>(graph.value(node.input(1)).shape[i]);
    }
  } else if (node.type == OpType::kGemm || node.type == OpType::kMatMul) {
    const Dims& a = graph.value(node.input(0)).shape;
    const bool transposed = node.type == OpType::kGemm && node.as<GemmAttrs>().trans_a;
    out *= static_cast<double>(transposed ? a.front() : a.back());
  } else if (node.type == OpType::kMaxPool || node.type == OpType::kAveragePool) {
    for (const int64_t extent : node.as<PoolAttrs>().window.kernel) out *= static_cast<double>(extent);
  } else if (node.type == OpType::kLrn) {
    const double size = static_cast<double>(node.as<LrnAttrs>().size);
    for (size_t i = 2; i <= graph.value(node.output).shape.size(); ++i) out *= size;
  }
  return out;
}

bool all_constant(const Graph& graph, const Node& node) {
  bool any = false;
  for (const ValueId input : node.inputs) {
    if (input == kNoValue) continue;
    if (!graph.is_constant(input)) return false;
    any = true;
  }
  return any;
}

bool is_small(const Graph& graph, const Node& node) {
  const Value& out = graph.value(node.output);
  const int64_t elements = element_count(out.shape, dtype_size(out.dtype));
  return elements * static_cast<int64_t>(dtype_size(out.dtype)) <= kMostBytes &&
         work(graph, node, elements) <= kMostWork;
}

}  // namespace

int fold_constants(Graph& graph) {
  int rewrites = 0;
  const std::vector<NodeId> order = graph.order();
  for (const NodeId id : order) {
    const Node& node = graph.node(id);
    // A dequantized weight stays as it is, or int8 models would lose their integers.
    if (node.type == OpType::kDequantizeLinear || graph.is_output(node.output)) continue;
    if (!all_constant(graph, node) || !is_small(graph, node)) continue;
    std::vector<const Tensor*> inputs;
    for (const ValueId input : node.inputs)
      inputs.push_back(input == kNoValue ? nullptr : &graph.constant(input));
    Tensor result;
    try {
      result = evaluate_node(node, inputs);
    } catch (const Error&) {
      continue;  // a type the reference does not compute; whoever runs the graph reports it
    }
    Value& value = graph.value(node.output);
    value.producer = kNoNode;
    value.dtype = result.dtype();
    value.shape = result.dims();
    value.constant = std::move(result);
    graph.erase(id);
    ++rewrites;
  }
  return rewrites;
}

}  // namespace xdn::fusion
