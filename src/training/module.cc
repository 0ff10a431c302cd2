#include "training/module.h"

#include <torch/torch.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "base/error.h"
#include "graph/op_kinds.h"
#include "training/module_ops.h"

namespace xdn::training {
namespace {

bool is_affine(OpType type) {
  return type == OpType::kAdd || type == OpType::kSub || type == OpType::kMul || type == OpType::kDiv;
}

bool all_equal(const Tensor& tensor, float expected) {
  const auto values = tensor.data<float>();
  return std::all_of(values.begin(), values.end(), [&](float value) { return value == expected; });
}

/// What the node applies to its own sum.
ActKind act_of(const Node& node) {
  if (node.type == OpType::kConv) return node.as<ConvAttrs>().act.kind;
  if (node.type == OpType::kGemm) return node.as<GemmAttrs>().act.kind;
  return ActKind::kNone;
}

/// The result is memory of its own, which no backward pass reads.
bool is_scratch(const Node& node) {
  const bool fresh = is_linear(node.type) || node.type == OpType::kBatchNorm || node.type == OpType::kAdd ||
                     node.type == OpType::kSub;
  return fresh && act_of(node) == ActKind::kNone;
}

at::Tensor channels_last(const at::Tensor& tensor) {
  return tensor.dim() == 4 ? tensor.contiguous(at::MemoryFormat::ChannelsLast) : tensor.contiguous();
}

void refuse_what_cannot_learn(const Graph& graph) {
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    try {
      if (is_qdq(node.type)) continue;  // Qdq's
      if (!has_gradient(node.type)) {
        throw input_error("cannot be trained: " + std::string(op_info(node.type).name) +
                          " has no gradient here");
      }
      for (const ValueId input : node.inputs) {
        if (input == kNoValue || graph.value(input).dtype == DType::kF32) continue;
        throw input_error("cannot be trained: expected elements of f32, got " +
                          std::string(dtype_name(graph.value(input).dtype)));
      }
      if (node.type == OpType::kBatchNorm) {
        for (size_t i = 1; i < node.inputs.size(); ++i) {
          if (!graph.is_constant(node.inputs[i]))
            throw input_error("cannot be trained: scale, bias, mean and variance must be constants");
        }
      }
    } catch (Error& error) {
      throw error.in_layer(layer_name(graph, node));
    }
  }
}

}  // namespace

at::Tensor to_torch(const Tensor& tensor) {
  at::Tensor out = at::empty(tensor.dims(), at::kFloat);
  const auto values = tensor.data<float>();
  if (!values.empty()) std::memcpy(out.data_ptr<float>(), values.data(), values.size_bytes());
  return out;
}

Tensor from_torch(const at::Tensor& tensor) {
  const at::Tensor dense = tensor.detach().to(at::kCPU, at::kFloat).contiguous();
  return Tensor::copy(DType::kF32, dense.sizes().vec(), dense.data_ptr<float>(), dense.nbytes());
}

Module::Module(Graph graph, bool learn_scales) : graph_(std::move(graph)) {
  if (graph_.inputs().size() != 1) {
    throw input_error("has " + std::to_string(graph_.inputs().size()) +
                      " inputs, expected one that takes images");
  }
  if (graph_.value(graph_.inputs()[0]).dtype != DType::kF32) {
    throw input_error("takes " + std::string(dtype_name(graph_.value(graph_.inputs()[0]).dtype)) +
                      ", expected a float model");
  }
  refuse_what_cannot_learn(graph_);
  qdq_.emplace(graph_);
  unshare_statistics();
  users_ = graph_.users();
  merge_affine();
  collect_constants();
  if (learn_scales) collect_scales();
  if (parameters_.empty()) throw input_error("has no weights to train");
  find_results();
  output_plan_ = plan(graph_.outputs());
  training_plan_ =
      plan(feature_value_ == kNoValue ? std::vector{logits_} : std::vector{logits_, feature_value_});
}

