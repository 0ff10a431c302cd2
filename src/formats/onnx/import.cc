#include <fcntl.h>
#include <google/protobuf/io/coded_stream.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <new>
#include <set>

#include "base/error.h"
#include "formats/model_io.h"
#include "formats/onnx/handlers.h"
#include "xdn_onnx.pb.h"

namespace xdn {
namespace onnx_io {
namespace {

constexpr int64_t kNewestOpset = 21;
/// libprotobuf takes no more; larger models keep their weights in external files.
constexpr int64_t kMaxFileBytes = std::numeric_limits<int32_t>::max();
constexpr int kMaxRecursion = 100;
constexpr int kMaxNodes = 1 << 20;
constexpr int kMaxFields = std::numeric_limits<int>::max();

/// A model whose larger tensors stay in the file.
struct Model {
  Skeleton file;
  onnx::ModelProto proto;
};

Model read_model(const std::string& path) {
  FileDescriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd) throw input_error(std::string("cannot open: ") + std::strerror(errno));
  struct stat info;
  if (fstat(fd.get(), &info) != 0) throw input_error(std::string("cannot read: ") + std::strerror(errno));
  if (S_ISDIR(info.st_mode)) throw input_error("is a folder, expected an ONNX model");
  if (!S_ISREG(info.st_mode)) throw input_error("is not a regular file");
  if (info.st_size == 0) throw input_error("is not an ONNX model (the file is empty)");
  if (info.st_size > kMaxFileBytes) {
    throw input_error("is larger than 2 GiB; expected a model that keeps its weights in external data");
  }
  const auto damaged = [] { return input_error("is not an ONNX model (it is cut off or damaged)"); };
  Model model{Skeleton(std::move(fd), info.st_size, model_rule(), {kMaxRecursion, kMaxFields}), {}};
  if (model.file.state() != Skeleton::State::kWhole) throw damaged();
  const std::string bytes = model.file.take_bytes();
  google::protobuf::io::CodedInputStream stream(reinterpret_cast<const uint8_t*>(bytes.data()),  // NOLINT
                                                static_cast<int>(bytes.size()));
  stream.SetRecursionLimit(kMaxRecursion);
  if (!model.proto.ParseFromCodedStream(&stream) || !stream.ConsumedEntireMessage()) throw damaged();
  return model;
}

bool is_onnx_domain(const std::string& domain) { return domain.empty() || domain == "ai.onnx"; }

int64_t opset_of(const onnx::ModelProto& model) {
  int64_t opset = 0;
  for (const auto& entry : model.opset_import()) {
    if (is_onnx_domain(entry.domain())) opset = std::max(opset, entry.version());
  }
  // The very first files had no opsets.
  if (opset == 0 && model.ir_version() < 3) opset = 1;
  if (opset < 1) throw input_error("is not an ONNX model (it names no operator set)");
  if (opset > kNewestOpset) {
    throw input_error("has opset " + std::to_string(opset) + ", expected at most " +
                      std::to_string(kNewestOpset));
  }
  return opset;
}

void check_model(const onnx::ModelProto& model) {
  if (!model.has_graph() || model.ir_version() < 1)
    throw input_error("is not an ONNX model (it holds no graph)");
  if (model.functions_size() > 0) throw input_error("holds functions, which are not supported");
  const onnx::GraphProto& graph = model.graph();
  if (graph.sparse_initializer_size() > 0)
    throw input_error("holds sparse initializers, which are not supported");
  if (graph.node_size() > kMaxNodes) {
    throw input_error("has " + std::to_string(graph.node_size()) + " nodes, expected at most " +
                      std::to_string(kMaxNodes));
  }
}

std::string input_name(const onnx::ValueInfoProto& input) {
  return "input '" + printable(input.name()) + "'";
}

const onnx::TypeProto::Tensor& tensor_type(const onnx::ValueInfoProto& input) {
  if (!input.type().has_tensor_type()) throw input_error(input_name(input) + " is not a tensor");
  if (!input.type().tensor_type().has_shape()) throw input_error(input_name(input) + " has no shape");
  const auto& type = input.type().tensor_type();
  if (static_cast<size_t>(type.shape().dim_size()) > kMaxRank) {
    throw input_error(input_name(input) + " has more than 16 dimensions");
  }
  return type;
}

class Importer {
 public:
  Importer(const Model& model, const std::string& path, const ImportOptions& options, bool free_batch)
      : model_(model.proto),
        options_(options),
        tensors_(&model.file, folder_of(path)),
        state_(model_.graph(), tensors_, opset_of(model_)) {
    state_.freeing_batch = free_batch;
  }

