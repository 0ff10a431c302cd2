#include "training/qdq.h"

#include <torch/torch.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "graph/op_kinds.h"
#include "pruning/coupling.h"

namespace xdn::training {
namespace {

constexpr double kMostBiasLevel = 0x7fffffff;
constexpr float kLeastShare = 1.0f / 16;

Error refusal(const std::string& why) { return input_error("cannot be trained: " + why); }

bool same_numbers(const Tensor& a, const Tensor& b) {
  return a.size() == b.size() &&
         std::equal(a.data<float>().begin(), a.data<float>().end(), b.data<float>().begin());
}

at::Tensor floats_of(const Tensor& tensor) {
  const auto numbers = tensor.data<float>();
  return at::tensor(at::ArrayRef<float>(numbers.data(), numbers.size())).reshape(tensor.dims());
}

/// Scale and zero point of the node: constants, one or one per channel.
struct Quant {
  const Tensor& scale;
  std::vector<int64_t> zero;
  int64_t axis = 0;  ///< 0 where there is one scale

  bool operator==(const Quant& other) const {
    return same_numbers(scale, other.scale) && zero == other.zero && axis == other.axis;
  }
};

Quant quant_of(const Graph& graph, const Node& node) {
  const ValueId scale = node.input(1), zero = node.input(2);
  if (!graph.is_constant(scale)) throw refusal("its scale is computed, expected a constant");
  if (zero != kNoValue && !graph.is_constant(zero))
    throw refusal("its zero point is computed, expected a constant");
  if (graph.constant(scale).dtype() != DType::kF32) {
    throw refusal("its scale is " + std::string(dtype_name(graph.constant(scale).dtype())) +
                  ", expected f32");
  }
  Quant quant{graph.constant(scale), {}, 0};
  for (const float s : quant.scale.data<float>()) {
    if (!(s > 0) || !std::isfinite(s)) throw refusal("its scale is not a positive number");
  }
  quant.zero.assign(static_cast<size_t>(quant.scale.size()), 0);
  if (zero != kNoValue) {
    if (graph.constant(zero).size() != quant.scale.size())
      throw refusal("has not a zero point for each scale");
    quant.zero = graph.constant(zero).to_ints();
  }
  if (quant.scale.size() > 1) {
    const auto rank = static_cast<int64_t>(graph.value(node.input(0)).shape.size());
    const int64_t axis = node.as<QuantizeAttrs>().axis;
    quant.axis = axis < 0 ? axis + rank : axis;
    const Dims& shape = graph.value(node.input(0)).shape;
    if (quant.axis < 0 || quant.axis >= rank || shape[static_cast<size_t>(quant.axis)] != quant.scale.size())
      throw refusal("has not a scale for each channel");
  }
  return quant;
}

LevelGrid grid_of(const Quant& quant, double lowest, double highest) {
  LevelGrid grid;
  grid.axis = quant.axis;
  grid.zero = at::tensor(at::ArrayRef<int64_t>(quant.zero), at::kLong);
  grid.low = lowest - grid.zero.to(at::kDouble);
  grid.high = highest - grid.zero.to(at::kDouble);
  return grid;
}

std::pair<double, double> range_of(DType dtype) {
  if (dtype == DType::kU8) return {0, 255};
  if (dtype == DType::kI8) return {-128, 127};
  throw refusal("rounds to " + std::string(dtype_name(dtype)) + ", expected u8 or i8");
}

at::Tensor product_of(const at::Tensor& a, const at::Tensor& b) {
  return at::mul(a.detach(), b.detach()).reshape(-1);
}

}  // namespace

bool is_qdq(OpType type) { return type == OpType::kQuantizeLinear || type == OpType::kDequantizeLinear; }

bool has_qdq(const Graph& graph) {
  return std::any_of(graph.order().begin(), graph.order().end(),
                     [&](NodeId id) { return is_qdq(graph.node(id).type); });
}

/// A linear layer that reads levels through DequantizeLinear, its weights' scale one or one per filter: nodes
/// and scales' roots.
struct Qdq::Linear {
  NodeId bias = kNoNode;  ///< its DequantizeLinear of 32 bits
  ValueId x_scale = kNoValue, w_scale = kNoValue;
};

Qdq::Qdq(const Graph& graph) : graph_(graph), users_(graph.users()) {
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    try {
      if (node.type == OpType::kQuantizeLinear) add_pair(id);
      if (node.type == OpType::kDequantizeLinear && !has(id)) {
        if (!graph.is_constant(node.input(0)))
          throw refusal("expected levels that a QuantizeLinear or a constant holds");
        add_constant(id);
      }
    } catch (Error& error) {
      throw error.in_layer(layer_name(graph, node));
    }
  }
  for (auto& [id, item] : nodes_) {
    if (item.rounds) item.inputs[1] = root(item.inputs[1]);
  }
  derive_bias_scales();
}

