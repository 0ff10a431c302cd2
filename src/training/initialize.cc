#include "training/initialize.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "graph/op_kinds.h"
#include "training/random.h"

namespace xdn::training {
namespace {

class Initializer {
 public:
  Initializer(Graph& graph, uint64_t seed)
      : graph_(graph), seed_(seed), behind_learned_(graph.value_count(), false) {}

  void run() {
    for (const NodeId id : graph_.order()) {
      const Node& node = graph_.node(id);
      visit(node);
      behind_learned_[static_cast<size_t>(node.output)] =
          is_linear(node.type) || node.type == OpType::kBatchNorm ||
          std::any_of(node.inputs.begin(), node.inputs.end(),
                      [&](ValueId input) { return is_behind(input); });
    }
  }

 private:
  bool is_behind(ValueId id) const { return id != kNoValue && behind_learned_[static_cast<size_t>(id)]; }

  void visit(const Node& node) {
    switch (node.type) {
      case OpType::kConv: {
        const Dims w = graph_.value(node.inputs[1]).shape;
        const int64_t taps = element_count(Dims(w.begin() + 2, w.end()));
        const auto fan_out = static_cast<double>(w[0] / node.as<ConvAttrs>().group * taps);
        Random random = next();
        set(node.inputs[1], [&] { return random.normal() * std::sqrt(2 / fan_out); });
        fill(node.input(2), 0);
        break;
      }
      case OpType::kGemm:
      case OpType::kMatMul: {
        const size_t weights = graph_.is_constant(node.inputs[1]) ? 1 : 0;
        const double bound = 1 / std::sqrt(static_cast<double>(inputs_of(node, weights)));
        Random random = next();
        set(node.inputs[weights], [&] { return (2 * random.uniform() - 1) * bound; });
        fill(node.input(2), 0);
        break;
      }
      case OpType::kBatchNorm:
        fill(node.inputs[1], 1);
        fill(node.inputs[2], 0);
        fill(node.inputs[3], 0);
        fill(node.inputs[4], 1);
        break;
      case OpType::kPRelu:
        fill(node.inputs[1], 0.25);
        break;
      case OpType::kMul:
      case OpType::kDiv:
        fill_per_channel(node, 1);
        break;
      case OpType::kAdd:
      case OpType::kSub:
        fill_per_channel(node, 0);
        break;
      case OpType::kQuantizeLinear:
      case OpType::kDequantizeLinear:
        throw input_error("is quantized: what has forgotten its weights has no ranges to be quantized by")
            .in_layer(layer_name(graph_, node));
      default:
        break;
    }
  }

  /// How many products a sum has, by the operand that holds the weights.
  int64_t inputs_of(const Node& node, size_t weights) const {
    const Dims& w = graph_.value(node.inputs[weights]).shape;
    if (w.size() < 2) return element_count(w);
    bool transposed = false;
    if (node.type == OpType::kGemm) {
      const GemmAttrs& attrs = node.as<GemmAttrs>();
      transposed = weights == 0 ? attrs.trans_a : attrs.trans_b;
    }
    return (weights == 0) == transposed ? w[w.size() - 2] : w[w.size() - 1];
  }

  /// What a Scale layer holds; not an image's normalisation, which stands before all that learns.
  void fill_per_channel(const Node& node, double value) {
    for (size_t i = 0; i < 2; ++i) {
      const ValueId constant = node.inputs[i], x = node.inputs[1 - i];
      if (!graph_.is_constant(constant) || graph_.is_constant(x)) continue;
      if (graph_.constant(constant).size() > 1 && is_behind(x)) fill(constant, value);
    }
  }

  Random next() { return Random(seed_, 0, tensors_++); }

  void fill(ValueId id, double value) {
    set(id, [&] { return value; });
  }

  template <typename Next>
  void set(ValueId id, Next next_value) {
    if (id == kNoValue || !graph_.is_constant(id)) return;
    const Tensor& old = graph_.constant(id);
    if (old.dtype() != DType::kF32) return;
    Tensor tensor(DType::kF32, old.dims());
    for (float& x : tensor.mutable_data<float>()) x = static_cast<float>(next_value());
    graph_.value(id).constant = std::move(tensor);
  }

  Graph& graph_;
  const uint64_t seed_;
  std::vector<bool> behind_learned_;  ///< by value: a linear layer or a BatchNorm computes it or comes before
  uint64_t tensors_ = 0;
};

}  // namespace

void initialize(Graph& graph, uint64_t seed) { Initializer(graph, seed).run(); }

}  // namespace xdn::training
