#include "formats/caffe/net.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "base/error.h"

namespace xdn {
namespace {

using V1 = caffe::V1LayerParameter;

const char* v1_type_name(V1::LayerType type) {
  switch (type) {
    case V1::NONE:
      return "";
    case V1::ABSVAL:
      return "AbsVal";
    case V1::ACCURACY:
      return "Accuracy";
    case V1::ARGMAX:
      return "ArgMax";
    case V1::BNLL:
      return "BNLL";
    case V1::CONCAT:
      return "Concat";
    case V1::CONTRASTIVE_LOSS:
      return "ContrastiveLoss";
    case V1::CONVOLUTION:
      return "Convolution";
    case V1::DATA:
      return "Data";
    case V1::DECONVOLUTION:
      return "Deconvolution";
    case V1::DROPOUT:
      return "Dropout";
    case V1::DUMMY_DATA:
      return "DummyData";
    case V1::EUCLIDEAN_LOSS:
      return "EuclideanLoss";
    case V1::ELTWISE:
      return "Eltwise";
    case V1::EXP:
      return "Exp";
    case V1::FLATTEN:
      return "Flatten";
    case V1::HDF5_DATA:
      return "HDF5Data";
    case V1::HDF5_OUTPUT:
      return "HDF5Output";
    case V1::HINGE_LOSS:
      return "HingeLoss";
    case V1::IM2COL:
      return "Im2col";
    case V1::IMAGE_DATA:
      return "ImageData";
    case V1::INFOGAIN_LOSS:
      return "InfogainLoss";
    case V1::INNER_PRODUCT:
      return "InnerProduct";
    case V1::LRN:
      return "LRN";
    case V1::MEMORY_DATA:
      return "MemoryData";
    case V1::MULTINOMIAL_LOGISTIC_LOSS:
      return "MultinomialLogisticLoss";
    case V1::MVN:
      return "MVN";
    case V1::POOLING:
      return "Pooling";
    case V1::POWER:
      return "Power";
    case V1::RELU:
      return "ReLU";
    case V1::SIGMOID:
      return "Sigmoid";
    case V1::SIGMOID_CROSS_ENTROPY_LOSS:
      return "SigmoidCrossEntropyLoss";
    case V1::SILENCE:
      return "Silence";
    case V1::SOFTMAX:
      return "Softmax";
    case V1::SOFTMAX_LOSS:
      return "SoftmaxWithLoss";
    case V1::SPLIT:
      return "Split";
    case V1::SLICE:
      return "Slice";
    case V1::TANH:
      return "TanH";
    case V1::WINDOW_DATA:
      return "WindowData";
    case V1::THRESHOLD:
      return "Threshold";
  }
  return "";
}

bool rule_is_met(const caffe::NetStateRule& rule, const caffe::NetState& state) {
  if (rule.has_phase() && rule.phase() != state.phase()) return false;
  if (rule.has_min_level() && state.level() < rule.min_level()) return false;
  if (rule.has_max_level() && state.level() > rule.max_level()) return false;
  const auto has_stage = [&](const std::string& stage) {
    return std::find(state.stage().begin(), state.stage().end(), stage) != state.stage().end();
  };
  return std::all_of(rule.stage().begin(), rule.stage().end(), has_stage) &&
         std::none_of(rule.not_stage().begin(), rule.not_stage().end(), has_stage);
}

Dims checked_input_shape(const std::string& blob, Dims shape) {
  const auto fault = [&](const char* what) {
    return input_error("input '" + printable(blob) + "' has shape " + to_string(shape) + ": " + what);
  };
  if (shape.empty()) throw input_error("input '" + printable(blob) + "' has no shape");
  if (shape.size() > 8) throw input_error("input '" + printable(blob) + "' has more than 8 axes");
  for (const int64_t dim : shape) {
    if (dim <= 0) throw fault("every extent must be at least 1");
  }
  element_count(shape, sizeof(float));
  return shape;
}

Dims dims_of(const caffe::BlobShape& shape) { return {shape.dim().begin(), shape.dim().end()}; }

/// input + input_shape, or input + four input_dim each.
void take_declared_inputs(const caffe::NetParameter& net, CaffeNet& out) {
  const int count = net.input_size();
  const bool by_shape = net.input_shape_size() > 0;
  if (by_shape && net.input_shape_size() != count) {
    throw input_error("has " + std::to_string(count) + " 'input' but " +
                      std::to_string(net.input_shape_size()) + " 'input_shape'; expected one each");
  }
  if (!by_shape && int64_t{net.input_dim_size()} != int64_t{4} * count) {
    throw input_error("has " + std::to_string(count) + " 'input' but " +
                      std::to_string(net.input_dim_size()) + " 'input_dim'; expected four each");
  }
  for (int i = 0; i < count; ++i) {
    Dims shape;
    if (by_shape) {
      shape = dims_of(net.input_shape(i));
    } else {
      for (int axis = 0; axis < 4; ++axis) shape.push_back(net.input_dim(4 * i + axis));
    }
    out.inputs.push_back({net.input(i), checked_input_shape(net.input(i), std::move(shape))});
  }
}

void take_input_layer(const caffe::LayerParameter& layer, CaffeNet& out) {
  const auto& shapes = layer.input_param().shape();
  if (layer.top_size() == 0) throw input_error("an Input layer needs a top");
  if (shapes.size() != 1 && shapes.size() != layer.top_size()) {
    throw input_error("has " + std::to_string(layer.top_size()) + " tops but " +
                      std::to_string(shapes.size()) +
                      " shapes in input_param; expected one for all or one each");
  }
  for (int i = 0; i < layer.top_size(); ++i) {
    const auto& shape = shapes.size() == 1 ? shapes.Get(0) : shapes.Get(i);
    out.inputs.push_back({layer.top(i), checked_input_shape(layer.top(i), dims_of(shape))});
  }
}

bool is_data_layer(std::string_view type) {
  static const std::set<std::string_view> kTypes = {"Data",       "ImageData", "HDF5Data",     "MemoryData",
                                                    "WindowData", "DummyData", "AnnotatedData"};
  return kTypes.contains(type);
}

/// A data layer's first top is the image, the others are labels.
void take_data_layer(const caffe::LayerParameter& layer, CaffeNet& out) {
  if (layer.top_size() == 0) throw input_error("a data layer needs a top");
  const auto& transform = layer.transform_param();
  const int64_t crop = transform.crop_size();
  if (crop == 0) {
    throw input_error("type '" + printable(layer.type()) +
                      "' does not say the input's shape; expected an Input layer, or input with input_dim");
  }
  const int64_t channels = transform.force_gray() ? 1 : 3;
  out.inputs.push_back({layer.top(0), checked_input_shape(layer.top(0), {1, channels, crop, crop})});
  for (int i = 1; i < layer.top_size(); ++i) out.labels.push_back(layer.top(i));
}

void check_rules(const caffe::LayerParameter& layer) {
  if (layer.include_size() > 0 && layer.exclude_size() > 0) {
    throw input_error("has both include and exclude rules; expected one kind");
  }
}

}  // namespace

caffe::LayerParameter upgrade_v1_layer(const V1& v1) {
  if (v1.has_layer()) {
    throw input_error(
        "is written in Caffe's V0 format; upgrade it with Caffe's upgrade_net_proto_text first");
  }
  caffe::LayerParameter v2;
  v2.set_name(v1.name());
  v2.set_type(v1_type_name(v1.type()));
  *v2.mutable_bottom() = v1.bottom();
  *v2.mutable_top() = v1.top();
  *v2.mutable_include() = v1.include();
  *v2.mutable_exclude() = v1.exclude();
#define XDN_COPY(field) \
  if (v1.has_##field()) *v2.mutable_##field() = v1.field();
  XDN_COPY(argmax_param)
  XDN_COPY(concat_param)
  XDN_COPY(convolution_param)
  XDN_COPY(dropout_param)
  XDN_COPY(eltwise_param)
  XDN_COPY(inner_product_param)
  XDN_COPY(lrn_param)
  XDN_COPY(pooling_param)
  XDN_COPY(power_param)
  XDN_COPY(relu_param)
  XDN_COPY(sigmoid_param)
  XDN_COPY(softmax_param)
  XDN_COPY(slice_param)
  XDN_COPY(transform_param)
#undef XDN_COPY
  return v2;
}

bool layer_is_included(const caffe::LayerParameter& layer, const caffe::NetState& state) {
  const auto met = [&](const caffe::NetStateRule& rule) { return rule_is_met(rule, state); };
  if (layer.include_size() > 0) return std::any_of(layer.include().begin(), layer.include().end(), met);
  return std::none_of(layer.exclude().begin(), layer.exclude().end(), met);
}

CaffeNet normalize_net(caffe::NetParameter net) {
  if (net.layer_size() > 0 && net.layers_size() > 0) {
    throw input_error("mixes 'layer' and 'layers'; expected one kind");
  }
  if (net.layer_size() == 0 && net.layers_size() == 0) throw input_error("has no layers");
  caffe::NetState state = net.state();
  state.set_phase(caffe::TEST);

  CaffeNet out;
  out.name = net.name();
  take_declared_inputs(net, out);
  const int count = std::max(net.layer_size(), net.layers_size());
  for (int i = 0; i < count; ++i) {
    const bool v1 = net.layers_size() > 0;
    std::string name = v1 ? net.layers(i).name() : net.layer(i).name();
    if (name.empty()) name.append(1, '#').append(std::to_string(i + 1));
    try {
      caffe::LayerParameter layer;
      if (v1) {
        layer = upgrade_v1_layer(net.layers(i));
      } else {
        layer.Swap(net.mutable_layer(i));
      }
      layer.set_name(name);
      check_rules(layer);
      if (!layer_is_included(layer, state)) continue;
      if (layer.type().empty()) throw input_error("has no type");
      if (layer.type() == "Input") {
        take_input_layer(layer, out);
      } else if (is_data_layer(layer.type())) {
        take_data_layer(layer, out);
      } else {
        out.layers.push_back(std::move(layer));
      }
    } catch (Error& error) {
      error.in_layer(name);
      throw;
    }
  }
  if (out.inputs.empty()) {
    throw input_error("has no input in the TEST phase; expected an Input layer, or input with input_dim");
  }
  if (out.layers.empty()) throw input_error("has no layers in the TEST phase besides its inputs");
  return out;
}

}  // namespace xdn
