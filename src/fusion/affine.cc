#include "fusion/affine.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <span>
#include <type_traits>

namespace xdn::fusion {

std::vector<int> use_counts(const Graph& graph) {
  std::vector<int> out(graph.value_count(), 0);
  for (const NodeId id : graph.order()) {
    for (const ValueId input : graph.node(id).inputs) {
      if (input != kNoValue) ++out[static_cast<size_t>(input)];
    }
  }
  for (const ValueId id : graph.outputs()) ++out[static_cast<size_t>(id)];
  return out;
}

NodeId producer_of_type(const Graph& graph, ValueId value, OpType type) {
  if (value == kNoValue) return kNoNode;
  const NodeId id = graph.value(value).producer;
  return id != kNoNode && graph.node(id).alive && graph.node(id).type == type ? id : kNoNode;
}

bool bypass(Graph& graph, NodeId node, ValueId x) {
  const ValueId y = graph.output_of(node);
  const bool x_has_a_name_to_keep = graph.value(x).producer == kNoNode || graph.is_output(x);
  if (graph.is_output(y) && x_has_a_name_to_keep) return false;
  graph.replace_uses(y, x);
  graph.erase(node);
  return true;
}

NodeId add_typed_node(Graph& graph, OpType type, OpAttrs attrs, const std::string& name,
                      std::vector<ValueId> inputs, const std::string& output_name, NodeId before) {
  const NodeId id = graph.add_node(type, std::move(attrs), name, std::move(inputs), output_name, before);
  ValueType known = infer_node(graph, graph.node(id));
  Value& out = graph.value(graph.output_of(id));
  out.dtype = known.dtype;
  out.shape = std::move(known.shape);
  return id;
}

void drop_absent_inputs(Node& node) {
  while (!node.inputs.empty() && node.inputs.back() == kNoValue) node.inputs.pop_back();
}

bool is_foldable_type(DType dtype) { return dtype == DType::kF32 || dtype == DType::kF64; }

std::vector<double> to_doubles(const Tensor& tensor) {
  std::vector<double> out(static_cast<size_t>(tensor.size()));
  for (size_t i = 0; i < out.size(); ++i) out[i] = tensor.as_double(static_cast<int64_t>(i));
  return out;
}

std::optional<Tensor> to_tensor(DType dtype, const std::vector<double>& values) {
  Tensor out(dtype, {static_cast<int64_t>(values.size())});
  const bool single = dtype == DType::kF32;
  for (size_t i = 0; i < values.size(); ++i) {
    const double limit =
        single ? static_cast<double>(std::numeric_limits<float>::max()) : std::numeric_limits<double>::max();
    if (!(std::abs(values[i]) <= limit)) return std::nullopt;
    if (single) {
      out.mutable_data<float>()[i] = static_cast<float>(values[i]);
    } else {
      out.mutable_data<double>()[i] = values[i];
    }
  }
  return out;
}

namespace {

bool all_finite(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
}

/// A constant that broadcasts to `shape` along axis 1 only, one number per channel.
std::optional<std::vector<double>> per_channel(const Graph& graph, ValueId id, const Dims& shape) {
  if (!graph.is_constant(id) || !is_foldable_type(graph.value(id).dtype)) return std::nullopt;
  const Tensor& tensor = graph.constant(id);
  if (tensor.rank() > shape.size()) return std::nullopt;
  for (size_t i = 0; i < tensor.rank(); ++i) {
    const size_t axis = shape.size() - tensor.rank() + i;
    if (tensor.dim(i) != 1 && (axis != 1 || tensor.dim(i) != shape[1])) return std::nullopt;
  }
  std::vector<double> out = to_doubles(tensor);
  if (out.size() == 1) out.assign(static_cast<size_t>(shape[1]), out[0]);
  return out;
}

std::optional<Affine> batchnorm_affine(const Graph& graph, const Node& node) {
  for (size_t i = 1; i < 5; ++i) {
    if (!graph.is_constant(node.input(i)) || !is_foldable_type(graph.value(node.input(i)).dtype))
      return std::nullopt;
  }
  const auto scale = to_doubles(graph.constant(node.input(1))),
             bias = to_doubles(graph.constant(node.input(2)));
  const auto mean = to_doubles(graph.constant(node.input(3))),
             variance = to_doubles(graph.constant(node.input(4)));
  const double epsilon = static_cast<double>(node.as<BatchNormAttrs>().epsilon);
  Affine out{node.input(0), scale, bias};
  for (size_t c = 0; c < scale.size(); ++c) {
    out.scale[c] = scale[c] / std::sqrt(variance[c] + epsilon);
    out.shift[c] = bias[c] - mean[c] * out.scale[c];
  }
  return out;
}

std::optional<Affine> binary_affine(const Graph& graph, const Node& node) {
  const bool constant_first = graph.is_constant(node.input(0));
  const ValueId x = node.input(constant_first ? 1 : 0), c = node.input(constant_first ? 0 : 1);
  const Dims& shape = graph.value(x).shape;
  if (shape.size() < 2 || shape[1] < 1) return std::nullopt;
  if (constant_first && node.type == OpType::kDiv) return std::nullopt;
  auto values = per_channel(graph, c, shape);
  if (!values) return std::nullopt;
  Affine out{x, {}, {}};
  if (node.type == OpType::kMul || node.type == OpType::kDiv) {
    out.scale = std::move(*values);
    out.shift.assign(out.scale.size(), 0);
    if (node.type == OpType::kDiv) {
      for (double& v : out.scale) v = 1 / v;
    }
  } else {
    out.shift = std::move(*values);
    const bool negative = node.type == OpType::kSub && constant_first;
    out.scale.assign(out.shift.size(), negative ? -1 : 1);
    if (node.type == OpType::kSub && !constant_first) {
      for (double& v : out.shift) v = -v;
    }
  }
  return out;
}

/// Where the factor of an element of a weight tensor stands among the channels'.
struct ChannelOrder {
  bool last_axis;  ///< channels lie along the last of two axes; else along axis 0
};

/// What weight times factor is: in double, rounded once.
template <class T>
T times(T weight, double factor) {
  return static_cast<T>(static_cast<double>(weight) * factor);
}

/// Calls run(elements, scale[c]) for every run of elements of one channel c.
template <class T, class Run>
void for_each_run(std::span<T> weights, const std::vector<double>& scale, ChannelOrder order, Run run) {
  const size_t length = order.last_axis ? 1 : weights.size() / scale.size();
  for (size_t i = 0, c = 0; i < weights.size(); i += length, c = (c + 1) % scale.size()) {
    run(weights.subspan(i, length), scale[c]);
  }
}

/// The largest magnitude's bits: infinities come after all numbers, NaNs after infinities.
template <class T>
T largest_magnitude(std::span<const T> values) {
  using Bits = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;
  Bits largest = 0;
  for (const T value : values) {
    const Bits bits = std::bit_cast<Bits>(value) & std::numeric_limits<Bits>::max();
    largest = bits > largest ? bits : largest;
  }
  return std::bit_cast<T>(largest);
}

/// Whether all weights times their channel's factor are numbers of their type.
bool can_scale(const Tensor& weights, const std::vector<double>& scale, ChannelOrder order) {
  const auto check = [&]<class T>() {
    bool finite = true;
    // Rounding keeps order: where the largest of a run fits, all do.
    for_each_run(weights.data<T>(), scale, order, [&](std::span<const T> run, double factor) {
      finite = finite && std::isfinite(times(largest_magnitude(run), factor));
    });
    return finite;
  };
  return weights.dtype() == DType::kF32 ? check.template operator()<float>()
                                        : check.template operator()<double>();
}

void scale_in_place(Tensor& weights, const std::vector<double>& scale, ChannelOrder order) {
  const auto scale_all = [&]<class T>() {
    for_each_run(weights.mutable_data<T>(), scale, order, [](std::span<T> run, double factor) {
      for (T& weight : run) weight = times(weight, factor);
    });
  };
  if (weights.dtype() == DType::kF32) {
    scale_all.template operator()<float>();
  } else {
    scale_all.template operator()<double>();
  }
}

}  // namespace

std::optional<std::vector<double>> bias_of(const Graph& graph, const Node& node, size_t channels,
                                           double beta) {
  std::vector<double> out(channels, 0);
  if (node.input(2) == kNoValue) return out;
  if (!graph.is_constant(node.input(2))) return std::nullopt;
  const Tensor& bias = graph.constant(node.input(2));
  for (size_t i = 0; i + 1 < bias.rank(); ++i) {
    if (bias.dim(i) != 1) return std::nullopt;
  }
  for (size_t c = 0; c < channels; ++c)
    out[c] = beta * bias.as_double(bias.size() == 1 ? 0 : static_cast<int64_t>(c));
  return out;
}

std::optional<Affine> affine_of(const Graph& graph, const Node& node) {
  std::optional<Affine> out;
  switch (node.type) {
    case OpType::kBatchNorm:
      out = batchnorm_affine(graph, node);
      break;
    case OpType::kAdd:
    case OpType::kSub:
    case OpType::kMul:
    case OpType::kDiv:
      out = binary_affine(graph, node);
      break;
    default:
      break;
  }
  if (out && !(all_finite(out->scale) && all_finite(out->shift))) out.reset();
  return out;
}

void set_constant(Graph& graph, NodeId node, size_t i, Tensor tensor, const std::string& name) {
  std::vector<ValueId>& inputs = graph.node(node).inputs;
  if (inputs.size() <= i) inputs.resize(i + 1, kNoValue);
  const ValueId old = inputs[i];
  if (old == kNoValue) {
    inputs[i] = graph.add_constant(name, std::move(tensor));
  } else if (use_counts(graph)[static_cast<size_t>(old)] > 1) {
    const ValueId fresh = graph.add_constant(graph.value(old).name, std::move(tensor));
    graph.node(node).inputs[i] = fresh;
  } else {
    Value& value = graph.value(old);
    value.dtype = tensor.dtype();
    value.shape = tensor.dims();
    value.constant = std::move(tensor);
  }
}

Tensor& own_constant(Graph& graph, NodeId node, size_t i) {
  const ValueId shared = graph.node(node).inputs[i];
  if (use_counts(graph)[static_cast<size_t>(shared)] > 1) {
    graph.node(node).inputs[i] = graph.add_constant(graph.value(shared).name, graph.constant(shared));
  }
  return *graph.value(graph.node(node).inputs[i]).constant;
}

bool fold_affine(Graph& graph, NodeId id, const Affine& affine) {
  const Node& node = graph.node(id);
  const bool is_conv = node.type == OpType::kConv;
  if (!is_conv && node.type != OpType::kGemm) return false;
  const Activation& act = is_conv ? node.as<ConvAttrs>().act : node.as<GemmAttrs>().act;
  if (act.kind != ActKind::kNone || !graph.is_constant(node.input(1))) return false;
  const Tensor& weights = graph.constant(node.input(1));
  if (!is_foldable_type(weights.dtype())) return false;

  const bool rescales =
      std::any_of(affine.scale.begin(), affine.scale.end(), [](double v) { return v != 1; });
  if (rescales && is_conv && node.input(3) != kNoValue) return false;
  const size_t channels = affine.scale.size();
  auto bias = bias_of(graph, node, channels, is_conv ? 1.0 : static_cast<double>(node.as<GemmAttrs>().beta));
  if (!bias) return false;
  for (size_t c = 0; c < channels; ++c) (*bias)[c] = (*bias)[c] * affine.scale[c] + affine.shift[c];
  auto new_bias = to_tensor(weights.dtype(), *bias);
  if (!new_bias) return false;
  if (rescales) {
    const ChannelOrder order{!is_conv && !node.as<GemmAttrs>().trans_b};
    if (!can_scale(weights, affine.scale, order)) return false;
    scale_in_place(own_constant(graph, id, 1), affine.scale, order);
  }
  set_constant(graph, id, 2, std::move(*new_bias), graph.value(graph.output_of(id)).name + ".bias");
  if (!is_conv) graph.node(id).as<GemmAttrs>().beta = 1;
  return true;
}

int fold_into_producers(Graph& graph, std::initializer_list<OpType> types) {
  int rewrites = 0;
  std::vector<int> uses = use_counts(graph);
  const std::vector<NodeId> order = graph.order();
  for (const NodeId id : order) {
    const Node& node = graph.node(id);
    if (std::find(types.begin(), types.end(), node.type) == types.end()) continue;
    const std::optional<Affine> affine = affine_of(graph, node);
    if (!affine || uses[static_cast<size_t>(affine->x)] != 1) continue;
    const NodeId producer = graph.value(affine->x).producer;
    if (producer == kNoNode || !fold_affine(graph, producer, *affine)) continue;
    graph.replace_uses(graph.output_of(id), affine->x);
    graph.erase(id);
    uses = use_counts(graph);
    ++rewrites;
  }
  return rewrites;
}

}  // namespace xdn::fusion
