#pragma once

#include <string>
#include <vector>

#include "base/tensor.h"
#include "caffe.pb.h"

namespace xdn {

/// One network input: a blob and its shape as the file says it (leading extent included).
struct CaffeInput {
  std::string name;
  Dims shape;
};

/// A prototxt brought to one form: only layers of the TEST phase, all of them V2, inputs apart.
struct CaffeNet {
  std::string name;
  std::vector<CaffeInput> inputs;
  /// Blobs that training needs and inference has not: labels from data layers.
  std::vector<std::string> labels;
  /// Everything that is not an input, in order; every layer has a name.
  std::vector<caffe::LayerParameter> layers;
};

/// Throws input errors that name the layer.
CaffeNet normalize_net(caffe::NetParameter parameter);

/// A V1 layer as a V2 one, without its blobs.
caffe::LayerParameter upgrade_v1_layer(const caffe::V1LayerParameter& v1);

/// Whether the include and exclude rules let a layer in.
bool layer_is_included(const caffe::LayerParameter& layer, const caffe::NetState& state);

}  // namespace xdn