ValueId Qdq::root(ValueId scale) const {
  while (parents_.at(scale) != scale) scale = parents_.at(scale);
  return scale;
}

void Qdq::unite(ValueId a, ValueId b) {
  parents_.try_emplace(a, a);
  parents_.try_emplace(b, b);
  parents_[root(b)] = root(a);
}

/// The levels' real numbers that nodes which only move elements make the value of, or none.
ValueId Qdq::moved_from(ValueId id) const {
  while (graph_.value(id).producer != kNoNode) {
    const Node& node = graph_.node(graph_.value(id).producer);
    if (node.type == OpType::kDequantizeLinear) return graph_.is_constant(node.input(0)) ? kNoValue : id;
    if (!moves_elements(node)) return kNoValue;
    id = node.input(0);
  }
  return kNoValue;
}

void Qdq::pass(NodeId id) { nodes_[id] = {false, {graph_.node(id).input(0)}, {}}; }

/// A QuantizeLinear and its readers.
void Qdq::add_pair(NodeId id) {
  const Node& node = graph_.node(id);
  const Quant quant = quant_of(graph_, node);
  if (graph_.is_constant(node.input(0))) throw refusal("it rounds a constant, expected levels as a constant");
  const DType dtype = graph_.value(node.output).dtype;
  const auto [lowest, highest] = range_of(dtype);
  if (graph_.value(node.input(0)).dtype != DType::kF32)
    throw refusal("expected elements of f32, got " +
                  std::string(dtype_name(graph_.value(node.input(0)).dtype)));
  if (graph_.is_output(node.output)) throw refusal("its levels are an output of the model");
  parents_.try_emplace(node.input(1), node.input(1));
  for (const NodeId reader : users_[static_cast<size_t>(node.output)]) {
    const Node& back = graph_.node(reader);
    if (back.type != OpType::kDequantizeLinear)
      throw refusal("its levels are read by " + printable(layer_name(graph_, back)) +
                    ", expected DequantizeLinear");
    if (!(quant_of(graph_, back) == quant)) {
      throw refusal("its levels have another scale or zero point in " + printable(layer_name(graph_, back)));
    }
    unite(node.input(1), back.input(1));
    pass(reader);
  }
  if (const ValueId from = moved_from(node.input(0)); from != kNoValue && quant.scale.size() == 1) {
    const Node& back = graph_.node(graph_.value(from).producer);
    if (graph_.value(back.input(0)).dtype == dtype && quant_of(graph_, back) == quant) {
      unite(back.input(1), node.input(1));
      return pass(id);
    }
  }
  Item item{true, {node.input(0), node.input(1)}, grid_of(quant, lowest, highest)};
  item.grid.has_batch = true;
  nodes_[id] = std::move(item);
}

void Qdq::add_constant(NodeId id) {
  const Node& node = graph_.node(id);
  const Quant quant = quant_of(graph_, node);
  const Tensor& levels = graph_.constant(node.input(0));
  const auto [found, is_new] = levels_.emplace(node.input(0), id);
  parents_.try_emplace(node.input(1), node.input(1));
  Item item{true, {node.input(0), node.input(1)}, {}};
  if (levels.dtype() == DType::kI32) {
    item.grid = grid_of(quant, -kMostBiasLevel, kMostBiasLevel);
    item.grid.is_wide = true;
  } else {
    auto [lowest, highest] = range_of(levels.dtype());
    // As quantization writes them: -127 to 127.
    const std::vector<int64_t> all = levels.to_ints();
    const bool symmetric =
        std::all_of(quant.zero.begin(), quant.zero.end(), [](int64_t z) { return z == 0; });
    if (levels.dtype() == DType::kI8 && symmetric && std::find(all.begin(), all.end(), -128) == all.end())
      lowest = -127;
    item.grid = grid_of(quant, lowest, highest);
  }
  if (!is_new) {
    const Node& other = graph_.node(found->second);
    if (!(quant_of(graph_, other) == quant))
      throw refusal("its levels have another scale or zero point in " + printable(layer_name(graph_, other)));
    unite(other.input(1), node.input(1));
  }
  nodes_[id] = std::move(item);
}

