#pragma once

#include <map>
#include <string>

#include "caffe.pb.h"
#include "formats/caffe/unknown_text.h"
#include "graph/graph.h"

namespace xdn {

/// What a Caffe file says about a network beyond what a Graph holds. It travels in graph.metadata:
///   caffe.preserved  prototxt: for each layer that has any, name, type, and the fields that do not change
///   what
///                    it computes (fillers, learning rates, Cambricon's quantization), unknown ones included
///   caffe.unknown    caffemodel: unknown fields per layer, in wire format and hexadecimal
///   caffe.weights    layer and checksum of weights whose quantization the prototxt holds: "HASH NAME" lines
///   caffe.features   what the file uses that not every reader of Caffe files knows: bias, clip, normalise,
///                    round_mode
class PreservedFields {
 public:
  /// Reads the metadata; what it cannot read it ignores.
  explicit PreservedFields(const Graph& graph);

  /// Adds what the file said about a layer of this name and type to the layer as the graph gives it. weights
  /// (null: none): quantization goes where they have changed, and the layer is reported. Quantization that
  /// the layer has already takes the place of the file's.
  void restore(caffe::LayerParameter& layer, const Tensor* weights) const;
  /// The known fields among them; null where the file had no such layer with any.
  const caffe::LayerParameter* find(const std::string& layer, const std::string& type) const;
  /// Whether these are the weights whose quantization the file gave.
  bool same_weights(const std::string& layer, const Tensor& weights) const;
  /// The same as restore for the unknown fields of the prototxt, given the layer's text.
  std::string restore_text(const caffe::LayerParameter& layer, const std::string& printed) const;
  /// And for those of the caffemodel.
  void restore_wire(caffe::LayerParameter& layer) const;
  /// Fields of the network itself, as text.
  const std::string& network() const { return network_; }

 private:
  struct Layer {
    caffe::LayerParameter known;
    UnknownText unknown;
  };
  const Layer* find_layer(const std::string& layer, const std::string& type) const;

  std::string network_;
  std::map<std::string, Layer> layers_;
  std::map<std::string, std::string> wire_, weights_;
};

/// Collects the metadata while a file is read.
class Preserver {
 public:
  /// text is the whole prototxt, parsed its message.
  Preserver(const std::string& text, const caffe::NetParameter& parsed);

  /// One layer of the caffemodel; names are unique there where it counts.
  void add_wire(const caffe::LayerParameter& layer);
  void add_weights(const std::string& layer, const Tensor& weights);
  void add_feature(const std::string& name);
  void store(std::map<std::string, std::string>& metadata) const;

 private:
  std::string preserved_, weights_, features_;
  caffe::NetParameter wire_;
};

}  // namespace xdn
