#pragma once

#include <torch/types.h>

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "training/qdq.h"

namespace xdn::training {

/// What a trainer changes: a constant of the graph.
struct Parameter {
  ValueId constant = kNoValue;
  std::string name;     ///< of the constant
  at::Tensor value;     ///< f32, a leaf that requires its gradient; 4-D ones lie channels last
  bool decays = false;  ///< weights of Conv, Gemm and MatMul; neither biases nor what belongs to a BatchNorm
  at::Tensor lowest = {};  ///< what its elements stay at or above, of its shape; undefined: nothing
};

/// A BatchNorm's running mean or variance.
struct Statistic {
  ValueId constant = kNoValue;
  std::string name;
  at::Tensor value;  ///< f32
};

/// A Graph that learns: its nodes in order, each by libtorch's own operators, and back to a Graph.
///
/// Parameters are the constant weights and biases of Conv, Gemm and MatMul, scale and bias of BatchNorm,
/// slopes of PRelu, and per-channel constants that Add, Sub, Mul or Div apply right behind these. All other
/// constants (scalars, normalisation of the input) stay as they are. A BatchNorm of unit scale and zero bias
/// that is followed by Mul and Add per channel, as Caffe writes it, is one BatchNorm with the parameters of
/// these two.
///
/// In a graph with QuantizeLinear and DequantizeLinear, parameters of quantized layers are float copies of
/// what their levels stand for, rounded anew in every pass, as activations are; see qdq.h and fake_quant.h.
class Module {
 public:
  /// learn_scales: scales of activations and weights are parameters, too.
  /// Throws an input error naming the layer for what cannot be trained: other element types than f32,
  /// operators without a gradient here, a BatchNorm whose inputs are computed, levels whose scale is
  /// computed; and for a graph without parameters, or that has not one image input.
  explicit Module(Graph graph, bool learn_scales = false);
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  /// Training mode: BatchNorm normalises by the batch, and moves its statistics.
  void set_training(bool training) { training_ = training; }
  /// running = (1 - momentum) * running + momentum * batch
  void set_momentum(double momentum) { momentum_ = momentum; }
  /// Activations, and copies of the weights of Conv, Gemm and MatMul, are of this type: kFloat or kBFloat16.
  /// Parameters, statistics and results stay f32; so does all of a quantized graph, whose levels bf16 would
  /// move.
  void set_compute_type(at::ScalarType type) { compute_ = is_quantized() ? at::kFloat : type; }
  void move_to(const at::Device& device);

  struct Result {
    at::Tensor logits;    ///< f32 [n, classes]: the first output, before a Softmax that ends the model
    at::Tensor features;  ///< f32 [n, features()]: what the last Gemm or MatMul reads; undefined without one
  };
  Result forward(const at::Tensor& images);
  /// All of the graph's outputs as they are, f32.
  std::vector<at::Tensor> outputs(const at::Tensor& images);

  /// The graph as it was given, but for the statistics' own constants.
  const Graph& structure() const { return graph_; }
  int64_t classes() const { return classes_; }
  int64_t features() const { return feature_width_; }  ///< 0: none
  bool is_quantized() const { return !qdq_->empty(); }
  bool has_batchnorm() const { return !statistics_.empty(); }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  const std::vector<Statistic>& statistics() const { return statistics_; }

  /// The graph with the current parameters and statistics. Without training it computes the same to the bit;
  /// it is the same graph, unless one constant served two BatchNorms as a statistic: each then has its own.
  /// Quantized layers have levels again.
  Graph graph() const;

 private:
  struct Step {
    NodeId node = kNoNode;
    std::vector<ValueId> inputs;
    ValueId output = kNoValue;
    bool in_place = false;         ///< may overwrite its input, which nobody else reads or keeps
    std::vector<ValueId> release;  ///< values that nobody reads after this step
  };
  struct Plan {
    std::vector<Step> steps;
    std::vector<ValueId> wanted;
  };

  void unshare_statistics();
  void merge_affine();
  void collect_constants();
  void collect_scales();
  void find_results();
  bool follows_linear(ValueId id) const;
  bool per_channel(ValueId constant, ValueId of) const;
  void add_parameter(ValueId id, bool decays);
  Plan plan(std::vector<ValueId> wanted) const;
  std::vector<at::Tensor> run(const Plan& plan, const at::Tensor& images);
  at::Tensor evaluate(const Step& step, std::vector<at::Tensor>& values);

  Graph graph_;
  std::optional<Qdq> qdq_;
  std::vector<std::vector<NodeId>> users_;
  /// Of a BatchNorm: the nodes behind it that it has taken in.
  struct Affine {
    NodeId last = kNoNode;
    ValueId scale = kNoValue, bias = kNoValue;  ///< kNoValue: 0
  };
  std::vector<Affine> affine_;      ///< by NodeId
  std::vector<bool> taken_in_;      ///< by NodeId
  std::vector<at::Tensor> values_;  ///< by ValueId: constants
  std::vector<Parameter> parameters_;
  std::vector<Statistic> statistics_;
  ValueId logits_ = kNoValue, feature_value_ = kNoValue;
  int64_t classes_ = 0, feature_width_ = 0;
  Plan training_plan_, output_plan_;
  bool training_ = false;
  double momentum_ = 0.1;
  at::ScalarType compute_ = at::kFloat;
};

/// f32, whatever its memory order there.
at::Tensor to_torch(const Tensor& tensor);
Tensor from_torch(const at::Tensor& tensor);

}  // namespace xdn::training
