#pragma once

#include <functional>
#include <string>

#include "caffe.pb.h"
#include "xdn_onnx.pb.h"

namespace xdn::testing {

/// A network that knows colours: conv 3x3 (identity in its centre tap), ReLU, global average pool, a layer to
/// three logits in the order blue, green, red. Images are side x side; layers "conv", "relu", "pool",
/// "flatten", "fc".
onnx::ModelProto color_onnx(int side = 8);
/// Writes it, after `edit`, to dir/net.onnx; returns that path.
std::string write_onnx(const std::string& dir, const std::function<void(onnx::ModelProto&)>& edit = {},
                       int side = 8);
/// The node of that name.
onnx::NodeProto& node_named(onnx::ModelProto& model, const std::string& name);
onnx::TensorProto& initializer_named(onnx::ModelProto& model, const std::string& name);
onnx::AttributeProto& attribute_named(onnx::NodeProto& node, const std::string& name);

/// The same network as Caffe layers "data", "conv", "relu", "pool", "fc", "prob".
std::string color_prototxt(int side = 8);
caffe::NetParameter color_caffemodel();
struct CaffeFiles {
  std::string prototxt, caffemodel;
  std::string spec() const { return prototxt + ":" + caffemodel; }
};
/// Writes both, after the edits, to dir/net.prototxt and dir/net.caffemodel.
CaffeFiles write_caffe(const std::string& dir, const std::function<void(std::string&)>& edit_text = {},
                       const std::function<void(caffe::NetParameter&)>& edit_weights = {});
/// The first occurrence of `from`, which must be there, becomes `to`.
void replace(std::string& text, const std::string& from, const std::string& to);

/// A preprocess file that fits the networks above.
std::string color_preprocess(int side = 8);

}  // namespace xdn::testing