void Module::unshare_statistics() {
  const auto users = graph_.users();
  for (const NodeId id : graph_.order()) {
    if (graph_.node(id).type != OpType::kBatchNorm) continue;
    for (const size_t i : {size_t{3}, size_t{4}}) {
      const ValueId shared = graph_.node(id).inputs[i];
      if (users[static_cast<size_t>(shared)].size() == 1 && !graph_.is_output(shared)) continue;
      const std::string name =
          graph_.unique_name(layer_name(graph_, graph_.node(id)) + (i == 3 ? ".mean" : ".var"));
      graph_.node(id).inputs[i] = graph_.add_constant(name, graph_.constant(shared));
    }
  }
}

bool Module::per_channel(ValueId constant, ValueId of) const {
  if (!graph_.is_constant(constant)) return false;
  const Dims &dims = graph_.constant(constant).dims(), &shape = graph_.value(of).shape;
  if (shape.size() < 2 || dims.size() + 1 < shape.size() || dims.size() > shape.size()) return false;
  const size_t channel = dims.size() + 1 - shape.size();
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    if (dims[axis] != (axis == channel ? shape[1] : 1)) return false;
  }
  return true;
}

void Module::merge_affine() {
  affine_.resize(static_cast<size_t>(
      graph_.order().empty() ? 0 : *std::max_element(graph_.order().begin(), graph_.order().end()) + 1));
  taken_in_.resize(affine_.size());
  const auto only_reader = [&](ValueId id, OpType type) {
    const auto& readers = users_[static_cast<size_t>(id)];
    if (readers.size() != 1 || graph_.is_output(id)) return kNoNode;
    return graph_.node(readers[0]).type == type ? readers[0] : kNoNode;
  };
  const auto other_input = [&](NodeId id, ValueId x) {
    const Node& node = graph_.node(id);
    return node.inputs[node.inputs[0] == x ? 1 : 0];
  };
  for (const NodeId id : graph_.order()) {
    const Node& norm = graph_.node(id);
    if (norm.type != OpType::kBatchNorm || !all_equal(graph_.constant(norm.inputs[1]), 1) ||
        !all_equal(graph_.constant(norm.inputs[2]), 0)) {
      continue;
    }
    const NodeId mul = only_reader(norm.output, OpType::kMul);
    if (mul == kNoNode) continue;
    const ValueId scale = other_input(mul, norm.output);
    if (!per_channel(scale, norm.output)) continue;
    Affine affine{mul, scale, kNoValue};
    taken_in_[static_cast<size_t>(mul)] = true;
    const ValueId scaled = graph_.node(mul).output;
    if (const NodeId add = only_reader(scaled, OpType::kAdd); add != kNoNode) {
      if (const ValueId bias = other_input(add, scaled); per_channel(bias, scaled)) {
        affine.last = add;
        affine.bias = bias;
        taken_in_[static_cast<size_t>(add)] = true;
      }
    }
    affine_[static_cast<size_t>(id)] = affine;
  }
}

bool Module::follows_linear(ValueId id) const {
  while (true) {
    const NodeId producer = graph_.value(id).producer;
    if (producer == kNoNode) return false;
    const Node& node = graph_.node(producer);
    if (is_linear(node.type) || node.type == OpType::kBatchNorm) return true;
    if (!is_affine(node.type)) return false;
    const bool first = graph_.is_constant(node.inputs[0]);
    if (first == graph_.is_constant(node.inputs[1])) return false;
    id = node.inputs[first ? 1 : 0];
  }
}

void Module::add_parameter(ValueId id, bool decays) {
  id = qdq_->stored(id);
  if (!graph_.is_constant(id)) return;
  at::Tensor& value = values_[static_cast<size_t>(id)];
  if (value.requires_grad()) return;
  value = channels_last(value).requires_grad_();
  parameters_.push_back({id, graph_.value(id).name, value, decays});
}

