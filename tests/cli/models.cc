#include "cli/models.h"

#include <array>
#include <span>
#include <stdexcept>
#include <vector>

#include "cli/fixtures.h"

namespace xdn::testing {
namespace {

/// w[o][i][ky][kx]: 1 where o == i at the centre.
std::vector<float> centre_taps() {
  std::vector<float> w(3 * 3 * 3 * 3, 0.0f);
  for (size_t c = 0; c < 3; ++c) w[((c * 3 + c) * 3 + 1) * 3 + 1] = 1;
  return w;
}

/// w[logit][channel]: logits blue, green, red of channels red, green, blue.
constexpr std::array<float, 9> kToClasses{0, 0, 8, 0, 8, 0, 8, 0, 0};

void add_initializer(onnx::GraphProto& graph, const std::string& name, const std::vector<int64_t>& dims,
                     std::span<const float> values) {
  onnx::TensorProto* tensor = graph.add_initializer();
  tensor->set_name(name);
  tensor->set_data_type(onnx::TensorProto::FLOAT);
  for (const int64_t d : dims) tensor->add_dims(d);
  tensor->set_raw_data(values.data(), values.size_bytes());
}

onnx::NodeProto& add_node(onnx::GraphProto& graph, const std::string& op, const std::string& name,
                          const std::vector<std::string>& inputs, const std::string& output) {
  onnx::NodeProto* node = graph.add_node();
  node->set_op_type(op);
  node->set_name(name);
  for (const std::string& input : inputs) node->add_input(input);
  node->add_output(output);
  return *node;
}

void add_ints(onnx::NodeProto& node, const std::string& name, const std::vector<int64_t>& values) {
  onnx::AttributeProto* attribute = node.add_attribute();
  attribute->set_name(name);
  attribute->set_type(onnx::AttributeProto::INTS);
  for (const int64_t v : values) attribute->add_ints(v);
}

void add_int(onnx::NodeProto& node, const std::string& name, int64_t value) {
  onnx::AttributeProto* attribute = node.add_attribute();
  attribute->set_name(name);
  attribute->set_type(onnx::AttributeProto::INT);
  attribute->set_i(value);
}

void describe(onnx::ValueInfoProto& value, const std::string& name, const std::vector<int64_t>& tail) {
  value.set_name(name);
  onnx::TypeProto_Tensor* tensor = value.mutable_type()->mutable_tensor_type();
  tensor->set_elem_type(onnx::TensorProto::FLOAT);
  tensor->mutable_shape()->add_dim()->set_dim_param("N");
  for (const int64_t d : tail) tensor->mutable_shape()->add_dim()->set_dim_value(d);
}

void add_blob(caffe::LayerParameter& layer, const std::vector<int64_t>& dims, std::span<const float> values) {
  caffe::BlobProto* blob = layer.add_blobs();
  for (const int64_t d : dims) blob->mutable_shape()->add_dim(d);
  for (const float v : values) blob->add_data(v);
}

}  // namespace

onnx::ModelProto color_onnx(int side) {
  onnx::ModelProto model;
  model.set_ir_version(8);
  onnx::OperatorSetIdProto* opset = model.add_opset_import();
  opset->set_domain("");
  opset->set_version(13);
  onnx::GraphProto& graph = *model.mutable_graph();
  graph.set_name("colors");
  describe(*graph.add_input(), "image", {3, side, side});
  describe(*graph.add_output(), "logits", {3});
  add_initializer(graph, "conv.w", {3, 3, 3, 3}, centre_taps());
  add_initializer(graph, "fc.w", {3, 3}, kToClasses);
  add_initializer(graph, "fc.b", {3}, std::array<float, 3>{0, 0, 0});
  onnx::NodeProto& conv = add_node(graph, "Conv", "conv", {"image", "conv.w"}, "conv.y");
  add_ints(conv, "kernel_shape", {3, 3});
  add_ints(conv, "strides", {1, 1});
  add_ints(conv, "dilations", {1, 1});
  add_ints(conv, "pads", {1, 1, 1, 1});
  add_int(conv, "group", 1);
  add_node(graph, "Relu", "relu", {"conv.y"}, "relu.y");
  add_node(graph, "GlobalAveragePool", "pool", {"relu.y"}, "pool.y");
  add_node(graph, "Flatten", "flatten", {"pool.y"}, "flatten.y");
  add_int(add_node(graph, "Gemm", "fc", {"flatten.y", "fc.w", "fc.b"}, "logits"), "transB", 1);
  return model;
}

std::string write_onnx(const std::string& dir, const std::function<void(onnx::ModelProto&)>& edit, int side) {
  onnx::ModelProto model = color_onnx(side);
  if (edit) edit(model);
  const std::string path = dir + "/net.onnx";
  write_text(path, model.SerializeAsString());
  return path;
}

onnx::NodeProto& node_named(onnx::ModelProto& model, const std::string& name) {
  for (onnx::NodeProto& node : *model.mutable_graph()->mutable_node()) {
    if (node.name() == name) return node;
  }
  throw std::runtime_error("no node " + name);
}

onnx::TensorProto& initializer_named(onnx::ModelProto& model, const std::string& name) {
  for (onnx::TensorProto& tensor : *model.mutable_graph()->mutable_initializer()) {
    if (tensor.name() == name) return tensor;
  }
  throw std::runtime_error("no initializer " + name);
}

onnx::AttributeProto& attribute_named(onnx::NodeProto& node, const std::string& name) {
  for (onnx::AttributeProto& attribute : *node.mutable_attribute()) {
    if (attribute.name() == name) return attribute;
  }
  throw std::runtime_error("no attribute " + name);
}

std::string color_prototxt(int side) {
  const std::string s = std::to_string(side);
  return "name: \"colors\"\n"
         "layer { name: \"data\" type: \"Input\" top: \"data\"\n"
         "  input_param { shape { dim: 1 dim: 3 dim: " +
         s + " dim: " + s +
         " } } }\n"
         "layer { name: \"conv\" type: \"Convolution\" bottom: \"data\" top: \"conv\"\n"
         "  convolution_param { num_output: 3 bias_term: false pad: 1 kernel_size: 3 stride: 1 } }\n"
         "layer { name: \"relu\" type: \"ReLU\" bottom: \"conv\" top: \"conv\" }\n"
         "layer { name: \"pool\" type: \"Pooling\" bottom: \"conv\" top: \"pool\"\n"
         "  pooling_param { pool: AVE global_pooling: true } }\n"
         "layer { name: \"fc\" type: \"InnerProduct\" bottom: \"pool\" top: \"fc\"\n"
         "  inner_product_param { num_output: 3 } }\n"
         "layer { name: \"prob\" type: \"Softmax\" bottom: \"fc\" top: \"prob\" }\n";
}

caffe::NetParameter color_caffemodel() {
  caffe::NetParameter net;
  net.set_name("colors");
  caffe::LayerParameter& conv = *net.add_layer();
  conv.set_name("conv");
  conv.set_type("Convolution");
  add_blob(conv, {3, 3, 3, 3}, centre_taps());
  caffe::LayerParameter& fc = *net.add_layer();
  fc.set_name("fc");
  fc.set_type("InnerProduct");
  add_blob(fc, {3, 3}, kToClasses);
  add_blob(fc, {3}, std::array<float, 3>{0, 0, 0});
  return net;
}

CaffeFiles write_caffe(const std::string& dir, const std::function<void(std::string&)>& edit_text,
                       const std::function<void(caffe::NetParameter&)>& edit_weights) {
  std::string text = color_prototxt();
  if (edit_text) edit_text(text);
  caffe::NetParameter weights = color_caffemodel();
  if (edit_weights) edit_weights(weights);
  const CaffeFiles files{dir + "/net.prototxt", dir + "/net.caffemodel"};
  write_text(files.prototxt, text);
  write_text(files.caffemodel, weights.SerializeAsString());
  return files;
}

void replace(std::string& text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  if (at == std::string::npos) throw std::runtime_error("'" + from + "' is not there");
  text.replace(at, from.size(), to);
}

std::string color_preprocess(int side) {
  const std::string s = std::to_string(side);
  return "{\"color\": \"RGB\", \"scale\": 0.00392156862745098, \"mean\": [0.5, 0.5, 0.5], \"std\": [0.25, "
         "0.25, 0.25], "
         "\"size\": [" +
         s + ", " + s + "], \"classes\": [\"blue\", \"green\", \"red\"]}";
}

}  // namespace xdn::testing