std::optional<Qdq::Linear> Qdq::linear(NodeId id) const {
  const Node& node = graph_.node(id);
  if (!is_linear(node.type)) return std::nullopt;
  const auto producer = [&](size_t i) {
    const ValueId input = node.input(i);
    const NodeId from = input == kNoValue ? kNoNode : graph_.value(input).producer;
    return from != kNoNode && graph_.node(from).type == OpType::kDequantizeLinear ? from : kNoNode;
  };
  const NodeId x = producer(0), w = producer(1), b = producer(2);
  if (x == kNoNode || w == kNoNode || nodes_.at(x).rounds || !nodes_.at(w).rounds) return std::nullopt;
  Linear out;
  out.x_scale = root(graph_.node(x).input(1));
  out.w_scale = root(graph_.node(w).input(1));
  if (graph_.constant(out.x_scale).size() != 1) return std::nullopt;
  const LevelGrid& grid = nodes_.at(w).grid;
  if (grid.channels() != 1 && grid.axis != static_cast<int64_t>(pruning::filter_axis(node)))
    return std::nullopt;
  if (b != kNoNode && nodes_.at(b).rounds && nodes_.at(b).grid.is_wide) out.bias = b;
  return out;
}

void Qdq::derive_bias_scales() {
  // By the scale of biases: the two whose product it is; none where it is not, or of several layers.
  std::map<ValueId, std::optional<std::pair<ValueId, ValueId>>> products;
  for (const NodeId id : graph_.order()) {
    const auto layer = linear(id);
    if (!layer || layer->bias == kNoNode) continue;
    const ValueId scale = root(graph_.node(layer->bias).input(1));
    const auto pair = std::pair{layer->x_scale, layer->w_scale};
    const at::Tensor product =
        product_of(floats_of(graph_.constant(pair.first)), floats_of(graph_.constant(pair.second)));
    const at::Tensor own = floats_of(graph_.constant(scale)).reshape(-1);
    const bool fits = (product.numel() == 1 || product.numel() == own.numel()) &&
                      at::equal(product.expand({own.numel()}), own);
    const auto [found, is_new] = products.emplace(scale, fits ? std::optional(pair) : std::nullopt);
    if (!is_new && found->second != pair) found->second.reset();
  }
  for (auto& [id, item] : nodes_) {  // a scale that something else reads too stays
    if (item.rounds && !item.grid.is_wide) products.erase(item.inputs[1]);
  }
  for (auto& [id, item] : nodes_) {
    if (!item.rounds || !item.grid.is_wide) continue;
    const auto found = products.find(item.inputs[1]);
    if (found == products.end() || !found->second) continue;
    item.inputs = {item.inputs[0], found->second->first, found->second->second};
  }
}

std::set<ValueId> Qdq::tied_scales() const {
  std::set<ValueId> tied;
  for (const NodeId id : graph_.order()) {
    const Node& sum = graph_.node(id);
    const auto convolution = [&](ValueId value) -> std::optional<Linear> {
      if (value == kNoValue || graph_.value(value).producer == kNoNode) return std::nullopt;
      return graph_.node(graph_.value(value).producer).type == OpType::kConv
                 ? linear(graph_.value(value).producer)
                 : std::nullopt;
    };
    std::optional<Linear> a, b;
    if (sum.type == OpType::kAdd) {
      a = convolution(sum.input(0));
      b = convolution(sum.input(1));
    } else if (sum.type == OpType::kConv) {
      a = linear(id);
      b = convolution(sum.input(3));
    }
    if (!a || !b) continue;
    const auto product = [&](const Linear& layer) {
      return at::mul(floats_of(graph_.constant(layer.x_scale)).to(at::kDouble),
                     floats_of(graph_.constant(layer.w_scale)).to(at::kDouble))
          .reshape(-1);
    };
    // As far apart as the executor lets them be: docs/executor.md.
    if (!at::allclose(product(*a), product(*b), 1e-6, 0)) continue;
    tied.insert({a->x_scale, a->w_scale, b->x_scale, b->w_scale});
  }
  return tied;
}

at::Tensor Qdq::evaluate(NodeId id, const std::vector<at::Tensor>& inputs) const {
  const Item& item = nodes_.at(id);
  if (!item.rounds) return inputs[0];
  at::Tensor scale = inputs[1];
  if (item.inputs.size() == 3) scale = product_of(inputs[1], inputs[2]);
  return fake_quantize(inputs[0], item.grid.is_wide ? scale.detach() : scale, item.grid);
}