  Graph run() {
    Graph& graph = state_.graph;
    graph.name = model_.graph().name();
    for (const auto& entry : model_.metadata_props()) graph.metadata[entry.key()] = entry.value();
    graph.metadata.erase("xdn.version");  // of the file, not of the model
    graph.metadata["source_layers"] = std::to_string(model_.graph().node_size());
    add_inputs();
    for (const auto& node : model_.graph().node()) {
      try {
        add_node(node);
      } catch (Error& e) {
        e.in_layer(layer_name(node));
        throw;
      }
    }
    set_outputs();
    graph.eliminate_dead();
    graph.compact();
    verify(graph);
    return std::move(graph);
  }

 private:
  void add_inputs() {
    std::set<std::string> names;
    for (const auto& input : model_.graph().input()) {
      if (input.name().empty()) throw input_error("an input has no name");
      if (!names.insert(input.name()).second) throw input_error(input_name(input) + " is declared twice");
      const auto bound = options_.bound_inputs.find(input.name());
      if (bound != options_.bound_inputs.end()) {
        bind(input, bound->second);
      } else if (!state_.is_initializer(input.name())) {
        add_input(input);
      }
    }
    for (const auto& [name, tensor] : options_.bound_inputs) {
      if (!names.contains(name)) throw input_error("has no input '" + printable(name) + "'");
    }
  }

  void bind(const onnx::ValueInfoProto& input, const Tensor& tensor) {
    const auto& type = input.type().tensor_type();
    bool fits = input.type().has_tensor_type() &&
                require_dtype(type.elem_type(), input_name(input)) == tensor.dtype();
    if (fits && type.has_shape()) {
      fits = static_cast<size_t>(type.shape().dim_size()) == tensor.rank();
      for (size_t i = 0; fits && i < tensor.rank(); ++i) {
        const auto& dim = type.shape().dim(static_cast<int>(i));
        fits = !dim.has_dim_value() || dim.dim_value() == tensor.dim(i);
      }
    }
    if (!fits) {
      throw input_error(input_name(input) + " does not take a value of type " +
                        std::string(dtype_name(tensor.dtype())) + to_string(tensor.dims()));
    }
    state_.bind_input(input.name(), tensor);
  }

  void add_input(const onnx::ValueInfoProto& input) {
    const auto& type = tensor_type(input);
    const DType dtype = require_dtype(type.elem_type(), input_name(input));
    Dims shape, fixed;
    for (int i = 0; i < type.shape().dim_size(); ++i) {
      const int64_t extent = input_extent(input, i);
      shape.push_back(extent);
      if (extent != kBatch) fixed.push_back(extent);
    }
    const bool first = state_.graph.inputs().empty();
    if (state_.freeing_batch && first && !shape.empty() && shape[0] == 1) shape[0] = kBatch;
    element_count(fixed, dtype_size(dtype));
    state_.define_value(input.name(), state_.graph.add_input(input.name(), dtype, std::move(shape)));
  }

  /// An open leading extent is the batch; the file may call it anything, but the same for every input.
  int64_t input_extent(const onnx::ValueInfoProto& input, int axis) {
    const auto& dim = input.type().tensor_type().shape().dim(axis);
    if (dim.has_dim_value()) {
      if (dim.dim_value() >= 0) return dim.dim_value();
      throw input_error(input_name(input) + " has the negative extent " + std::to_string(dim.dim_value()));
    }
    const std::string& symbol = dim.dim_param();
    if (axis != 0) {
      throw input_error(input_name(input) + " has an open extent" +
                        (symbol.empty() ? "" : " '" + printable(symbol) + "'") + " at dimension " +
                        std::to_string(axis) + "; only the batch may be open");
    }
    if (!symbol.empty() && !batch_symbol_.empty() && symbol != batch_symbol_) {
      throw input_error(input_name(input) + " has the batch '" + printable(symbol) +
                        "', but another input has '" + printable(batch_symbol_) + "'");
    }
    if (!symbol.empty()) batch_symbol_ = symbol;
    return kBatch;
  }

