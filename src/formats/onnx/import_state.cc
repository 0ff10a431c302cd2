#include "formats/onnx/import_state.h"

#include "base/error.h"
#include "xdn_onnx.pb.h"

namespace xdn::onnx_io {
namespace {

Item item_of(const Graph& graph, const std::string& name, ValueId id) {
  const Value& value = graph.value(id);
  Item item{name, value.dtype, value.shape, id, std::nullopt};
  if (value.constant) item.ints = sym_from_tensor(*value.constant);
  return item;
}

}  // namespace

ImportState::ImportState(const onnx::GraphProto& file, TensorSource& tensors, int64_t file_opset)
    : opset(file_opset), tensors_(tensors) {
  for (const auto& input : file.input()) names_.insert(input.name());
  for (const auto& tensor : file.initializer()) {
    if (tensor.name().empty()) throw input_error("an initializer has no name");
    if (!initializers_.emplace(tensor.name(), &tensor).second) {
      throw input_error("initializer '" + printable(tensor.name()) + "' is given twice");
    }
    names_.insert(tensor.name());
  }
  for (const auto& node : file.node()) {
    names_.insert(node.output().begin(), node.output().end());
    used_.insert(node.input().begin(), node.input().end());
  }
  for (const auto& output : file.output()) used_.insert(output.name());
}

Item& ImportState::find(const std::string& name) {
  const auto found = items_.find(name);
  if (found != items_.end()) return found->second;
  const auto initializer = initializers_.find(name);
  if (initializer != initializers_.end()) {
    const ValueId id = graph.add_constant(name, tensors_.read(*initializer->second));
    return items_.emplace(name, item_of(graph, name, id)).first->second;
  }
  const char* reason = names_.contains(name) ? "' is used before it is computed" : "' is computed by no node";
  throw input_error("input '" + printable(name) + reason);
}

ValueId ImportState::materialize(Item& item) {
  if (item.id != kNoValue) return item.id;
  if (!item.ints->is_known()) {
    throw input_error("'" + printable(item.name) + "' is " + to_string(*item.ints) +
                      ", computed from the batch size, and can only be used as a shape");
  }
  item.id = graph.add_constant(item.name, tensor_from_sym(*item.ints));
  return item.id;
}

std::string ImportState::fresh_name(const std::string& wanted) {
  std::string name = wanted;
  for (size_t i = 1; !names_.insert(name).second; ++i) name = wanted + "." + std::to_string(i);
  return name;
}

Item& ImportState::define(Item item) {
  const std::string name = item.name;
  if (name.empty()) throw input_error("an output that is needed has no name");
  const auto [at, fresh] = items_.emplace(name, std::move(item));
  if (!fresh || initializers_.contains(name)) {
    throw input_error("value '" + printable(name) + "' is defined twice");
  }
  return at->second;
}

Item& ImportState::define_value(const std::string& name, ValueId id) {
  return define(item_of(graph, name, id));
}

Item& ImportState::define_constant(const std::string& name, Tensor tensor) {
  return define_value(name, graph.add_constant(name, std::move(tensor)));
}

Item& ImportState::define_ints(const std::string& name, SymTensor ints) {
  Item item{name, ints.dtype, ints.dims, kNoValue, std::nullopt};
  item.ints = std::move(ints);
  return define(std::move(item));
}

void ImportState::bind_input(const std::string& name, Tensor tensor) {
  initializers_.erase(name);
  define_constant(name, std::move(tensor));
}

Item& ImportState::add_part(ValueId id) {
  return parts_.emplace_back(item_of(graph, graph.value(id).name, id));
}

Item& ImportState::add_constant_part(const std::string& wanted, Tensor tensor) {
  return add_part(graph.add_constant(fresh_name(wanted), std::move(tensor)));
}

}  // namespace xdn::onnx_io
