#pragma once

#include <deque>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "caffe.pb.h"
#include "graph/graph.h"
#include "graph/mlu.h"

namespace xdn {

/// A layer to be written; its weights are apart, so that none is copied before its turn comes.
struct CaffeLayer {
  caffe::LayerParameter proto;
  std::vector<Tensor> blobs;
};

/// The layers of a graph, made from its last node back to its first: a node decides which nodes before it its
/// layer takes in (a bias, a flatten) and which of its inputs it overwrites in place.
class CaffeExport {
 public:
  /// The graph has no Identity that could be left out, and no dead nodes. mlu: for Cambricon's Caffe.
  explicit CaffeExport(const Graph& source, const MluLayers& mlu = {});

  const Graph& graph;

  /// Makes all layers, inputs first. Throws an input error naming the node that Caffe cannot say.
  std::deque<CaffeLayer> run();

  /// Adds a layer behind those that the node at work has made so far.
  CaffeLayer& add(const char* type, const std::string& name, const std::vector<std::string>& bottoms,
                  const std::vector<std::string>& tops);

  /// The blob that holds a value.
  const std::string& blob(ValueId id) const { return blobs_[static_cast<size_t>(id)]; }
  /// The blob of x for a layer that computes y from it element by element: that of y, where y was computed in
  /// place in the file that the graph comes from.
  const std::string& blob_in_place(ValueId x, ValueId y);
  std::string fresh_blob(const std::string& wanted);

  /// The node's own name; a number is appended where another layer has it.
  std::string layer_name(const Node& node);
  /// A name for one more layer of the node.
  std::string layer_name(const Node& node, const std::string& suffix);

  const Dims& shape(ValueId id) const { return graph.value(id).shape; }
  const Tensor& constant(ValueId id, const char* what) const;
  /// The node that computes id, if nobody but one reader wants it; null otherwise.
  const Node* sole_producer(ValueId id) const;
  const std::vector<NodeId>& readers(ValueId id) const { return users_[static_cast<size_t>(id)]; }
  /// The node gets no layer of its own.
  void absorb(const Node& node) { absorbed_.insert(node.output); }
  bool is_absorbed(const Node& node) const { return absorbed_.contains(node.output); }

  /// Whether the file that the graph comes from uses what not every reader knows; see PreservedFields.
  bool has_feature(const std::string& name) const;

  /// What Cambricon's Caffe is told about the node; null: nothing.
  const MluLayer* mlu(const Node& node) const;

  /// The layers of an activation in place of y's blob. Throws where Caffe has none.
  void add_activation(const Node& node, const Activation& act, const std::string& blob);

 private:
  void add_inputs();
  void finish_outputs(std::deque<CaffeLayer>& layers);
  std::string unique_layer(const std::string& wanted);

  const MluLayers& mlu_;
  std::vector<std::vector<NodeId>> users_;
  std::vector<std::string> blobs_;
  std::set<std::string> blob_names_, layer_names_, node_names_;
  std::set<ValueId> absorbed_;
  std::deque<CaffeLayer> group_;
};

/// "Transpose has no counterpart in Caffe", or the reason.
Error not_in_caffe(const Node& node, const std::string& why = "");
/// LAYER for nodes that importing named LAYER and LAYER/PART; else the second.
std::string shared_layer_name(const std::string& first, const std::string& second);

// mlu_fields.cc
/// Adds bottom_mlu_dtype and blobs_dtype as `node` has them to the layer that computes it.
void add_mlu_fields(const CaffeExport& out, const Node& node, caffe::LayerParameter& layer);
// export_pointwise.cc
void export_arithmetic(CaffeExport& out, const Node& node);
void export_activation_node(CaffeExport& out, const Node& node);
// export_weights.cc
void export_convolution(CaffeExport& out, const Node& node);
void export_gemm(CaffeExport& out, const Node& node);
void export_matmul(CaffeExport& out, const Node& node);
/// [rows, columns] to [columns, rows].
Tensor transposed(const Tensor& matrix);
/// Whether the node is the bias of a MatMul that became, with it, an InnerProduct.
bool export_biased_matmul(CaffeExport& out, const Node& node);
void export_batch_norm(CaffeExport& out, const Node& node);
void export_prelu(CaffeExport& out, const Node& node);
// export_window.cc
void export_pool(CaffeExport& out, const Node& node);
void export_global_pool(CaffeExport& out, const Node& node);
void export_lrn(CaffeExport& out, const Node& node);
/// A Convolution of ones and zeros that moves numbers: every stride-th position, with zero channels before
/// and after, and zeros around. Lists have one entry per spatial axis.
struct Selection {
  Dims strides, pads_begin, pads_end;
  int64_t channels_before = 0, channels_after = 0;
};
void add_selection(CaffeExport& out, const std::string& name, const std::string& bottom,
                   const std::string& top, const Dims& x, const Selection& selection);
// export_shape.cc
void export_pad(CaffeExport& out, const Node& node);
void export_reshape(CaffeExport& out, const Node& node);
void export_flatten(CaffeExport& out, const Node& node);
void export_concat(CaffeExport& out, const Node& node);
void export_slice(CaffeExport& out, const Node& node);
void export_softmax(CaffeExport& out, const Node& node);
/// A layer that gives bottom the extents after the batch.
void add_reshape(CaffeExport& out, const std::string& name, const std::string& bottom, const std::string& top,
                 const Dims& image);

}  // namespace xdn
