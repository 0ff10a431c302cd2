#include "formats/onnx/node_import.h"

#include <algorithm>

#include "base/error.h"
#include "xdn_onnx.pb.h"

namespace xdn::onnx_io {

NodeImport::NodeImport(ImportState& state, const onnx::NodeProto& node)
    : attributes(node), state_(state), node_(node) {}

size_t NodeImport::input_count() const { return static_cast<size_t>(node_.input_size()); }
size_t NodeImport::output_count() const { return static_cast<size_t>(node_.output_size()); }

bool NodeImport::has_input(size_t i) const {
  return i < input_count() && !node_.input(static_cast<int>(i)).empty();
}

Item& NodeImport::input(size_t i, const char* name) {
  if (!has_input(i)) {
    throw input_error("input " + std::to_string(i) + " (" + name + ") is missing");
  }
  return state_.find(node_.input(static_cast<int>(i)));
}

Item* NodeImport::optional_input(size_t i) {
  return has_input(i) ? &state_.find(node_.input(static_cast<int>(i))) : nullptr;
}

const Tensor& NodeImport::constant_input(size_t i, const char* name) {
  Item& item = input(i, name);
  if (!state_.is_constant(item)) {
    throw input_error("input " + std::to_string(i) + " (" + name + ") must be a constant");
  }
  return state_.graph.constant(state_.materialize(item));
}

SymTensor NodeImport::shape_input(size_t i, const char* name) {
  Item& item = input(i, name);
  const std::string what = "input " + std::to_string(i) + " (" + name + ")";
  if (!item.ints || item.dtype == DType::kBool) {
    throw input_error(what + " must be integers known when the model is loaded");
  }
  if (item.shape.size() > 1) {
    throw input_error(what + " has shape " + to_string(item.shape) + ", expected a vector");
  }
  return *item.ints;
}

Dims NodeImport::int_input(size_t i, const char* name) {
  const SymTensor ints = shape_input(i, name);
  if (!ints.is_known()) {
    throw input_error("input " + std::to_string(i) + " (" + name + ") is " + to_string(ints) +
                      ", which depends on the batch size");
  }
  Dims values;
  for (const SymInt& e : ints.elements) values.push_back(e.value);
  return values;
}

std::string NodeImport::output_name(size_t i) const {
  return i < output_count() ? node_.output(static_cast<int>(i)) : std::string();
}

bool NodeImport::is_output_used(size_t i) const {
  const std::string name = output_name(i);
  return !name.empty() && state_.is_used(name);
}

void NodeImport::refuse_output(size_t i, const char* name) const {
  if (is_output_used(i)) {
    throw input_error("output " + std::to_string(i) + " (" + name + ") is not supported");
  }
}

std::optional<SymTensor> NodeImport::evaluate(OpType type, const OpAttrs& attrs,
                                              const std::vector<Item*>& inputs) const {
  std::vector<const SymTensor*> operands;
  for (const Item* item : inputs) {
    if (item == nullptr || !item->ints) return std::nullopt;
    operands.push_back(&*item->ints);
  }
  return evaluate_sym(type, attrs, operands);
}

std::optional<Tensor> NodeImport::fold(OpType type, const OpAttrs& attrs,
                                       const std::vector<Item*>& inputs) const {
  if (inputs.size() != 1 || !state_.is_constant(*inputs[0])) return std::nullopt;
  const Tensor& x = state_.graph.constant(state_.materialize(*inputs[0]));
  if (type == OpType::kCast) return x.converted(std::get<CastAttrs>(attrs).to);
  if (type != OpType::kReshape) return std::nullopt;
  const Dims& shape = std::get<ReshapeAttrs>(attrs).shape;
  const bool fits =
      std::find(shape.begin(), shape.end(), kBatch) == shape.end() && element_count(shape) == x.size();
  if (!fits) throw input_error("cannot reshape " + to_string(x.dims()) + " to " + to_string(shape));
  return x.reshaped(shape);
}

ValueId NodeImport::add_node(OpType type, OpAttrs attrs, const std::vector<Item*>& inputs,
                             const std::string& node_name, const std::string& value_name) {
  std::vector<ValueId> ids;
  for (Item* item : inputs) ids.push_back(item == nullptr ? kNoValue : state_.materialize(*item));
  while (!ids.empty() && ids.back() == kNoValue) ids.pop_back();
  Graph& graph = state_.graph;
  const NodeId id = graph.add_node(type, std::move(attrs), node_name, std::move(ids), value_name);
  const ValueType inferred = infer_node(graph, graph.node(id));
  Value& value = graph.value(graph.output_of(id));
  value.dtype = inferred.dtype;
  value.shape = inferred.shape;
  return graph.output_of(id);
}

void NodeImport::emit(OpType type, OpAttrs attrs, const std::vector<Item*>& inputs, size_t output) {
  const std::string name = output_name(output);
  if (name.empty()) throw input_error("output " + std::to_string(output) + " has no name");
  if (auto ints = evaluate(type, attrs, inputs)) {
    state_.define_ints(name, std::move(*ints));
  } else if (auto constant = fold(type, attrs, inputs)) {
    state_.define_constant(name, std::move(*constant));
  } else {
    const std::string node_name =
        output == 0 ? layer_name(node_) : layer_name(node_) + "/" + std::to_string(output);
    state_.define_value(name, add_node(type, std::move(attrs), inputs, node_name, name));
  }
}

Item& NodeImport::emit_part(OpType type, OpAttrs attrs, const std::vector<Item*>& inputs,
                            const std::string& suffix) {
  const std::string name = state_.fresh_name(output_name(0) + "/" + suffix);
  if (auto ints = evaluate(type, attrs, inputs)) return state_.define_ints(name, std::move(*ints));
  if (auto constant = fold(type, attrs, inputs)) return state_.define_constant(name, std::move(*constant));
  return state_.add_part(add_node(type, std::move(attrs), inputs, layer_name(node_) + "/" + suffix, name));
}

Item& NodeImport::add_constant_part(const std::string& suffix, Tensor tensor) {
  return state_.add_constant_part(output_name(0) + "/" + suffix, std::move(tensor));
}

Item& NodeImport::reshape_part(Item& x, Dims shape, const std::string& suffix) {
  if (x.shape == shape) return x;
  return emit_part(OpType::kReshape, ReshapeAttrs{std::move(shape)}, {&x}, suffix);
}

void NodeImport::define_constant(size_t output, Tensor tensor) {
  state_.define_constant(output_name(output), std::move(tensor));
}

void NodeImport::define_ints(size_t output, SymTensor ints) {
  state_.define_ints(output_name(output), std::move(ints));
}

void NodeImport::alias(size_t output, Item& item) {
  Item copy = item;
  copy.name = output_name(output);
  state_.define(std::move(copy));
}

std::string layer_name(const onnx::NodeProto& node) {
  if (!node.name().empty() || node.output_size() == 0) return node.name();
  return node.output(0);
}

int64_t normalized_axis(int64_t axis, size_t rank) {
  const auto n = static_cast<int64_t>(rank);
  if (axis < -n || axis >= n) {
    throw input_error("axis " + std::to_string(axis) + " is out of range for " + std::to_string(rank) +
                      " dimensions");
  }
  return axis < 0 ? axis + n : axis;
}

Dims normalized_axes(const Dims& axes, size_t rank) {
  Dims out;
  for (const int64_t axis : axes) {
    const int64_t normalized = normalized_axis(axis, rank);
    if (std::find(out.begin(), out.end(), normalized) != out.end()) {
      throw input_error("axis " + std::to_string(axis) + " is given twice");
    }
    out.push_back(normalized);
  }
  return out;
}

}  // namespace xdn::onnx_io