void Module::collect_constants() {
  values_.resize(graph_.value_count());
  for (const auto& [id, floats] : qdq_->floats()) values_[static_cast<size_t>(id)] = floats;
  for (const NodeId id : graph_.order()) {
    if (is_qdq(graph_.node(id).type)) continue;
    for (const ValueId input : graph_.node(id).inputs) {
      if (graph_.is_constant(input)) values_[static_cast<size_t>(input)] = to_torch(graph_.constant(input));
    }
  }
  for (const NodeId id : graph_.order()) {
    const Node& node = graph_.node(id);
    const auto input = [&](size_t i) { return node.input(i); };
    if (node.type == OpType::kConv || node.type == OpType::kGemm) {
      if (node.type == OpType::kGemm) add_parameter(input(0), true);
      add_parameter(input(1), true);
      add_parameter(input(2), false);
    } else if (node.type == OpType::kMatMul) {
      add_parameter(input(0), true);
      add_parameter(input(1), true);
    } else if (node.type == OpType::kPRelu) {
      add_parameter(input(1), false);
    } else if (node.type == OpType::kBatchNorm) {
      const Affine& affine = affine_[static_cast<size_t>(id)];
      const bool merged = affine.last != kNoNode;
      add_parameter(merged ? affine.scale : input(1), false);
      add_parameter(merged ? affine.bias : input(2), false);
      for (const size_t i : {size_t{3}, size_t{4}}) {
        statistics_.push_back(
            {input(i), graph_.value(input(i)).name, values_[static_cast<size_t>(input(i))]});
      }
    } else if (is_affine(node.type) && !taken_in_[static_cast<size_t>(id)]) {
      for (const size_t i : {size_t{0}, size_t{1}}) {
        const ValueId x = input(1 - i);
        const bool trains = per_channel(input(i), x) && graph_.constant(input(i)).size() > 1 &&
                            follows_linear(x) && !(node.type == OpType::kDiv && i == 0);
        if (trains) add_parameter(input(i), false);
      }
    }
  }
}

void Module::collect_scales() {
  std::set<ValueId> trained;
  for (const Parameter& parameter : parameters_) trained.insert(parameter.constant);
  for (const Qdq::Scale& scale : qdq_->learnable(trained)) {
    add_parameter(scale.constant, false);  // unless it is one already
    for (Parameter& parameter : parameters_) {
      if (parameter.constant == scale.constant) parameter.lowest = scale.lowest;
    }
  }
}

void Module::find_results() {
  logits_ = graph_.outputs().at(0);
  if (const NodeId last = graph_.value(logits_).producer;
      last != kNoNode && graph_.node(last).type == OpType::kSoftmax) {
    logits_ = graph_.node(last).inputs[0];
  }
  const Dims& shape = graph_.value(logits_).shape;
  if (shape.size() < 2 || shape[0] != kBatch) {
    throw input_error("has an output of shape " + to_string(shape) + ", expected logits [N,classes]");
  }
  classes_ = element_count(Dims(shape.begin() + 1, shape.end()));
  for (ValueId id = logits_; graph_.value(id).producer != kNoNode;) {
    const Node& node = graph_.node(graph_.value(id).producer);
    const ValueId x = graph_.is_constant(node.inputs[0]) ? node.input(1) : node.inputs[0];
    if (node.type == OpType::kGemm || node.type == OpType::kMatMul) {
      const Dims& dims = graph_.value(x).shape;
      if (x != kNoValue && !graph_.is_constant(x) && !dims.empty() && dims[0] == kBatch) {
        feature_value_ = x;
        feature_width_ = element_count(Dims(dims.begin() + 1, dims.end()));
      }
      return;
    }
    const bool passes = is_affine(node.type)
                            ? graph_.is_constant(node.inputs[0]) != graph_.is_constant(node.inputs[1])
                            : node.type == OpType::kReshape || node.type == OpType::kFlatten ||
                                  node.type == OpType::kIdentity || node.type == OpType::kBatchNorm ||
                                  is_qdq(node.type);
    if (!passes) return;
    id = x;
  }
}

