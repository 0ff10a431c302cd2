#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "executor/lower.h"
#include "executor/simple_steps.h"

namespace xdn {

/// One lowering in progress. Each lower_* makes the node's destination buffer and its step, or returns null
/// where the node is not of a form that has a fast kernel. lower.cc walks the graph; the other lower_*.cc
/// know the operators.
class Lowering {
 public:
  Lowering(Graph& graph, const LowerOptions& options)
      : graph_(graph),
        options_(options),
        table_(*options.table),
        plan_(std::make_unique<Plan>()),
        places_(graph.value_count()),
        users_(graph.users()) {
    for (const NodeId id : graph.order())
      done_.resize(std::max(done_.size(), static_cast<size_t>(id) + 1), false);
    find_bf16_values();
  }

  std::unique_ptr<Plan> run();

 private:
  /// Where a value lies. A quantized one's numbers are (level - zero) * scale, its levels u8 (s8 shifted by
  /// 128).
  struct Place {
    BufferId buffer = -1;
    std::optional<QuantScale> quant;
    std::map<Elem, BufferId> converted;
  };
  /// What follows a linear node up to where its result is stored.
  struct Chain {
    Activation act;                    ///< before the middle rounding, or the only one
    std::optional<QuantScale> middle;  ///< rounding that the file asks for before a residual is added
    ValueId joined = kNoValue;  ///< a waiting convolution's result that enters the sums, before all of these
    ValueId residual = kNoValue;
    Activation last_act;  ///< after middle and residual
    ValueId end = kNoValue;
    std::optional<QuantScale> quant;  ///< of the end; none: a float
    std::vector<NodeId> absorbed;
  };

  void check_value(const Value& value, const std::string& layer) const;
  BufferId make_buffer(const Dims& shape, Elem elem = Elem::kF32);
  const Buffer& buffer(BufferId id) const { return plan_->buffer(id); }
  Place& place(ValueId id) { return places_[static_cast<size_t>(id)]; }
  const Place& place(ValueId id) const { return places_[static_cast<size_t>(id)]; }
  bool placed(ValueId id) const { return place(id).buffer >= 0; }
  bool quantized(ValueId id) const { return placed(id) && place(id).quant.has_value(); }
  void define(ValueId id, BufferId buffer, std::optional<QuantScale> quant = {}) {
    place(id) = {buffer, quant, {}};
  }
  /// The value as f32 or bf16, converted by a step of its own where it lies otherwise.
  BufferId floats_of(ValueId id, Elem elem = Elem::kF32);
  /// Whether the layer is to run in bf16, and what the factors of its products are: bf16 where words of two
  /// channels are whole.
  bool asks_bf16(const Node& node) const;
  Elem factor_elem(const Node& node) const;
  void find_bf16_values();
  bool passes_bf16(const Node& node) const;
  /// How a float step should store the value: as bf16 where every reader would round it to bf16 first.
  Elem store_elem(ValueId id) const;
  void add(std::unique_ptr<Step> step, const Node& node);
  /// The step that fills spec.dst, which becomes `value`'s place. spec says where the image lies in it.
  void add_input(IngestSpec spec, std::optional<QuantScale> quant, ValueId value);
  void lower_input();
  void lower_node(const Node& node);
  /// Notes where the value lies if somebody wants to see it.
  void observe(ValueId id);
  std::vector<std::vector<ValueId>> last_uses() const;
  std::unique_ptr<Step> try_fast(const Node& node);