ValueId Qdq::stored(ValueId id) const {
  const NodeId producer = id == kNoValue ? kNoNode : graph_.value(id).producer;
  if (producer == kNoNode || graph_.node(producer).type != OpType::kDequantizeLinear) return id;
  const ValueId levels = graph_.node(producer).input(0);
  return graph_.is_constant(levels) ? levels : id;
}

std::map<ValueId, at::Tensor> Qdq::floats() const {
  std::map<ValueId, at::Tensor> all;
  for (const auto& [scale, parent] : parents_) all[scale] = floats_of(graph_.constant(scale));
  for (const auto& [constant, id] : levels_)
    all[constant] =
        from_levels(graph_.constant(constant), all.at(graph_.node(id).input(1)), nodes_.at(id).grid);
  return all;
}

std::vector<Qdq::Scale> Qdq::learnable(const std::set<ValueId>& trained) const {
  const std::set<ValueId> tied = tied_scales();
  std::map<ValueId, at::Tensor> shares;  // of the scale that the least is
  std::vector<ValueId> order;
  for (const NodeId id : graph_.order()) {
    const auto found = nodes_.find(id);
    if (found == nodes_.end() || !found->second.rounds || found->second.grid.is_wide) continue;
    const ValueId input = found->second.inputs[0], scale = found->second.inputs[1];
    if (tied.contains(scale) || (levels_.contains(input) && !trained.contains(input))) continue;
    const auto dims = graph_.constant(scale).dims();
    if (shares.emplace(scale, at::full(dims, kLeastShare)).second) order.push_back(scale);
  }
  for (const NodeId id : graph_.order()) {
    const auto layer = linear(id);
    if (!layer || layer->bias == kNoNode || !shares.contains(layer->w_scale)) continue;
    // With the input's scale at a sixteenth, too, levels stay at or below 2^30.
    const std::vector<int64_t> levels = graph_.constant(graph_.node(layer->bias).input(0)).to_ints();
    const at::Tensor needed =
        (at::tensor(at::ArrayRef<int64_t>(levels), at::kLong).abs().to(at::kFloat) / 0x1p26f).clamp_max(1);
    at::Tensor& share = shares.at(layer->w_scale);
    if (share.numel() == needed.numel()) {
      share = at::maximum(share, needed.reshape(share.sizes()));
    } else {
      share = at::maximum(share, needed.max());
    }
  }
  // Where that is more than a sixteenth, or the weights' scale is not learned, the input's must not shrink as
  // far.
  for (const NodeId id : graph_.order()) {
    const auto layer = linear(id);
    if (!layer || layer->bias == kNoNode || !shares.contains(layer->x_scale)) continue;
    const std::vector<int64_t> levels = graph_.constant(graph_.node(layer->bias).input(0)).to_ints();
    const auto found = shares.find(layer->w_scale);
    const at::Tensor of_weights = found == shares.end() ? at::ones({1}) : found->second.reshape(-1);
    const at::Tensor needed =
        (at::tensor(at::ArrayRef<int64_t>(levels), at::kLong).abs().to(at::kFloat) / of_weights / 0x1p30f)
            .clamp_max(1)
            .max();
    at::Tensor& share = shares.at(layer->x_scale);
    share = at::maximum(share, needed);
  }
  std::vector<Scale> scales;
  for (const ValueId scale : order)
    scales.push_back({scale, at::mul(shares.at(scale), floats_of(graph_.constant(scale)))});
  return scales;
}

void Qdq::write(Graph& graph, const std::vector<at::Tensor>& values) const {
  const auto put = [&](ValueId constant, const at::Tensor& scale) {
    const Tensor& before = graph_.constant(constant);
    const at::Tensor numbers = scale.detach().to(at::kCPU).reshape(-1).expand({before.size()}).contiguous();
    graph.value(constant).constant =
        Tensor::copy(DType::kF32, before.dims(), numbers.data_ptr<float>(), numbers.nbytes());
  };
  const auto value = [&](ValueId id) { return values[static_cast<size_t>(id)]; };
  for (const auto& [scale, parent] : parents_) put(scale, value(root(scale)));
  for (const auto& [constant, id] : levels_) {
    const Item& item = nodes_.at(id);
    at::Tensor scale = value(item.inputs[1]);
    if (item.inputs.size() == 3) {
      scale = product_of(value(item.inputs[1]), value(item.inputs[2]));
      const ValueId own = root(graph_.node(id).input(1));
      for (const auto& [member, parent] : parents_) {
        if (root(member) == own) put(member, scale);
      }
    }
    graph.value(constant).constant = to_levels(value(constant), scale, item.grid, graph_.constant(constant));
  }
}

}  // namespace xdn::training
