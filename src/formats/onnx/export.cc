#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
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

/// Weights in a file beside the model, which names it by a relative path.
class ExternalData {
 public:
  explicit ExternalData(const std::string& model)
      : location_(model.substr(model.rfind('/') + 1) + ".data"), path_(model + ".data"), file_(path_) {}

  const std::string& path() const { return path_; }

  /// The tensor as write_tensor writes it, its bytes in the file.
  void put(const Tensor& tensor, const std::string& name, onnx::TensorProto& proto) {
    write_tensor(tensor, name, proto);
    const std::string bytes = std::move(*proto.mutable_raw_data());
    proto.clear_raw_data();
    // Readers may map tensors that begin on a page.
    constexpr size_t kAlignment = 4096;
    const size_t gap = (kAlignment - offset_ % kAlignment) % kAlignment;
    file_.write(std::string(gap, '\0'));
    offset_ += gap;
    proto.set_data_location(onnx::TensorProto::EXTERNAL);
    const auto entry = [&](const char* key, const std::string& value) {
      auto& added = *proto.add_external_data();
      added.set_key(key);
      added.set_value(value);
    };
    entry("location", location_);
    entry("offset", std::to_string(offset_));
    entry("length", std::to_string(bytes.size()));
    file_.write(bytes);
    offset_ += bytes.size();
  }
  void commit() { file_.commit(); }

 private:
  std::string location_, path_;
  AtomicFile file_;
  size_t offset_ = 0;
};

/// Smaller tensors stay in the model: shapes, scalars, what shape inference reads.
constexpr size_t kLeastExternalBytes = 1024;

/// Below, a Cast takes about as much room as it saves. Vectors stay: variances may be tiny.
constexpr int64_t kLeastHalfElements = 256;
constexpr float kLargestHalf = 65504;

bool fits_half(const Tensor& tensor) {
  if (tensor.dtype() != DType::kF32 || tensor.rank() < 2 || tensor.size() < kLeastHalfElements) return false;
  return std::ranges::all_of(tensor.data<float>(), [](float x) { return std::abs(x) <= kLargestHalf; });
}

onnx::ModelProto build_model(const Graph& graph, ExternalData* external, const ExportOptions& options) {
  int64_t opset = 13;
  for (const NodeId id : graph.order()) opset = std::max(opset, required_opset(graph, graph.node(id)));

  onnx::ModelProto model;
  model.set_ir_version(ir_version_of(opset));
  model.set_producer_name("xdn");
  model.set_producer_version(XDN_VERSION);
  model.add_opset_import()->set_version(opset);
  const auto put_metadata = [&](const std::string& key, const std::string& value) {
    auto& entry = *model.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value);
  };
  for (const auto& [key, value] : graph.metadata) {
    if (key == "source_layers" || key == "xdn.version")
      continue;  // of the file that was read, not of this one
    put_metadata(key, value);
  }
  put_metadata("xdn.version", XDN_VERSION);
  onnx::GraphProto& file = *model.mutable_graph();
  file.set_name(graph.name.empty() ? "graph" : graph.name);
  for (const ValueId id : graph.inputs()) describe(graph.value(id), *file.add_input());
  for (const ValueId id : graph.outputs()) describe(graph.value(id), *file.add_output());

  ExportState state(graph, file, opset);
  for (const ValueId id : used_constants(graph)) {
    const Value& value = graph.value(id);
    const auto write_initializer = [&](const Tensor& tensor, const std::string& name) {
      if (external != nullptr && tensor.bytes() >= kLeastExternalBytes) {
        external->put(tensor, name, *file.add_initializer());
      } else {
        write_tensor(tensor, name, *file.add_initializer());
      }
    };
    if (graph.is_output(id)) {
      // Runtimes want outputs to be computed.
      const std::string name = state.add_initializer(value.name + "/value", *value.constant);
      state.add_node("Identity", value.name, {name}, value.name);
    } else if (options.half_weights && fits_half(*value.constant)) {
      const std::string name = state.fresh_name(value.name + "/f16");
      write_initializer(value.constant->converted(DType::kF16), name);
      onnx::AttributeProto& to = *state.add_node("Cast", value.name, {name}, value.name).add_attribute();
      to.set_name("to");
      to.set_type(onnx::AttributeProto::INT);
      to.set_i(dtype_to_onnx(DType::kF32));
    } else {
      write_initializer(*value.constant, value.name);
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

/// Whether the weights fit into one message, with room for everything else.
bool fits_one_file(const Graph& graph) {
  size_t bytes = 0;
  for (const ValueId id : used_constants(graph)) bytes += graph.constant(id).bytes();
  return bytes <= static_cast<size_t>(std::numeric_limits<int32_t>::max()) - (size_t{1} << 26);
}

}  // namespace
}  // namespace onnx_io

void export_onnx(const Graph& graph, const std::string& path, const ExportOptions& options) {
  try {
    std::optional<onnx_io::ExternalData> external;
    if (options.external_data || !onnx_io::fits_one_file(graph)) external.emplace(path);
    const onnx::ModelProto model = onnx_io::build_model(graph, external ? &*external : nullptr, options);
    AtomicFile file(path);
    google::protobuf::io::FileOutputStream stream(file.fd(), 1 << 18);
    if (!model.SerializeToZeroCopyStream(&stream) || !stream.Flush()) {
      throw failure(std::string("cannot write: ") + std::strerror(stream.GetErrno()));
    }
    if (external) external->commit();
    try {
      file.commit();
    } catch (const Error&) {
      if (external) (void)unlink(external->path().c_str());
      throw;
    }
  } catch (Error& e) {
    e.in_file(path);
    throw;
  }
}

}  // namespace xdn
