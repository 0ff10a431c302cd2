#include "executor/reference.h"

#include "executor/reference_internal.h"

namespace xdn {
namespace {

Tensor evaluate(const Evaluation& e) {
  switch (e.node.type) {
    case OpType::kConv:
      return evaluate_conv(e);
    case OpType::kGemm:
      return evaluate_gemm(e);
    case OpType::kMatMul:
      return evaluate_matmul(e);
    case OpType::kBatchNorm:
      return evaluate_batch_norm(e);
    case OpType::kRelu:
    case OpType::kLeakyRelu:
    case OpType::kClip:
    case OpType::kSigmoid:
    case OpType::kHardSigmoid:
    case OpType::kHardSwish:
      return evaluate_unary(e);
    case OpType::kPRelu:
    case OpType::kAdd:
    case OpType::kSub:
    case OpType::kMul:
    case OpType::kDiv:
    case OpType::kMax:
      return evaluate_binary(e);
    case OpType::kPow:
      return evaluate_pow(e);
    case OpType::kMaxPool:
    case OpType::kAveragePool:
    case OpType::kGlobalAveragePool:
      return evaluate_pool(e);
    case OpType::kReduceMean:
      return evaluate_reduce_mean(e);
    case OpType::kReshape:
      return evaluate_reshape(e);
    case OpType::kFlatten:
      return evaluate_flatten(e);
    case OpType::kTranspose:
      return evaluate_transpose(e);
    case OpType::kConcat:
      return evaluate_concat(e);
    case OpType::kSlice:
      return evaluate_slice(e);
    case OpType::kPad:
      return evaluate_pad(e);
    case OpType::kGather:
      return evaluate_gather(e);
    case OpType::kCast:
      return e.input(0).converted(e.node.as<CastAttrs>().to);
    case OpType::kIdentity:
      return e.input(0);
    case OpType::kSoftmax:
      return evaluate_softmax(e);
    case OpType::kLrn:
      return evaluate_lrn(e);
    case OpType::kQuantizeLinear:
      return evaluate_quantize(e);
    case OpType::kDequantizeLinear:
      return evaluate_dequantize(e);
  }
  check_failed("a known operator", __FILE__, __LINE__);
}

/// The actual input fits the declared one; the batch is the same for all inputs.
void check_input(const Value& declared, const Tensor& actual, int64_t& batch) {
  const auto fail = [&](const std::string& expected, const std::string& got) {
    return input_error("input '" + printable(declared.name) + "': expected " + expected + ", got " + got);
  };
  if (actual.dtype() != declared.dtype) {
    throw fail("type " + std::string(dtype_name(declared.dtype)), std::string(dtype_name(actual.dtype())));
  }
  bool fits = actual.rank() == declared.shape.size();
  for (size_t i = 0; fits && i < actual.rank(); ++i) {
    if (declared.shape[i] != kBatch) {
      fits = actual.dim(i) == declared.shape[i];
    } else if (batch == kBatch) {
      batch = actual.dim(i);
    } else if (batch != actual.dim(i)) {
      throw fail("a batch of " + std::to_string(batch) + " as in the other inputs",
                 std::to_string(actual.dim(i)));
    }
  }
  if (!fits) throw fail("shape " + to_string(declared.shape), to_string(actual.dims()));
}

}  // namespace

Tensor evaluate_node(const Node& node, std::span<const Tensor* const> inputs) {
  try {
    return evaluate({node, inputs});
  } catch (Error& error) {
    error.in_layer(node.name);
    throw;
  }
}

std::vector<Tensor> run_reference(const Graph& graph, std::span<const Tensor> inputs,
                                  std::map<std::string, Tensor>* values) {
  if (inputs.size() != graph.inputs().size()) {
    throw input_error("expected " + std::to_string(graph.inputs().size()) + " inputs, got " +
                      std::to_string(inputs.size()));
  }
  std::vector<std::optional<Tensor>> known(graph.value_count());
  int64_t batch = kBatch;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const ValueId id = graph.inputs()[i];
    check_input(graph.value(id), inputs[i], batch);
    known[static_cast<size_t>(id)] = inputs[i];
  }

  std::vector<size_t> readers_left(graph.value_count(), 0);
  for (const NodeId id : graph.order()) {
    for (const ValueId input : graph.node(id).inputs) {
      if (input != kNoValue) ++readers_left[static_cast<size_t>(input)];
    }
  }
  for (const ValueId id : graph.outputs()) ++readers_left[static_cast<size_t>(id)];

  const auto find = [&](ValueId id) -> const Tensor* {
    if (id == kNoValue) return nullptr;
    if (graph.is_constant(id)) return &graph.constant(id);
    XDN_CHECK(known[static_cast<size_t>(id)].has_value());
    return &*known[static_cast<size_t>(id)];
  };
  std::vector<const Tensor*> arguments;
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    arguments.clear();
    for (const ValueId input : node.inputs) arguments.push_back(find(input));
    Tensor result = evaluate_node(node, arguments);
    if (values != nullptr) values->insert_or_assign(graph.value(node.output).name, result);
    for (const ValueId input : node.inputs) {
      if (input != kNoValue && --readers_left[static_cast<size_t>(input)] == 0)
        known[static_cast<size_t>(input)].reset();
    }
    if (readers_left[static_cast<size_t>(node.output)] != 0)
      known[static_cast<size_t>(node.output)] = std::move(result);
  }

  std::vector<Tensor> results;
  for (const ValueId id : graph.outputs()) results.push_back(*find(id));
  return results;
}

}  // namespace xdn
