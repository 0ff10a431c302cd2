#pragma once

#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "formats/onnx/shape_arithmetic.h"
#include "formats/onnx/tensor_proto.h"
#include "graph/graph.h"

namespace onnx {
class GraphProto;
}

namespace xdn::onnx_io {

/// What an ONNX value is so far: a value of the graph, or integers known (perhaps but for the batch) at load
/// time that become a constant of the graph when a node needs them.
struct Item {
  std::string name;
  DType dtype = DType::kF32;
  Dims shape;
  ValueId id = kNoValue;
  std::optional<SymTensor> ints;
};

/// The graph being built and what the names of the file stand for.
class ImportState {
 public:
  ImportState(const onnx::GraphProto& file, TensorSource& tensors, int64_t file_opset);

  const int64_t opset;
  /// The leading 1 of the file's image input is taken for the free batch.
  bool freeing_batch = false;
  Graph graph;

  TensorSource& tensors() { return tensors_; }
  /// The value of that name, initializers included; an input error if nothing has defined it yet.
  Item& find(const std::string& name);
  bool has(const std::string& name) const { return items_.contains(name) || initializers_.contains(name); }
  /// The graph's value; becomes a constant if the item is known integers only.
  ValueId materialize(Item& item);
  /// Somebody reads it: a node or the graph's outputs.
  bool is_used(const std::string& name) const { return used_.contains(name); }
  bool is_initializer(const std::string& name) const { return initializers_.contains(name); }
  bool is_constant(const Item& item) const {
    return item.ints ? item.ints->is_known() : graph.is_constant(item.id);
  }
  /// A name that the file does not use.
  std::string fresh_name(const std::string& wanted);

  /// Defines a name of the file; input error if it is taken.
  Item& define(Item item);
  Item& define_value(const std::string& name, ValueId id);
  Item& define_constant(const std::string& name, Tensor tensor);
  Item& define_ints(const std::string& name, SymTensor ints);
  /// A graph input as a constant; takes precedence over an initializer of that name.
  void bind_input(const std::string& name, Tensor tensor);
  /// A value that the file has no name for.
  Item& add_part(ValueId id);
  Item& add_constant_part(const std::string& wanted, Tensor tensor);

 private:
  TensorSource& tensors_;
  std::unordered_map<std::string, Item> items_;
  std::deque<Item> parts_;
  std::unordered_map<std::string, const onnx::TensorProto*> initializers_;
  std::unordered_set<std::string> names_, used_;
};

}  // namespace xdn::onnx_io
