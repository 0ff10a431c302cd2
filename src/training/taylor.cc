#include "training/taylor.h"

#include <torch/torch.h>

#include <algorithm>
#include <cmath>

#include "base/cpu.h"
#include "base/error.h"
#include "base/thread_pool.h"
#include "graph/op_kinds.h"
#include "pruning/coupling.h"
#include "training/evaluation.h"
#include "training/loader.h"
#include "training/module.h"
#include "training/teaching.h"

namespace xdn::training {
namespace {

bool has_filters(const Graph& graph, const Node& node) {
  if (!is_linear(node.type) || !graph.is_constant(node.inputs[1])) return false;
  return node.type == OpType::kConv || graph.constant(node.inputs[1]).rank() == 2;
}

/// Every reader has constants of its own, so that a gradient is that of one gate; a Gemm's bias that is one
/// number is one per filter.
Graph with_own_constants(Graph graph) {
  const auto users = graph.users();
  for (const NodeId id : graph.order()) {
    const std::string layer = layer_name(graph, graph.node(id));
    for (size_t i = 0; i < graph.node(id).inputs.size(); ++i) {
      const ValueId input = graph.node(id).inputs[i];
      if (!graph.is_constant(input)) continue;
      const bool shared = users[static_cast<size_t>(input)].size() > 1 || graph.is_output(input);
      Tensor tensor = graph.constant(input);
      const Node& node = graph.node(id);
      const bool spread = node.type == OpType::kGemm && i == 2 && tensor.size() == 1 &&
                          has_filters(graph, node) && tensor.dtype() == DType::kF32;
      if (!shared && !spread) continue;
      if (spread) {
        const float value = tensor.data<float>()[0];
        tensor = Tensor(DType::kF32, {graph.constant(node.inputs[1]).dim(pruning::filter_axis(node))});
        for (float& x : tensor.mutable_data<float>()) x = value;
      }
      const std::string name = graph.unique_name(layer + ".own" + std::to_string(i));
      const ValueId own = graph.add_constant(name, std::move(tensor));
      graph.node(id).inputs[i] = own;
    }
  }
  return graph;
}

/// Finds the parameters that a gate scales.
class Gates {
 public:
  struct Part {
    at::Tensor parameter;
    int64_t axis;  ///< along which filters lie
  };
  struct Gate {
    std::string layer;
    int64_t filters;
    std::vector<Part> parts;
  };

  explicit Gates(const Module& module) : graph_(module.structure()), users_(graph_.users()) {
    parameters_.resize(graph_.value_count());
    for (const Parameter& p : module.parameters()) parameters_[static_cast<size_t>(p.constant)] = p.value;
    for (const NodeId id : graph_.order()) {
      const Node& node = graph_.node(id);
      if (has_filters(graph_, node)) add(node);
    }
    for (const Parameter& p : module.parameters()) at::Tensor(p.value).requires_grad_(false);
    for (const Gate& gate : gates_) {
      for (const Part& part : gate.parts) at::Tensor(part.parameter).requires_grad_(true);
    }
  }

  const std::vector<Gate>& all() const { return gates_; }

 private:
  const Node* only_reader(ValueId id, OpType type) const {
    const auto& readers = users_[static_cast<size_t>(id)];
    if (readers.size() != 1 || graph_.is_output(id)) return nullptr;
    return graph_.node(readers[0]).type == type ? &graph_.node(readers[0]) : nullptr;
  }
  bool trains(ValueId id) const { return id != kNoValue && parameters_[static_cast<size_t>(id)].defined(); }

  void add(const Node& node) {
    const auto axis = static_cast<int64_t>(pruning::filter_axis(node));
    Gate gate{layer_name(graph_, node), graph_.constant(node.inputs[1]).dim(static_cast<size_t>(axis)), {}};
    const bool fused = node.input(3) != kNoValue ||
                       (node.type == OpType::kConv && node.as<ConvAttrs>().act.kind != ActKind::kNone) ||
                       (node.type == OpType::kGemm && node.as<GemmAttrs>().act.kind != ActKind::kNone);
    const Node* norm = fused ? nullptr : only_reader(node.output, OpType::kBatchNorm);
    if (norm != nullptr && norm->inputs[0] == node.output) {
      add_norm(*norm, gate);
    } else {
      gate.parts.push_back({parameters_[static_cast<size_t>(node.inputs[1])], axis});
      add_vector(node.type == OpType::kMatMul ? kNoValue : node.input(2), gate);
    }
    gates_.push_back(std::move(gate));
  }

  /// Module gives the scale and bias of the Mul and Add behind to a BatchNorm that has none of its own.
  void add_norm(const Node& norm, Gate& gate) const {
    if (trains(norm.inputs[1])) {
      add_vector(norm.inputs[1], gate);
      add_vector(norm.inputs[2], gate);
      return;
    }
    const Node* mul = only_reader(norm.output, OpType::kMul);
    XDN_CHECK(mul != nullptr);
    add_vector(mul->inputs[mul->inputs[0] == norm.output ? 1 : 0], gate);
    const Node* add = only_reader(mul->output, OpType::kAdd);
    if (add != nullptr) add_vector(add->inputs[add->inputs[0] == mul->output ? 1 : 0], gate);
  }