  void add_node(const onnx::NodeProto& proto) {
    const Handler handler = is_onnx_domain(proto.domain()) ? find_handler(proto.op_type()) : nullptr;
    if (handler == nullptr) {
      throw input_error("operator '" + printable(proto.op_type()) + "' (domain '" +
                        printable(proto.domain()) + "') is not supported");
    }
    if (proto.output_size() == 0) throw input_error("has no outputs");
    NodeImport node(state_, proto);
    handler(node);
    node.finish();
  }

  void set_outputs() {
    std::vector<ValueId> outputs;
    std::set<std::string> names;
    for (const auto& output : model_.graph().output()) {
      const std::string quoted = "output '" + printable(output.name()) + "'";
      if (!names.insert(output.name()).second) throw input_error(quoted + " is declared twice");
      if (!state_.has(output.name())) throw input_error(quoted + " is computed by no node");
      outputs.push_back(output_value(output.name()));
    }
    if (outputs.empty()) throw input_error("is not an ONNX model (its graph has no outputs)");
    state_.graph.set_outputs(std::move(outputs));
  }

  /// The value with that very name: what is known under another one is a second constant, or passes an
  /// Identity.
  ValueId output_value(const std::string& name) {
    Graph& graph = state_.graph;
    const ValueId id = state_.materialize(state_.find(name));
    if (graph.value(id).name == name) return id;
    if (graph.is_constant(id)) return graph.add_constant(name, graph.constant(id));
    const ValueId out = graph.output_of(graph.add_node(OpType::kIdentity, NoAttrs{}, name, {id}, name));
    graph.value(out).dtype = graph.value(id).dtype;
    graph.value(out).shape = graph.value(id).shape;
    return out;
  }

  const onnx::ModelProto& model_;
  const ImportOptions& options_;
  TensorSource tensors_;
  ImportState state_;
  std::string batch_symbol_;
};

/// The first input has a fixed leading 1 that could be the batch.
bool may_free_batch(const onnx::GraphProto& graph, const ImportOptions& options) {
  std::set<std::string> initializers;
  for (const auto& tensor : graph.initializer()) initializers.insert(tensor.name());
  for (const auto& input : graph.input()) {
    if (initializers.contains(input.name()) || options.bound_inputs.contains(input.name())) continue;
    const auto& shape = input.type().tensor_type().shape();
    return shape.dim_size() >= 2 && shape.dim(0).has_dim_value() && shape.dim(0).dim_value() == 1;
  }
  return false;
}

/// Every output has the batch in front and nowhere else.
bool leads_with_batch(const Graph& graph) {
  return std::all_of(graph.outputs().begin(), graph.outputs().end(), [&](ValueId id) {
    const Dims& shape = graph.value(id).shape;
    return !shape.empty() && shape[0] == kBatch && std::count(shape.begin(), shape.end(), kBatch) == 1;
  });
}

Graph import_model(const std::string& path, const ImportOptions& options) {
  const Model model = read_model(path);
  check_model(model.proto);
  if (options.free_batch && may_free_batch(model.proto.graph(), options)) {
    try {
      Graph graph = Importer(model, path, options, true).run();
      if (leads_with_batch(graph)) return graph;
    } catch (const Error& e) {
      if (e.kind() != ErrorKind::kInput) throw;
    }
  }
  return Importer(model, path, options, false).run();
}

}  // namespace
}  // namespace onnx_io

Graph import_onnx(const std::string& path, const ImportOptions& options) {
  try {
    return onnx_io::import_model(path, options);
  } catch (Error& e) {
    e.in_file(path);
    throw;
  } catch (const std::bad_alloc&) {
    throw failure("out of memory").in_file(path);
  }
}

}  // namespace xdn
