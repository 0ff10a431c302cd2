#include "formats/caffe/exporter.h"

#include <algorithm>
#include <limits>

namespace xdn {
namespace {

void export_node(CaffeExport& out, const Node& node) {
  switch (node.type) {
    case OpType::kConv:
      return export_convolution(out, node);
    case OpType::kGemm:
      return export_gemm(out, node);
    case OpType::kMatMul:
      return export_matmul(out, node);
    case OpType::kBatchNorm:
      return export_batch_norm(out, node);
    case OpType::kPRelu:
      return export_prelu(out, node);
    case OpType::kRelu:
    case OpType::kLeakyRelu:
    case OpType::kClip:
    case OpType::kSigmoid:
    case OpType::kIdentity:
      return export_activation_node(out, node);
    case OpType::kAdd:
      if (export_biased_matmul(out, node)) return;
      return export_arithmetic(out, node);
    case OpType::kSub:
    case OpType::kMul:
    case OpType::kDiv:
    case OpType::kPow:
    case OpType::kMax:
      return export_arithmetic(out, node);
    case OpType::kMaxPool:
    case OpType::kAveragePool:
      return export_pool(out, node);
    case OpType::kGlobalAveragePool:
    case OpType::kReduceMean:
      return export_global_pool(out, node);
    case OpType::kLrn:
      return export_lrn(out, node);
    case OpType::kReshape:
      return export_reshape(out, node);
    case OpType::kFlatten:
      return export_flatten(out, node);
    case OpType::kConcat:
      return export_concat(out, node);
    case OpType::kSlice:
      return export_slice(out, node);
    case OpType::kSoftmax:
      return export_softmax(out, node);
    case OpType::kPad:
      return export_pad(out, node);
    case OpType::kQuantizeLinear:
    case OpType::kDequantizeLinear:
      throw not_in_caffe(node, "its layers compute in float");
    case OpType::kHardSigmoid:
    case OpType::kHardSwish:
    case OpType::kTranspose:
    case OpType::kGather:
    case OpType::kCast:
      throw not_in_caffe(node);
  }
}

void expect_float(const Graph& graph, const Node& node) {
  const DType dtype = graph.value(node.output).dtype;
  const bool quantizes = node.type == OpType::kQuantizeLinear || node.type == OpType::kDequantizeLinear;
  if (dtype == DType::kF32 || quantizes) return;
  throw input_error("computes in " + std::string(dtype_name(dtype)) + ", Caffe's layers in f32");
}

}  // namespace

Error not_in_caffe(const Node& node, const std::string& why) {
  return input_error(std::string(op_info(node.type).name) + " has no counterpart in Caffe" +
                     (why.empty() ? "" : ": " + why));
}

std::string shared_layer_name(const std::string& first, const std::string& second) {
  return second.starts_with(first + "/") ? first : second;
}

CaffeExport::CaffeExport(const Graph& source, const MluLayers& mlu)
    : graph(source), mlu_(mlu), users_(source.users()) {
  for (size_t i = 0; i < graph.value_count(); ++i) {
    blobs_.push_back(graph.value(static_cast<ValueId>(i)).name);
    blob_names_.insert(blobs_.back());
  }
  for (const NodeId id : graph.order()) node_names_.insert(graph.node(id).name);
}

CaffeLayer& CaffeExport::add(const char* type, const std::string& name,
                             const std::vector<std::string>& bottoms, const std::vector<std::string>& tops) {
  CaffeLayer& layer = group_.emplace_back();
  layer.proto.set_name(name);
  layer.proto.set_type(type);
  for (const std::string& bottom : bottoms) layer.proto.add_bottom(bottom);
  for (const std::string& top : tops) layer.proto.add_top(top);
  return layer;
}

/// Importing names the versions of a blob that layers overwrite BLOB/LAYER, and the last one BLOB.
const std::string& CaffeExport::blob_in_place(ValueId x, ValueId y) {
  if (sole_producer(x) != nullptr && graph.value(x).name.starts_with(blob(y) + "/")) {
    blobs_[static_cast<size_t>(x)] = blob(y);
  }
  return blob(x);
}

std::string CaffeExport::fresh_blob(const std::string& wanted) {
  std::string name = wanted;
  for (size_t i = 1; !blob_names_.insert(name).second; ++i) name = wanted + "." + std::to_string(i);
  return name;
}

std::string CaffeExport::unique_layer(const std::string& wanted) {
  std::string name = wanted;
  for (size_t i = 1; !layer_names_.insert(name).second; ++i) name = wanted + "." + std::to_string(i);
  return name;
}

std::string CaffeExport::layer_name(const Node& node) { return unique_layer(xdn::layer_name(graph, node)); }

std::string CaffeExport::layer_name(const Node& node, const std::string& suffix) {
  std::string wanted = xdn::layer_name(graph, node) + "/" + suffix;
  while (node_names_.contains(wanted)) wanted += '_';
  return unique_layer(wanted);
}

const Tensor& CaffeExport::constant(ValueId id, const char* what) const {
  if (!graph.is_constant(id)) throw input_error(std::string("computes its ") + what + ", Caffe stores them");
  const Tensor& tensor = graph.constant(id);
  if (tensor.dtype() != DType::kF32) {
    throw input_error(std::string("has ") + what + " of type " + std::string(dtype_name(tensor.dtype())) +
                      ", Caffe's are f32");
  }
  return tensor;
}

const Node* CaffeExport::sole_producer(ValueId id) const {
  const Value& value = graph.value(id);
  const bool sole = value.producer != kNoNode && readers(id).size() == 1 && !graph.is_output(id);
  return sole ? &graph.node(value.producer) : nullptr;
}

const MluLayer* CaffeExport::mlu(const Node& node) const {
  const auto found = mlu_.find(graph.value(node.output).producer);
  return found == mlu_.end() ? nullptr : &found->second;
}

bool CaffeExport::has_feature(const std::string& name) const {
  const auto found = graph.metadata.find("caffe.features");
  return found != graph.metadata.end() &&
         (" " + found->second + " ").find(" " + name + " ") != std::string::npos;
}

void CaffeExport::add_activation(const Node& node, const Activation& act, const std::string& blob) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  switch (act.kind) {
    case ActKind::kNone:
      return;
    case ActKind::kRelu:
    case ActKind::kLeakyRelu: {
      auto& relu = add("ReLU", layer_name(node, "relu"), {blob}, {blob}).proto;
      if (act.kind == ActKind::kLeakyRelu) relu.mutable_relu_param()->set_negative_slope(act.a);
      return;
    }
    case ActKind::kClip:
      if (act.a == 0 && act.b == kInfinity) return add_activation(node, {ActKind::kRelu, 0, 0}, blob);
      if (!has_feature("clip")) {
        throw input_error("Clip, the activation of this " + std::string(op_info(node.type).name) +
                          ", has no counterpart in Caffe");
      }
      auto& clip = *add("Clip", layer_name(node, "clip"), {blob}, {blob}).proto.mutable_clip_param();
      clip.set_min(std::max(act.a, std::numeric_limits<float>::lowest()));
      clip.set_max(std::min(act.b, std::numeric_limits<float>::max()));
      return;
  }
}