  /// Numbers per filter, with axes of extent 1 around them; nothing where they are none that train.
  void add_vector(ValueId id, Gate& gate) const {
    if (!trains(id)) return;
    const at::Tensor& value = parameters_[static_cast<size_t>(id)];
    if (value.numel() != gate.filters) return;
    for (int64_t axis = 0; axis < value.dim(); ++axis) {
      if (value.size(axis) != gate.filters) continue;
      gate.parts.push_back({value, axis});
      return;
    }
  }

  const Graph& graph_;
  const std::vector<std::vector<NodeId>> users_;
  std::vector<at::Tensor> parameters_;  ///< by ValueId
  std::vector<Gate> gates_;
};

/// parameter * dL/dparameter, summed per filter.
at::Tensor gradient_of(const Gates::Part& part) {
  const at::Tensor product = part.parameter.detach() * part.parameter.grad();
  std::vector<int64_t> others;
  for (int64_t axis = 0; axis < product.dim(); ++axis) {
    if (axis != part.axis) others.push_back(axis);
  }
  return others.empty() ? product.to(at::kDouble) : product.sum(others, false, at::kDouble);
}

int64_t batches_for(int64_t images, int64_t batch, int64_t most) {
  return std::clamp<int64_t>(images / batch + (images % batch != 0 ? 1 : 0), 1, most);
}

}  // namespace

int64_t taylor_images(const ImageSet& data, const TrainOptions& options, int64_t images) {
  XDN_CHECK(data.size() > 0 && options.batch > 0);
  const int64_t batch = std::min(options.batch, data.size());
  return batch * batches_for(images, batch, data.size() / batch);
}

pruning::LayerScores taylor_scores(Graph graph, const Preprocess& preprocess, const ImageSet& data,
                                   const std::optional<Teacher>& teacher, const TrainOptions& options,
                                   int64_t images) {
  const FlushDenormals flush;
  const at::Device device = best_device();
  const at::ScalarType type = options.bf16 ? at::kBFloat16 : at::kFloat;
  Module module(with_own_constants(std::move(graph)));
  if (module.is_quantized()) {
    throw input_error("is quantized: what its filters are worth is measured on the float model");
  }
  check_logits(module);
  check_images(module, data, "training");
  at::set_num_threads(options.threads > 0 ? options.threads : available_cpus());
  module.move_to(device);
  module.set_training(false);
  module.set_compute_type(type);
  std::unique_ptr<TeacherModule> guide;
  if (teacher) guide = begin_teaching(*teacher, preprocess, module, data, options, device);

  const Gates gates(module);
  if (gates.all().empty())
    throw input_error("has no filters to score: no Conv, Gemm or MatMul has constant weights");
  std::vector<at::Tensor> sums;
  for (const auto& gate : gates.all())
    sums.push_back(at::zeros({gate.filters}, at::TensorOptions(at::kDouble).device(device)));
  Loader loader(data, preprocess,
                {.batch = options.batch,
                 .bf16 = options.bf16,
                 .seed = options.seed,
                 .augmentation = options.augmentation});
  const int64_t batches = batches_for(images, loader.batch(), loader.batches());
  loader.start(0);
  for (int64_t i = 0; i < batches; ++i) {
    const Batch* batch = loader.next();
    const at::Tensor x = image_tensor(batch->pixels, batch->size, data, type).to(device);
    const Module::Result result = module.forward(x);
    std::optional<Module::Result> taught;
    if (guide) taught = guide->forward(x);
    loss_of(result, taught ? &*taught : nullptr, label_tensor(batch->labels).to(device), options).backward();
    for (size_t g = 0; g < sums.size(); ++g) {
      at::Tensor gradient = at::zeros_like(sums[g]);
      for (const Gates::Part& part : gates.all()[g].parts) {
        if (part.parameter.grad().defined()) gradient += gradient_of(part);
      }
      sums[g] += gradient.square();
    }
    for (const Parameter& p : module.parameters()) at::Tensor(p.value).mutable_grad().reset();
  }

  pruning::LayerScores scores;
  for (size_t g = 0; g < sums.size(); ++g) {
    const at::Tensor mean = (sums[g] / static_cast<double>(batches)).cpu().contiguous();
    const double* values = mean.data_ptr<double>();
    std::vector<double>& layer = scores[gates.all()[g].layer];
    layer.assign(values, values + mean.numel());
    for (const double value : layer) {
      if (!std::isfinite(value)) throw failure("its gradient is not finite").in_layer(gates.all()[g].layer);
    }
  }
  return scores;
}

}  // namespace xdn::training
