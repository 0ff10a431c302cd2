#include "formats/onnx/export_state.h"

#include <cmath>
#include <cstring>

#include "formats/onnx/tensor_proto.h"
#include "xdn_onnx.pb.h"

namespace xdn::onnx_io {
namespace {

template <class T>
void flush_subnormals(std::string& bytes) {
  for (size_t at = 0; at + sizeof(T) <= bytes.size(); at += sizeof(T)) {
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof(T));
    if (std::fpclassify(value) != FP_SUBNORMAL) continue;
    value = std::copysign(T{0}, value);
    std::memcpy(bytes.data() + at, &value, sizeof(T));
  }
}

}  // namespace

ExportState::ExportState(const Graph& source, onnx::GraphProto& file, int64_t file_opset)
    : graph(source), opset(file_opset), file_(file) {
  for (size_t i = 0; i < graph.value_count(); ++i) names_.insert(graph.value(static_cast<ValueId>(i)).name);
}

std::string ExportState::fresh_name(const std::string& wanted) {
  std::string name = wanted;
  for (size_t i = 1; !names_.insert(name).second; ++i) name = wanted + "." + std::to_string(i);
  return name;
}

std::string ExportState::add_initializer(const std::string& wanted, const Tensor& tensor) {
  const std::string name = fresh_name(wanted);
  write_tensor(tensor, name, *file_.add_initializer());
  return name;
}

std::string ExportState::add_ints(const std::string& wanted, const Dims& values) {
  return add_initializer(wanted, Tensor::of({static_cast<int64_t>(values.size())}, values));
}

onnx::NodeProto& ExportState::add_node(const std::string& op_type, const std::string& name,
                                       std::vector<std::string> inputs, const std::string& output) {
  onnx::NodeProto& node = *file_.add_node();
  node.set_op_type(op_type);
  // Runtimes want node names to differ; a graph does not promise it.
  std::string unique = name.empty() ? output : name;
  for (size_t i = 1; !node_names_.insert(unique).second; ++i) unique = name + "." + std::to_string(i);
  node.set_name(unique);
  while (!inputs.empty() && inputs.back().empty()) inputs.pop_back();
  for (std::string& input : inputs) node.add_input(std::move(input));
  node.add_output(output);
  return node;
}

void write_tensor(const Tensor& tensor, const std::string& name, onnx::TensorProto& proto) {
  proto.set_name(name);
  proto.set_data_type(dtype_to_onnx(tensor.dtype()));
  for (const int64_t extent : tensor.dims()) proto.add_dims(extent);
  std::string& bytes = *proto.mutable_raw_data();
  if (tensor.bytes() != 0) bytes.assign(static_cast<const char*>(tensor.raw()), tensor.bytes());
  if (tensor.dtype() == DType::kF32) flush_subnormals<float>(bytes);
  if (tensor.dtype() == DType::kF64) flush_subnormals<double>(bytes);
}

}  // namespace xdn::onnx_io