/// What no layer reads is an output of a Caffe network, in the order of the layers. Where that differs from
/// the graph's outputs, copies of them end the network.
void CaffeExport::finish_outputs(std::deque<CaffeLayer>& layers) {
  std::vector<std::string> wanted, unread;
  for (const ValueId id : graph.outputs()) wanted.push_back(graph.value(id).name);
  for (const CaffeLayer& layer : layers) {
    const auto forget = [&](const std::string& blob) { std::erase(unread, blob); };
    std::for_each(layer.proto.bottom().begin(), layer.proto.bottom().end(), forget);
    std::for_each(layer.proto.top().begin(), layer.proto.top().end(), forget);
    unread.insert(unread.end(), layer.proto.top().begin(), layer.proto.top().end());
  }
  if (unread == wanted) return;
  for (const ValueId id : graph.outputs()) {
    const std::string& name = graph.value(id).name;
    const auto fault = [&](const char* what) {
      return input_error("output '" + printable(name) + "' " + what + ", which Caffe cannot say");
    };
    if (graph.value(id).producer == kNoNode) throw fault("is computed by no layer");
    if (std::count(wanted.begin(), wanted.end(), name) > 1) throw fault("stands twice");
    const std::string inside = fresh_blob(name + "/inside");
    for (CaffeLayer& layer : layers) {
      std::replace(layer.proto.mutable_bottom()->begin(), layer.proto.mutable_bottom()->end(), name, inside);
      std::replace(layer.proto.mutable_top()->begin(), layer.proto.mutable_top()->end(), name, inside);
    }
    add("Split", unique_layer(name + "/output"), {inside}, {name});
  }
  layers.insert(layers.end(), std::make_move_iterator(group_.begin()), std::make_move_iterator(group_.end()));
  group_.clear();
}

void CaffeExport::add_inputs() {
  for (const ValueId id : graph.inputs()) {
    if (readers(id).empty()) continue;
    const Value& value = graph.value(id);
    if (value.dtype != DType::kF32 || value.shape.empty()) {
      throw input_error("input '" + printable(value.name) + "' is " + std::string(dtype_name(value.dtype)) +
                        to_string(value.shape) + "; Caffe's inputs are f32 with a batch");
    }
    CaffeLayer& layer = add("Input", unique_layer(value.name), {}, {value.name});
    auto& shape = *layer.proto.mutable_input_param()->add_shape();
    for (const int64_t extent : value.shape) shape.add_dim(extent == kBatch ? 1 : extent);
  }
}

std::deque<CaffeLayer> CaffeExport::run() {
  std::deque<CaffeLayer> layers;
  const auto put_first = [&] {
    layers.insert(layers.begin(), std::make_move_iterator(group_.begin()),
                  std::make_move_iterator(group_.end()));
    group_.clear();
  };
  for (auto id = graph.order().rbegin(); id != graph.order().rend(); ++id) {
    const Node& node = graph.node(*id);
    if (is_absorbed(node)) continue;
    try {
      expect_float(graph, node);
      export_node(*this, node);
    } catch (Error& error) {
      error.in_layer(xdn::layer_name(graph, node));
      throw;
    }
    put_first();
  }
  add_inputs();
  put_first();
  finish_outputs(layers);
  return layers;
}

}  // namespace xdn