Module::Plan Module::plan(std::vector<ValueId> wanted) const {
  std::vector<bool> needed(graph_.value_count());
  for (const ValueId id : wanted) needed[static_cast<size_t>(id)] = true;
  const auto is_wanted = [&](ValueId id) {
    return std::find(wanted.begin(), wanted.end(), id) != wanted.end();
  };
  Plan plan;
  const auto& order = graph_.order();
  for (size_t at = order.size(); at-- > 0;) {
    const NodeId id = order[at];
    if (taken_in_[static_cast<size_t>(id)]) continue;
    const Node& node = graph_.node(id);
    const Affine& affine = affine_[static_cast<size_t>(id)];
    Step step;
    step.node = id;
    step.inputs = qdq_->has(id) ? qdq_->inputs(id) : node.inputs;
    step.output = node.output;
    if (affine.last != kNoNode) {
      step.output = graph_.node(affine.last).output;
      step.inputs[1] = affine.scale;
      step.inputs[2] = affine.bias;
    }
    if (!needed[static_cast<size_t>(step.output)]) continue;
    for (const ValueId input : step.inputs) {
      if (input == kNoValue) continue;
      if (!needed[static_cast<size_t>(input)] && !graph_.is_constant(input)) step.release.push_back(input);
      needed[static_cast<size_t>(input)] = true;
    }
    if (node.type == OpType::kRelu && users_[static_cast<size_t>(node.inputs[0])].size() == 1 &&
        !is_wanted(node.inputs[0])) {
      const NodeId producer = graph_.value(node.inputs[0]).producer;
      step.in_place = producer != kNoNode && is_scratch(graph_.node(producer));
    }
    plan.steps.push_back(std::move(step));
  }
  std::reverse(plan.steps.begin(), plan.steps.end());
  plan.wanted = std::move(wanted);
  return plan;
}

at::Tensor Module::evaluate(const Step& step, std::vector<at::Tensor>& values) {
  const Node& node = graph_.node(step.node);
  std::vector<at::Tensor> inputs;
  for (const ValueId id : step.inputs) {
    inputs.push_back(id == kNoValue ? at::Tensor() : values[static_cast<size_t>(id)]);
  }
  for (const ValueId id : step.release) values[static_cast<size_t>(id)].reset();
  if (qdq_->has(step.node)) return qdq_->evaluate(step.node, inputs);
  if (node.type != OpType::kBatchNorm) return evaluate_op(node, inputs, step.in_place);
  const at::Tensor scale = inputs[1].reshape(-1);
  const at::Tensor bias = inputs[2].defined() ? inputs[2].reshape(-1) : at::zeros_like(scale);
  return at::batch_norm(inputs[0], scale, bias, inputs[3], inputs[4], training_, momentum_,
                        node.as<BatchNormAttrs>().epsilon, true);
}

std::vector<at::Tensor> Module::run(const Plan& plan, const at::Tensor& images) {
  std::vector<at::Tensor> values = values_;
  values[static_cast<size_t>(graph_.inputs()[0])] = images.to(compute_);
  for (const Step& step : plan.steps) {
    try {
      values[static_cast<size_t>(step.output)] = evaluate(step, values);
    } catch (Error& error) {
      throw error.in_layer(layer_name(graph_, graph_.node(step.node)));
    }
  }
  std::vector<at::Tensor> results;
  for (const ValueId id : plan.wanted) results.push_back(values[static_cast<size_t>(id)].to(at::kFloat));
  return results;
}

Module::Result Module::forward(const at::Tensor& images) {
  const std::vector<at::Tensor> results = run(training_plan_, images);
  Result result;
  result.logits = results[0].flatten(1);
  if (results.size() > 1) result.features = results[1].flatten(1);
  return result;
}

std::vector<at::Tensor> Module::outputs(const at::Tensor& images) { return run(output_plan_, images); }

void Module::move_to(const at::Device& device) {
  const at::NoGradGuard no_grad;
  for (at::Tensor& value : values_) {
    if (!value.defined() || value.device() == device) continue;
    const bool trains = value.requires_grad();
    value = value.detach().to(device).requires_grad_(trains);
  }
  for (Parameter& parameter : parameters_) {
    parameter.value = values_[static_cast<size_t>(parameter.constant)];
    if (parameter.lowest.defined()) parameter.lowest = parameter.lowest.to(device);
  }
  for (Statistic& statistic : statistics_) statistic.value = values_[static_cast<size_t>(statistic.constant)];
}

Graph Module::graph() const {
  Graph graph = graph_;
  for (const Parameter& p : parameters_) {
    if (!qdq_->owns(p.constant)) graph.value(p.constant).constant = from_torch(p.value);
  }
  qdq_->write(graph, values_);
  for (const Statistic& s : statistics_) graph.value(s.constant).constant = from_torch(s.value);
  return graph;
}

}  // namespace xdn::training
