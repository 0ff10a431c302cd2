#pragma once

#include <map>
#include <string>
#include <vector>

#include "formats/model_io.h"
#include "graph/graph.h"
#include "support/shared_data.h"
#include "xdn_onnx.pb.h"

namespace xdn::testing {

void write_file(const std::string& path, const std::string& bytes);

onnx::AttributeProto attr(const std::string& name, int64_t value);
onnx::AttributeProto attr(const std::string& name, int value);
onnx::AttributeProto attr(const std::string& name, float value);
onnx::AttributeProto attr(const std::string& name, const char* value);
onnx::AttributeProto attr(const std::string& name, const Dims& values);
onnx::AttributeProto attr(const std::string& name, const Tensor& value);

onnx::TensorProto tensor_proto(const std::string& name, const Tensor& tensor);
Tensor ints(const Dims& values);
Tensor floats(Dims dims, float first = 0, float step = 1);

/// An ONNX model put together by hand.
struct OnnxModel {
  explicit OnnxModel(int64_t opset = 13);

  /// -1 is the open extent "N".
  OnnxModel& input(const std::string& name, const Dims& dims, int data_type = onnx::TensorProto::FLOAT);
  OnnxModel& output(const std::string& name);
  OnnxModel& initializer(const std::string& name, const Tensor& tensor);
  /// The node's name is "node of OUTPUT".
  OnnxModel& node(const std::string& op_type, const std::vector<std::string>& inputs,
                  const std::vector<std::string>& outputs,
                  const std::vector<onnx::AttributeProto>& attributes = {});
  std::string bytes() const;

  onnx::ModelProto proto;
};

Graph import_model(const OnnxModel& model, const ImportOptions& options = {});
/// The one line of the error that importing throws; empty if it throws none.
std::string import_error(const OnnxModel& model, const ImportOptions& options = {});
std::string import_error_of_file(const std::string& path);

/// x [N,...] -> op -> y, and the only node of the graph that results.
struct OneNode {
  Graph graph;
  Node node;
  Dims shape;  ///< of y
};
OneNode import_one(const OnnxModel& model);

/// How many nodes of each type, as "Conv:2 Relu:1", by name.
std::string census(const Graph& graph);
/// The value of that name.
const Value& value_of(const Graph& graph, const std::string& name);

}  // namespace xdn::testing
