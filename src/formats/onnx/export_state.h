#pragma once

#include <string>
#include <unordered_set>
#include <vector>

#include "graph/graph.h"

namespace onnx {
class GraphProto;
class NodeProto;
class TensorProto;
}  // namespace onnx

namespace xdn::onnx_io {

/// The file being written and the names in it.
class ExportState {
 public:
  ExportState(const Graph& graph, onnx::GraphProto& file, int64_t file_opset);

  const Graph& graph;
  const int64_t opset;

  /// The name of a value in the file; "" for an input that is absent.
  std::string name_of(ValueId id) const { return id == kNoValue ? std::string() : graph.value(id).name; }
  /// A name no value has yet.
  std::string fresh_name(const std::string& wanted);
  /// Returns the initializer's name, a fresh one.
  std::string add_initializer(const std::string& wanted, const Tensor& tensor);
  std::string add_ints(const std::string& wanted, const Dims& values);
  /// Trailing absent inputs are left out.
  onnx::NodeProto& add_node(const std::string& op_type, const std::string& name,
                            std::vector<std::string> inputs, const std::string& output);

 private:
  onnx::GraphProto& file_;
  std::unordered_set<std::string> names_, node_names_;
};

/// The elements as raw bytes. Subnormal floats become zeros: a CPU takes 10 to 50 times as long for them.
void write_tensor(const Tensor& tensor, const std::string& name, onnx::TensorProto& proto);

// export_node.cc
/// The oldest opset, 13 at least, in which the node can be written.
int64_t required_opset(const Graph& graph, const Node& node);
/// Writes one node as one or a few of ONNX. Throws an input error where ONNX cannot say it.
void export_node(ExportState& state, const Node& node);

}  // namespace xdn::onnx_io
