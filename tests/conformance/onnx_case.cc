#include "onnx_case.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>
#include <optional>
#include <stdexcept>

#include "base/error.h"
#include "executor/reference.h"
#include "formats/model_io.h"
#include "formats/onnx/tensor_proto.h"
#include "support/shared_data.h"
#include "xdn_onnx.pb.h"

namespace xdn::testing {
namespace {

namespace fs = std::filesystem;

/// The tolerances of ONNX's own runner.
constexpr double kRelative = 1e-3, kAbsolute = 1e-7;

/// Inputs that XDN needs to know when it loads a model: operator -> positions.
const std::map<std::string, std::set<int>>& constant_inputs() {
  static const std::map<std::string, std::set<int>> table{
      {"Clip", {1, 2}},    {"ConstantOfShape", {0}}, {"Dropout", {1, 2}},     {"Pad", {1, 2, 3}},
      {"ReduceMean", {1}}, {"Reshape", {1}},         {"Slice", {1, 2, 3, 4}}, {"Split", {1}},
      {"Squeeze", {1}},    {"Unsqueeze", {1}},
  };
  return table;
}

std::optional<onnx::ModelProto> read_model(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  onnx::ModelProto model;
  if (!file || !model.ParseFromIstream(&file)) return std::nullopt;
  return model;
}

bool is_onnx_domain(const std::string& domain) { return domain.empty() || domain == "ai.onnx"; }

/// Nothing unless every operator is a listed one.
std::optional<OnnxCase> case_in(const fs::path& folder) {
  const auto model = read_model(folder / "model.onnx");
  if (!model) return std::nullopt;
  OnnxCase test{.name = folder.filename().string(), .folder = folder, .ops = {}};
  for (const auto& node : model->graph().node()) {
    if (!is_onnx_domain(node.domain()) || !listed_ops().contains(node.op_type())) return std::nullopt;
    test.ops.insert(node.op_type());
  }
  for (const auto& entry : model->opset_import()) {
    if (is_onnx_domain(entry.domain())) test.opset = std::max(test.opset, entry.version());
  }
  return test;
}

/// Names of the graph's inputs that feed a position of constant_inputs().
std::set<std::string> inputs_to_bind(const onnx::GraphProto& graph) {
  std::set<std::string> names;
  for (const auto& node : graph.node()) {
    const auto row = constant_inputs().find(node.op_type());
    if (row == constant_inputs().end()) continue;
    for (const int position : row->second) {
      if (position < node.input_size()) names.insert(node.input(position));
    }
  }
  return names;
}

std::string element_text(const Tensor& tensor, int64_t i) {
  return is_floating(tensor.dtype()) ? std::to_string(tensor.as_double(i)) : std::to_string(tensor.as_int(i));
}

bool close(const Tensor& actual, const Tensor& expected, int64_t i) {
  if (!is_floating(expected.dtype())) return actual.as_int(i) == expected.as_int(i);
  const double a = actual.as_double(i), e = expected.as_double(i);
  if (std::isnan(e) || std::isnan(a)) return std::isnan(e) && std::isnan(a);
  return a == e || std::abs(a - e) <= kAbsolute + kRelative * std::abs(e);
}

std::string difference(const Tensor& actual, const Tensor& expected) {
  if (actual.dtype() != expected.dtype() || actual.dims() != expected.dims()) {
    return "expected " + std::string(dtype_name(expected.dtype())) + to_string(expected.dims()) + ", got " +
           std::string(dtype_name(actual.dtype())) + to_string(actual.dims());
  }
  for (int64_t i = 0; i < expected.size(); ++i) {
    if (!close(actual, expected, i)) {
      return "element " + std::to_string(i) + ": expected " + element_text(expected, i) + ", got " +
             element_text(actual, i);
    }
  }
  return "";
}

/// The tensor in a file. ONNX's generator wrote bfloat16 down as the uint16 of the same bits: the model
/// tells.
Tensor read_tensor(const fs::path& path, const onnx::ValueInfoProto& declared) {
  Tensor tensor = read_tensor_proto(path.string());
  const bool bits = declared.type().tensor_type().elem_type() == onnx::TensorProto::BFLOAT16;
  if (!bits || tensor.dtype() != DType::kU16) return tensor;
  const auto owner = std::make_shared<const Tensor>(std::move(tensor));
  return Tensor::view(DType::kBF16, owner->dims(), owner, owner->raw());
}

fs::path tensor_file(const fs::path& folder, const char* kind, int i) {
  return folder / (std::string(kind) + "_" + std::to_string(i) + ".pb");
}

/// What importing gave is written and read again; it must compute the same.
std::string round_trip(const Graph& graph, const std::vector<Tensor>& inputs,
                       const std::vector<Tensor>& outputs) {
  const TempDir dir;
  export_onnx(graph, dir / "again.onnx");
  ImportOptions options;
  options.free_batch = false;
  const Graph again = import_onnx(dir / "again.onnx", options);
  const std::vector<Tensor> found = run_reference(again, inputs);
  if (found.size() != outputs.size()) return "written and read again, it has other outputs";
  for (size_t i = 0; i < found.size(); ++i) {
    const std::string wrong = difference(found[i], outputs[i]);
    if (!wrong.empty()) return "written and read again, output " + std::to_string(i) + ": " + wrong;
  }
  return "";
}

std::string run_data_set(const OnnxCase& test, const onnx::GraphProto& proto, const fs::path& data) {
  std::map<std::string, Tensor> given;
  for (int i = 0; i < proto.input_size() && fs::exists(tensor_file(data, "input", i)); ++i) {
    given[proto.input(i).name()] = read_tensor(tensor_file(data, "input", i), proto.input(i));
  }
  ImportOptions options;
  options.free_batch = false;
  for (const std::string& name : inputs_to_bind(proto)) {
    if (given.contains(name)) options.bound_inputs[name] = given[name];
  }
  const Graph graph = import_onnx((test.folder / "model.onnx").string(), options);
  std::vector<Tensor> inputs;
  for (const ValueId id : graph.inputs()) {
    const auto found = given.find(graph.value(id).name);
    if (found == given.end()) return "no data for input '" + graph.value(id).name + "'";
    inputs.push_back(found->second);
  }
  std::vector<Tensor> outputs = run_reference(graph, inputs);
  if (const std::string wrong = round_trip(graph, inputs, outputs); !wrong.empty()) return wrong;
  if (outputs.size() != static_cast<size_t>(proto.output_size())) return "outputs are missing";
  for (int i = 0; i < proto.output_size(); ++i) {
    const auto at = static_cast<size_t>(i);
    if (graph.value(graph.outputs()[at]).name != proto.output(i).name()) return "outputs are named otherwise";
    const std::string wrong =
        difference(outputs[at], read_tensor(tensor_file(data, "output", i), proto.output(i)));
    if (!wrong.empty()) return "output '" + proto.output(i).name() + "': " + wrong;
  }
  return "";
}

}  // namespace

const std::set<std::string>& listed_ops() {
  static const std::set<std::string> ops{
      "Conv",
      "BatchNormalization",
      "Relu",
      "LeakyRelu",
      "Clip",
      "Sigmoid",
      "HardSigmoid",
      "HardSwish",
      "Add",
      "Mul",
      "Sub",
      "Div",
      "MaxPool",
      "AveragePool",
      "GlobalAveragePool",
      "ReduceMean",
      "Gemm",
      "MatMul",
      "Flatten",
      "Reshape",
      "Squeeze",
      "Unsqueeze",
      "Concat",
      "Slice",
      "Split",
      "Pad",
      "Transpose",
      "Identity",
      "Constant",
      "ConstantOfShape",
      "Shape",
      "Gather",
      "Cast",
      "Dropout",
      "Softmax",
      "Sum",
      "Max",
      "Pow",
      "PRelu",
      "LRN",
      "QuantizeLinear",
      "DequantizeLinear",
  };
  return ops;
}

std::vector<OnnxCase> find_onnx_cases(const fs::path& root) {
  std::vector<OnnxCase> cases;
  for (const char* group : {"node", "simple", "pytorch-operator", "pytorch-converted"}) {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(root / group, ignored)) {
      if (auto found = case_in(entry.path())) cases.push_back(std::move(*found));
    }
  }
  std::sort(cases.begin(), cases.end(), [](const OnnxCase& a, const OnnxCase& b) { return a.name < b.name; });
  return cases;
}

std::string run_onnx_case(const OnnxCase& test) {
  const auto model = read_model(test.folder / "model.onnx");
  if (!model) return "the model cannot be read";
  try {
    for (int i = 0;; ++i) {
      const fs::path data = test.folder / ("test_data_set_" + std::to_string(i));
      if (!fs::is_directory(data)) return i == 0 ? "no data set" : "";
      const std::string wrong = run_data_set(test, model->graph(), data);
      if (!wrong.empty()) return wrong;
    }
  } catch (const Error& error) {
    return error.what();
  }
}

std::map<std::string, std::string> read_skip_list(const fs::path& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  std::map<std::string, std::string> skips;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    const size_t colon = line.find(": ");
    if (colon == 0 || colon == std::string::npos || colon + 2 == line.size()) {
      throw std::runtime_error(path.string() + ": expected 'name: reason', got '" + line + "'");
    }
    if (!skips.emplace(line.substr(0, colon), line.substr(colon + 2)).second) {
      throw std::runtime_error(path.string() + ": listed twice: " + line);
    }
  }
  return skips;
}

}  // namespace xdn::testing