  /// Quantized weights of a linear node as s8 levels [oc, the rest], with a scale per output channel.
  struct Levels {
    std::vector<int8_t> levels;
    std::vector<float> scale;
  };
  std::unique_ptr<Step> lower_conv(const Node& node);
  std::unique_ptr<Step> lower_gemm(const Node& node);
  /// A convolution or matrix product: what both lowerings need.
  struct Linear {
    DenseSpec spec;  ///< geometry only
    ValueId src = kNoValue, weights = kNoValue, bias = kNoValue, residual = kNoValue;
    int64_t oc = 0;
    bool transposed = false;  ///< weights are [k, oc]
    float alpha = 1, beta = 1;
    Activation act;
    std::optional<Levels> levels;  ///< where it runs in integers
  };
  std::optional<Linear> linear_of_conv(const Node& node) const;
  LayerLayout layout_of(const Node& node) const;
  /// Whether the convolution can wait for its only reader, a float convolution that adds its result.
  bool joins_reader(const Node& node) const;
  bool joins_sum(const Node& node) const;
  bool wait(const Node& node);
  void append_operand(DenseSpec& spec, Linear linear, Elem elem);
  std::unique_ptr<Step> lower_linear(const Node& node, Linear linear);
  std::unique_ptr<Step> lower_float_linear(const Node& node, Linear linear);
  bool store_as_levels(const Node& node, DenseSpec& spec);
  std::unique_ptr<Step> lower_int_linear(const Node& node, Linear linear);
  bool take_levels(Linear& linear);
  bool waits_in_integers(ValueId id) const;
  std::string why_apart(const Linear& a, const Linear& b) const;
  std::unique_ptr<Step> lower_sums(Linear linear, const Linear* joined, const Chain& chain);
  void release(ValueId id);
  std::unique_ptr<Step> make_linear(const DenseSpec& spec);
  /// Feeds the input, as `elem`, to a first convolution as an image with its border. False: it takes no
  /// image.
  bool read_image(const Node& conv, ValueId value, Elem elem, std::optional<QuantScale> quant);
  std::unique_ptr<Step> lower_batchnorm(const Node& node);

  std::optional<Levels> levels_of(ValueId weights, int64_t oc, bool transposed, std::string& refused) const;
  std::optional<QuantScale> scalar_quant(const Node& node) const;
  Chain follow(const Node& node, Activation act, ValueId residual);
  bool joins_residual(const Node& add, ValueId chain_value, ValueId& other) const;
  bool joins_waiting(const Node& add, ValueId chain_value, ValueId& other) const;
  void absorb(const Chain& chain);
  void define_levels(ValueId id, BufferId buffer, QuantScale quant);
  bool lower_quantize(const Node& node);
  bool lower_dequantize(const Node& node);
  std::unique_ptr<Step> lower_quantized_add(const Node& node);
  std::unique_ptr<Step> lower_quantized_unary(const Node& node, kernels::UnaryKind kind, float a, float b);

  std::unique_ptr<Step> lower_unary(const Node& node, kernels::UnaryKind kind, float a = 0, float b = 0);
  std::unique_ptr<Step> lower_binary(const Node& node, kernels::BinaryKind kind);
  std::unique_ptr<Step> lower_gate(const Node& node, kernels::BinaryKind kind);
  std::unique_ptr<Step> lower_softmax(const Node& node);
  std::unique_ptr<Step> lower_max_pool(const Node& node);
  std::unique_ptr<Step> lower_average(const Node& node);
  void copy_levels_or_floats(const Node& node, CopyBox& box);
  std::unique_ptr<Step> lower_slice(const Node& node);
  std::unique_ptr<Step> lower_pad(const Node& node);
  std::unique_ptr<Step> lower_reshape(const Node& node);
  bool lower_concat(const Node& node);
  std::unique_ptr<Step> lower_fallback(const Node& node);

  /// A constant, or a DequantizeLinear of one: its values as f32.
  bool known(ValueId id) const;
  const Tensor& known_tensor(ValueId id);
  std::vector<float> known_floats(ValueId id);
  bool on_map(ValueId id) const { return graph_.value(id).shape.size() == 4; }
  /// Elements lie in one row per image: Reshape and Flatten change nothing.
  bool one_row(ValueId id) const {
    const Dims& d = shape(id);
    return d.size() != 4 || d[2] * d[3] == 1;
  }
  const Dims& shape(ValueId id) const { return graph_.value(id).shape; }
  const std::vector<NodeId>& readers(ValueId id) const { return users_[static_cast<size_t>(id)]; }
  /// The only reader of a value that is no output of the graph, or null.
  const Node* only_reader(ValueId id) const;
  void finish();

  Graph& graph_;
  const LowerOptions& options_;
  const kernels::KernelTable& table_;
  std::unique_ptr<Plan> plan_;
  std::vector<Place> places_;  ///< by value
  std::vector<std::vector<NodeId>> users_;
  std::vector<bool> done_;         ///< by node: absorbed into an earlier node's step
  std::vector<bool> bf16_values_;  ///< by value: only bf16 layers read it
  std::map<ValueId, Tensor> folded_;
  /// Convolutions that wait for the one whose accumulation they join, by result; their weights (floats here,
  /// or linear.levels) are held, since the graph's are released.
  struct Waiting {
    const Node* node;
    Linear linear;
    Tensor weights;
  };
  std::map<ValueId, Waiting> waiting_;
  ValueId input_ = kNoValue;
  std::string refused_;  ///< of the node in work
};

}  // namespace xdn
