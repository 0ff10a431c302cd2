#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "caffe.pb.h"
#include "formats/caffe/preserved.h"
#include "formats/caffe/weights.h"
#include "graph/graph.h"

namespace xdn {

/// The graph as it grows, and which value each blob name stands for at this point of the file.
struct CaffeImport {
  CaffeImport(const CaffeWeights& caffe_weights, Preserver& fields, int64_t batch)
      : weights(caffe_weights), preserver(fields), declared_batch(batch) {}

  const CaffeWeights& weights;
  Preserver& preserver;
  int64_t declared_batch;  ///< the leading extent that the file gave its input; kBatch in the graph
  Graph graph;
  std::map<std::string, ValueId> blobs;
  std::map<std::string, size_t> last_writer;    ///< blob -> index of the last layer that writes it
  std::map<std::string, std::string> left_out;  ///< blob that inference has not -> why
  std::set<std::string> layers_with_weights;
};

/// What a converter sees of its layer. Converters check the layer's parameters, emit nodes, and give each top
/// a value.
class LayerBuilder {
 public:
  LayerBuilder(CaffeImport& import, const caffe::LayerParameter& layer, size_t index);

  const caffe::LayerParameter& layer;

  /// Throws unless the layer has this many bottoms and tops.
  void expect(int fewest_bottoms, int most_bottoms, int fewest_tops = 1, int most_tops = 1) const;
  size_t bottom_count() const { return bottoms_.size(); }
  size_t top_count() const { return static_cast<size_t>(layer.top_size()); }
  ValueId bottom(size_t i) const { return bottoms_[i]; }
  const Dims& shape(ValueId value) const { return import_.graph.value(value).shape; }
  int64_t declared_batch() const { return import_.declared_batch; }

  /// An axis as Caffe counts it (negative from the end) of a value of this rank, in [0, rank) - or [0, rank]
  /// where `end` allows one past the last.
  int64_t axis(int64_t value, size_t rank, const char* field = "axis", bool end = false) const;
  /// As axis(), and not the batch.
  int64_t axis_within_image(int64_t value, size_t rank, const char* field = "axis") const;

  bool has_weights() const { return import_.weights.blob_count(layer.name()) > 0; }
  int blob_count() const { return import_.weights.blob_count(layer.name()); }
  std::vector<Tensor> weights(const std::vector<Dims>& expected);
  /// Notes that the layer uses what not every reader of Caffe files knows; see PreservedFields.
  void needs(const char* feature) { import_.preserver.add_feature(feature); }
  ValueId constant(const std::string& suffix, Tensor tensor);
  ValueId scalar(const std::string& suffix, float value) { return constant(suffix, Tensor::scalar(value)); }

  /// A node inside the layer, named LAYER, or LAYER/SUFFIX; its output is a value of the layer's own.
  ValueId emit(OpType type, OpAttrs attrs, std::vector<ValueId> inputs, const std::string& suffix);
  /// A node whose output is the layer's top.
  void emit_top(OpType type, OpAttrs attrs, std::vector<ValueId> inputs, const std::string& suffix = "",
                size_t top = 0);

 private:
  ValueId add(OpType type, OpAttrs attrs, std::vector<ValueId> inputs, const std::string& node_name,
              const std::string& output_name);
  std::string node_name(const std::string& suffix) const;
  std::string spare_name(std::string wanted) const;

  CaffeImport& import_;
  size_t index_;
  std::vector<ValueId> bottoms_;
};

/// Product of shape[first, last); none of them may be the batch.
int64_t extent_product(const Dims& shape, size_t first, size_t last);

// window_layers.cc
void convert_convolution(LayerBuilder& builder);
void convert_pooling(LayerBuilder& builder);
void convert_lrn(LayerBuilder& builder);
// weight_layers.cc
void convert_inner_product(LayerBuilder& builder);
void convert_batch_norm(LayerBuilder& builder);
void convert_scale(LayerBuilder& builder);
void convert_bias(LayerBuilder& builder);
void convert_prelu(LayerBuilder& builder);
// pointwise_layers.cc
void convert_relu(LayerBuilder& builder);
void convert_sigmoid(LayerBuilder& builder);
void convert_clip(LayerBuilder& builder);
void convert_power(LayerBuilder& builder);
void convert_softmax(LayerBuilder& builder);
void convert_dropout(LayerBuilder& builder);
void convert_eltwise(LayerBuilder& builder);
// shape_layers.cc
void convert_concat(LayerBuilder& builder);
void convert_slice(LayerBuilder& builder);
void convert_split(LayerBuilder& builder);
void convert_flatten(LayerBuilder& builder);
void convert_reshape(LayerBuilder& builder);

}  // namespace xdn
