#pragma once

#include <string>
#include <vector>

#include "formats/onnx/attributes.h"
#include "formats/onnx/import_state.h"

namespace xdn::onnx_io {

/// One node of the file while it becomes nodes of the graph: what a handler reads from and writes to.
class NodeImport {
 public:
  NodeImport(ImportState& state, const onnx::NodeProto& node);

  Attributes attributes;
  int64_t opset() const { return state_.opset; }
  bool freeing_batch() const { return state_.freeing_batch; }
  TensorSource& tensors() { return state_.tensors(); }

  // Inputs. `name` is the operator's name of the input, for messages.
  size_t input_count() const;
  bool has_input(size_t i) const;
  Item& input(size_t i, const char* name);
  Item* optional_input(size_t i);
  bool is_constant(const Item& item) const { return state_.is_constant(item); }
  /// The elements of an input that must be known when the model is loaded.
  const Tensor& constant_input(size_t i, const char* name);
  /// A vector (or scalar) of integers known when the model is loaded.
  Dims int_input(size_t i, const char* name);
  /// The same, but elements may be the batch, or computed from it.
  SymTensor shape_input(size_t i, const char* name);

  // Outputs.
  size_t output_count() const;
  /// It has a name that a node or the graph's outputs read.
  bool is_output_used(size_t i) const;
  /// Input error if the output is used.
  void refuse_output(size_t i, const char* name) const;

  /// Appends a node for output i, or computes the result at once where all inputs are known integers.
  void emit(OpType type, OpAttrs attrs, const std::vector<Item*>& inputs, size_t output = 0);
  /// The same for a value that the file has no name for.
  Item& emit_part(OpType type, OpAttrs attrs, const std::vector<Item*>& inputs, const std::string& suffix);
  Item& add_constant_part(const std::string& suffix, Tensor tensor);
  /// x under other extents of the same product; x itself if the extents are the same.
  Item& reshape_part(Item& x, Dims shape, const std::string& suffix);
  void define_constant(size_t output, Tensor tensor);
  void define_ints(size_t output, SymTensor ints);
  /// Output i is `item` under another name.
  void alias(size_t output, Item& item);

  /// Checks that every attribute was asked for.
  void finish() const { attributes.check_all_read(); }

 private:
  std::string output_name(size_t i) const;
  std::optional<SymTensor> evaluate(OpType type, const OpAttrs& attrs,
                                    const std::vector<Item*>& inputs) const;
  std::optional<Tensor> fold(OpType type, const OpAttrs& attrs, const std::vector<Item*>& inputs) const;
  ValueId add_node(OpType type, OpAttrs attrs, const std::vector<Item*>& inputs, const std::string& node_name,
                   const std::string& value_name);

  ImportState& state_;
  const onnx::NodeProto& node_;
};

/// The node's name, or the name of its first output where it has none.
std::string layer_name(const onnx::NodeProto& node);

/// axis in [-rank, rank) as one in [0, rank); an input error otherwise.
int64_t normalized_axis(int64_t axis, size_t rank);
/// The same for a list, which may not name an axis twice. The order is kept.
Dims normalized_axes(const Dims& axes, size_t rank);

}  // namespace xdn::onnx_io
