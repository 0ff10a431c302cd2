#include "formats/onnx_support.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "formats/onnx/tensor_proto.h"

namespace xdn::testing {

void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file << bytes;
  ASSERT_TRUE(file.good()) << path;
}

namespace {

onnx::AttributeProto named(const std::string& name, onnx::AttributeProto::AttributeType type) {
  onnx::AttributeProto a;
  a.set_name(name);
  a.set_type(type);
  return a;
}

}  // namespace

onnx::AttributeProto attr(const std::string& name, int64_t value) {
  auto a = named(name, onnx::AttributeProto::INT);
  a.set_i(value);
  return a;
}
onnx::AttributeProto attr(const std::string& name, int value) {
  return attr(name, static_cast<int64_t>(value));
}
onnx::AttributeProto attr(const std::string& name, float value) {
  auto a = named(name, onnx::AttributeProto::FLOAT);
  a.set_f(value);
  return a;
}
onnx::AttributeProto attr(const std::string& name, const char* value) {
  auto a = named(name, onnx::AttributeProto::STRING);
  a.set_s(value);
  return a;
}
onnx::AttributeProto attr(const std::string& name, const Dims& values) {
  auto a = named(name, onnx::AttributeProto::INTS);
  for (const int64_t value : values) a.add_ints(value);
  return a;
}
onnx::AttributeProto attr(const std::string& name, const Tensor& value) {
  auto a = named(name, onnx::AttributeProto::TENSOR);
  *a.mutable_t() = tensor_proto("", value);
  return a;
}

onnx::TensorProto tensor_proto(const std::string& name, const Tensor& tensor) {
  onnx::TensorProto proto;
  proto.set_name(name);
  proto.set_data_type(onnx_io::dtype_to_onnx(tensor.dtype()));
  for (const int64_t extent : tensor.dims()) proto.add_dims(extent);
  proto.mutable_raw_data()->assign(static_cast<const char*>(tensor.raw()), tensor.bytes());
  return proto;
}

Tensor ints(const Dims& values) { return Tensor::of({static_cast<int64_t>(values.size())}, values); }

Tensor floats(Dims dims, float first, float step) {
  Tensor tensor(DType::kF32, std::move(dims));
  float value = first;
  for (float& e : tensor.mutable_data<float>()) {
    e = value;
    value += step;
  }
  return tensor;
}

OnnxModel::OnnxModel(int64_t opset) {
  proto.set_ir_version(8);
  proto.add_opset_import()->set_version(opset);
  proto.mutable_graph()->set_name("test");
}

OnnxModel& OnnxModel::input(const std::string& name, const Dims& dims, int data_type) {
  auto& info = *proto.mutable_graph()->add_input();
  info.set_name(name);
  auto& type = *info.mutable_type()->mutable_tensor_type();
  type.set_elem_type(data_type);
  type.mutable_shape();
  for (const int64_t extent : dims) {
    auto& dim = *type.mutable_shape()->add_dim();
    if (extent == -1) {
      dim.set_dim_param("N");
    } else {
      dim.set_dim_value(extent);
    }
  }
  return *this;
}

OnnxModel& OnnxModel::output(const std::string& name) {
  proto.mutable_graph()->add_output()->set_name(name);
  return *this;
}

OnnxModel& OnnxModel::initializer(const std::string& name, const Tensor& tensor) {
  *proto.mutable_graph()->add_initializer() = tensor_proto(name, tensor);
  return *this;
}

OnnxModel& OnnxModel::node(const std::string& op_type, const std::vector<std::string>& inputs,
                           const std::vector<std::string>& outputs,
                           const std::vector<onnx::AttributeProto>& attributes) {
  auto& node = *proto.mutable_graph()->add_node();
  node.set_op_type(op_type);
  node.set_name("node of " + outputs[0]);
  for (const auto& name : inputs) node.add_input(name);
  for (const auto& name : outputs) node.add_output(name);
  for (const auto& attribute : attributes) *node.add_attribute() = attribute;
  return *this;
}

std::string OnnxModel::bytes() const { return proto.SerializeAsString(); }

Graph import_model(const OnnxModel& model, const ImportOptions& options) {
  const TempDir folder;
  write_file(folder / "model.onnx", model.bytes());
  return import_onnx(folder / "model.onnx", options);
}

namespace {

template <class F>
std::string error_line(F&& import) {
  try {
    import();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kInput) << e.what();
    EXPECT_NE(e.file(), "") << e.what();
    const std::string line = e.what();
    EXPECT_EQ(line.find('\n'), std::string::npos) << line;
    return line;
  }
  return "";
}

}  // namespace

std::string import_error(const OnnxModel& model, const ImportOptions& options) {
  return error_line([&] { import_model(model, options); });
}

std::string import_error_of_file(const std::string& path) {
  return error_line([&] { import_onnx(path); });
}

OneNode import_one(const OnnxModel& model) {
  Graph graph = import_model(model);
  if (graph.order().size() != 1) throw failure("not one node: " + census(graph));
  Node node = graph.node(graph.order()[0]);
  Dims shape = graph.value(graph.outputs()[0]).shape;
  return {std::move(graph), std::move(node), std::move(shape)};
}

std::string census(const Graph& graph) {
  std::map<std::string, int> counts;
  for (const NodeId id : graph.order()) ++counts[std::string(op_info(graph.node(id).type).name)];
  std::string out;
  for (const auto& [name, count] : counts)
    out += (out.empty() ? "" : " ") + name + ":" + std::to_string(count);
  return out;
}

const Value& value_of(const Graph& graph, const std::string& name) {
  const auto id = graph.find_value(name);
  if (!id) throw failure("no value " + name);
  return graph.value(*id);
}

}  // namespace xdn::testing
