#include <google/protobuf/io/zero_copy_stream_impl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <set>

#include "base/atomic_file.h"
#include "base/error.h"
#include "formats/model_io.h"
#include "formats/onnx/export_state.h"
#include "formats/onnx/tensor_proto.h"
#include "xdn_onnx.pb.h"

namespace xdn {
namespace onnx_io {
namespace {

constexpr int64_t kIrVersion = 8;
/// The newest IR version that readers of an opset are sure to know.
int64_t ir_version_of(int64_t opset) { return opset >= 21 ? 10 : opset >= 19 ? 9 : kIrVersion; }

std::string layer_of(const Graph& graph, const Node& node) {
  return node.name.empty() ? graph.value(node.output).name : node.name;
}

void describe(const Value& value, onnx::ValueInfoProto& info) {
  info.set_name(value.name);
  auto& type = *info.mutable_type()->mutable_tensor_type();
  type.set_elem_type(dtype_to_onnx(value.dtype));
  auto& shape = *type.mutable_shape();
  for (const int64_t extent : value.shape) {
    auto& dim = *shape.add_dim();
    if (extent == kBatch) {
      dim.set_dim_param("N");
    } else {
      dim.set_dim_value(extent);
    }
  }
}

/// Constants that a node or the outputs read, once each, in that order.
std::vector<ValueId> used_constants(const Graph& graph) {
  std::vector<ValueId> out;
  std::set<ValueId> seen;
  const auto use = [&](ValueId id) {
    if (graph.is_constant(id) && seen.insert(id).second) out.push_back(id);
  };
  for (const NodeId id : graph.order())
    std::for_each(graph.node(id).inputs.begin(), graph.node(id).inputs.end(), use);
  std::for_each(graph.outputs().begin(), graph.outputs().end(), use);
  return out;
}

onnx::ModelProto build_model(const Graph& graph) {
  int64_t opset = 13;
  for (const NodeId id : graph.order()) opset = std::max(opset, required_opset(graph, graph.node(id)));

  onnx::ModelProto model;
  model.set_ir_version(ir_version_of(opset));
  model.set_producer_name("xdn");
  model.add_opset_import()->set_version(opset);
  for (const auto& [key, value] : graph.metadata) {
    if (key == "source_layers") continue;  // of the file that was read, not of this one
    auto& entry = *model.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value);
  }
  onnx::GraphProto& file = *model.mutable_graph();
  file.set_name(graph.name.empty() ? "graph" : graph.name);
  for (const ValueId id : graph.inputs()) describe(graph.value(id), *file.add_input());
  for (const ValueId id : graph.outputs()) describe(graph.value(id), *file.add_output());

  ExportState state(graph, file, opset);
  for (const ValueId id : used_constants(graph)) {
    const Value& value = graph.value(id);
    if (graph.is_output(id)) {
      // Runtimes want outputs to be computed.
      const std::string name = state.add_initializer(value.name + "/value", *value.constant);
      state.add_node("Identity", value.name, {name}, value.name);
    } else {
      write_tensor(*value.constant, value.name, *file.add_initializer());
    }
  }
  for (const NodeId id : graph.order()) {
    try {
      export_node(state, graph.node(id));
    } catch (Error& e) {
      e.in_layer(layer_of(graph, graph.node(id)));
      throw;
    }
  }
  return model;
}

void check_size(const Graph& graph) {
  size_t bytes = 0;
  for (const ValueId id : used_constants(graph)) bytes += graph.constant(id).bytes();
  if (bytes > static_cast<size_t>(std::numeric_limits<int32_t>::max()) - (size_t{1} << 26)) {
    throw input_error("has more than 2 GiB of weights, which one ONNX file cannot hold");
  }
}

}  // namespace
}  // namespace onnx_io

void export_onnx(const Graph& graph, const std::string& path) {
  try {
    onnx_io::check_size(graph);
    const onnx::ModelProto model = onnx_io::build_model(graph);
    AtomicFile file(path);
    google::protobuf::io::FileOutputStream stream(file.fd(), 1 << 18);
    if (!model.SerializeToZeroCopyStream(&stream) || !stream.Flush()) {
      throw failure(std::string("cannot write: ") + std::strerror(stream.GetErrno()));
    }
    file.commit();
  } catch (Error& e) {
    e.in_file(path);
    throw;
  }
}

}  // namespace xdn
