#include <algorithm>
#include <set>
#include <string_view>

#include "base/error.h"
#include "formats/caffe/caffe_file.h"
#include "formats/caffe/layer_builder.h"
#include "formats/caffe/net.h"
#include "formats/caffe/preserved.h"
#include "formats/model_io.h"

namespace xdn {
namespace {

using Converter = void (*)(LayerBuilder&);

const std::map<std::string_view, Converter>& converters() {
  static const std::map<std::string_view, Converter> kConverters = {
      {"BatchNorm", convert_batch_norm},
      {"Bias", convert_bias},
      {"Clip", convert_clip},
      {"Concat", convert_concat},
      {"Convolution", convert_convolution},
      {"Dropout", convert_dropout},
      {"Eltwise", convert_eltwise},
      {"Flatten", convert_flatten},
      {"InnerProduct", convert_inner_product},
      {"LRN", convert_lrn},
      {"PReLU", convert_prelu},
      {"Pooling", convert_pooling},
      {"Power", convert_power},
      {"ReLU", convert_relu},
      {"Reshape", convert_reshape},
      {"Scale", convert_scale},
      {"Sigmoid", convert_sigmoid},
      {"Slice", convert_slice},
      {"Softmax", convert_softmax},
      {"Split", convert_split},
  };
  return kConverters;
}

/// Layers that measure or swallow: inference leaves them out, and what they read counts as not read.
bool is_left_out(const std::string& type) {
  static const std::set<std::string_view> kTypes = {
      "Accuracy",     "ContrastiveLoss",         "EuclideanLoss",           "HDF5Output", "HingeLoss",
      "InfogainLoss", "MultinomialLogisticLoss", "SigmoidCrossEntropyLoss", "Silence",    "SoftmaxWithLoss"};
  return kTypes.contains(type);
}

/// Layers whose bottoms after the first are class labels.
bool compares_with_labels(const std::string& type) {
  static const std::set<std::string_view> kTypes = {"Accuracy", "HingeLoss", "InfogainLoss",
                                                    "MultinomialLogisticLoss", "SoftmaxWithLoss"};
  return kTypes.contains(type);
}

/// Which layers stay, and which blobs inference has not (with the reason, for whoever asks for one).
struct Selection {
  std::vector<bool> stays;
  std::map<std::string, std::string> left_out;
  std::set<std::string> silenced;  ///< blobs that a Silence layer keeps from being outputs
};

/// Layers that make nothing but labels for layers that measure, looked for from the last layer back.
std::vector<bool> find_label_makers(const CaffeNet& net) {
  std::vector<bool> out(net.layers.size(), false);
  std::set<std::string> labels, read;
  for (size_t i = net.layers.size(); i-- > 0;) {
    const auto& layer = net.layers[i];
    if (is_left_out(layer.type())) {
      if (!compares_with_labels(layer.type())) continue;
      for (int bottom = 1; bottom < layer.bottom_size(); ++bottom) labels.insert(layer.bottom(bottom));
      continue;
    }
    out[i] = layer.top_size() > 0 &&
             std::all_of(layer.top().begin(), layer.top().end(),
                         [&](const std::string& top) { return labels.contains(top) && !read.contains(top); });
    (out[i] ? labels : read).insert(layer.bottom().begin(), layer.bottom().end());
  }
  return out;
}

Selection select_layers(const CaffeNet& net) {
  Selection out;
  for (const std::string& label : net.labels) out.left_out[label] = "is a label, which inference has not";
  const std::vector<bool> makes_labels = find_label_makers(net);
  for (size_t i = 0; i < net.layers.size(); ++i) {
    const auto& layer = net.layers[i];
    const bool reads_nothing_else =
        layer.bottom_size() > 0 && std::all_of(layer.bottom().begin(), layer.bottom().end(),
                                               [&](const auto& name) { return out.left_out.contains(name); });
    if (layer.type() == "Silence") out.silenced.insert(layer.bottom().begin(), layer.bottom().end());
    out.stays.push_back(!is_left_out(layer.type()) && !makes_labels[i] && !reads_nothing_else);
    for (const std::string& top : layer.top()) {
      if (out.stays.back()) {
        out.left_out.erase(top);
      } else {
        out.left_out[top] = "comes from layer '" + printable(layer.name()) + "' (" + printable(layer.type()) +
                            "), which inference leaves out";
      }
    }
  }
  return out;
}

/// Inputs that a layer at work reads become graph inputs; those that only loss layers read (labels) do not.
void add_inputs(const CaffeNet& net, const Selection& selection, CaffeImport& import) {
  std::set<std::string> read;
  for (size_t i = 0; i < net.layers.size(); ++i) {
    if (selection.stays[i]) read.insert(net.layers[i].bottom().begin(), net.layers[i].bottom().end());
  }
  std::set<std::string> declared;
  bool first = true;
  for (const CaffeInput& input : net.inputs) {
    if (!declared.insert(input.name).second)
      throw input_error("declares input '" + printable(input.name) + "' twice");
    if (!read.contains(input.name)) {
      import.left_out[input.name] = "is an input that only layers read which inference leaves out";
      continue;
    }
    if (first) import.declared_batch = input.shape[0];
    if (input.shape[0] != import.declared_batch) {
      throw input_error("input '" + printable(input.name) + "' has a batch of " +
                        std::to_string(input.shape[0]) + ", the inputs before have " +
                        std::to_string(import.declared_batch));
    }
    first = false;
    Dims shape = input.shape;
    shape[0] = kBatch;
    import.blobs[input.name] = import.graph.add_input(input.name, DType::kF32, std::move(shape));
  }
}

/// A top may repeat the name of a blob only in place: where it is also the bottom of the same rank.
void check_tops(const caffe::LayerParameter& layer, const CaffeImport& import) {
  std::set<std::string> own;
  for (int i = 0; i < layer.top_size(); ++i) {
    const std::string& top = layer.top(i);
    if (top.empty()) throw input_error("has a top without a name");
    if (!own.insert(top).second) throw input_error("has top '" + printable(top) + "' twice");
    const bool in_place = i < layer.bottom_size() && layer.bottom(i) == top;
    if (!in_place && import.blobs.contains(top)) {
      throw input_error("top '" + printable(top) + "' is already the top of a layer before");
    }
  }
}

void convert_layer(CaffeImport& import, const caffe::LayerParameter& layer, size_t index) {
  const auto found = converters().find(layer.type());
  if (found == converters().end())
    throw input_error("layer type '" + printable(layer.type()) + "' is not supported");
  check_tops(layer, import);
  LayerBuilder builder(import, layer, index);
  found->second(builder);
}

/// The blobs that nobody reads, in the order of the layers that make them.
std::vector<ValueId> find_outputs(const CaffeNet& net, const Selection& selection,
                                  const CaffeImport& import) {
  const auto users = import.graph.users();
  std::vector<ValueId> out;
  for (size_t i = 0; i < net.layers.size(); ++i) {
    if (!selection.stays[i]) continue;
    for (const std::string& top : net.layers[i].top()) {
      const ValueId value = import.blobs.at(top);
      const bool last = import.last_writer.at(top) == i;
      if (last && users[static_cast<size_t>(value)].empty() && !selection.silenced.contains(top))
        out.push_back(value);
    }
  }
  if (out.empty()) throw input_error("has no outputs: every blob is read by some layer");
  return out;
}

Graph build_graph(const CaffeNet& net, const CaffeWeights& weights, Preserver& preserver) {
  const Selection selection = select_layers(net);
  CaffeImport import(weights, preserver, 1);
  import.left_out = selection.left_out;
  import.graph.name = net.name;
  import.graph.metadata["source_layers"] = std::to_string(net.layers.size());
  for (size_t i = 0; i < net.layers.size(); ++i) {
    if (!selection.stays[i]) continue;
    for (const std::string& top : net.layers[i].top()) import.last_writer[top] = i;
  }
  add_inputs(net, selection, import);
  for (size_t i = 0; i < net.layers.size(); ++i) {
    if (!selection.stays[i]) continue;
    try {
      convert_layer(import, net.layers[i], i);
    } catch (Error& error) {
      error.in_layer(net.layers[i].name());
      throw;
    }
  }
  if (import.graph.inputs().empty()) {
    throw input_error("has no layer that reads input '" + printable(net.inputs[0].name) + "'");
  }
  import.graph.set_outputs(find_outputs(net, selection, import));
  preserver.store(import.graph.metadata);
  verify(import.graph);
  return std::move(import.graph);
}

}  // namespace

Graph import_caffe(const std::string& prototxt, const std::string& caffemodel) {
  Prototxt parsed = read_prototxt(prototxt);
  auto model = read_caffemodel(caffemodel);
  try {
    Preserver preserver(parsed.text, parsed.net);
    for (const auto& layer : model->net.layer()) preserver.add_wire(layer);
    const CaffeWeights weights(std::move(model), caffemodel);
    return build_graph(normalize_net(std::move(parsed.net)), weights, preserver);
  } catch (Error& error) {
    error.in_file(prototxt);
    throw;
  }
}

}  // namespace xdn
