#pragma once

#include <torch/types.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "training/fake_quant.h"

namespace xdn::training {

bool is_qdq(OpType type);
bool has_qdq(const Graph& graph);

/// What a Module makes of a graph's QuantizeLinear and DequantizeLinear nodes.
///
/// A QuantizeLinear of an activation rounds its input to levels and gives their real numbers at once; its
/// DequantizeLinear passes them on. So does a QuantizeLinear of what only moves elements of levels with the
/// same scale (MaxPool, Slice, Pad ...): their scales are one. A DequantizeLinear of a constant rounds a
/// float copy of what the constant stands for. Scales may be learned; zero points stay. Then
///   - scales that were one stay one;
///   - a bias of 32 bits whose scale is the product of its layer's other two scales keeps it so;
///   - scales of two convolutions whose results are added unrounded, with the same product of scales for
///   every
///     channel, are not learned: the executor sums their integers.
class Qdq {
 public:
  /// Throws an input error naming the layer where scales or zero points are computed, levels have not 8 bits
  /// (32 for biases), are rounded from a constant, or are read by anything but a DequantizeLinear of the same
  /// scale.
  explicit Qdq(const Graph& graph);

  bool empty() const { return nodes_.empty(); }
  bool has(NodeId id) const { return nodes_.contains(id); }
  /// What the node's step reads: what passes, or what is rounded and the scale or scales.
  const std::vector<ValueId>& inputs(NodeId id) const { return nodes_.at(id).inputs; }
  at::Tensor evaluate(NodeId id, const std::vector<at::Tensor>& inputs) const;

  /// The constant that a DequantizeLinear makes this value of, else the value itself.
  ValueId stored(ValueId id) const;
  /// Constants of levels and of scales, as f32: what they stand for.
  std::map<ValueId, at::Tensor> floats() const;

  /// A scale that can be learned, with the least it may become: a sixteenth, and enough for levels of a bias,
  /// whose scale is the product of two, to fit into 31 bits when both are at their least.
  struct Scale {
    ValueId constant = kNoValue;
    at::Tensor lowest;
  };
  /// `trained`: constants of levels that are.
  std::vector<Scale> learnable(const std::set<ValueId>& trained) const;

  bool owns(ValueId constant) const { return parents_.contains(constant) || levels_.contains(constant); }
  /// Puts the constants into the graph as it held them: `values`, by ValueId, are the float copies and
  /// scales.
  void write(Graph& graph, const std::vector<at::Tensor>& values) const;

 private:
  struct Item {
    bool rounds = false;
    std::vector<ValueId> inputs;
    LevelGrid grid;
  };
  void add_pair(NodeId id);
  void add_constant(NodeId id);
  void pass(NodeId id);
  ValueId root(ValueId scale) const;
  void unite(ValueId a, ValueId b);
  ValueId moved_from(ValueId id) const;
  struct Linear;
  std::optional<Linear> linear(NodeId id) const;
  void derive_bias_scales();
  std::set<ValueId> tied_scales() const;

  const Graph& graph_;  ///< of the Module
  std::vector<std::vector<NodeId>> users_;
  std::map<NodeId, Item> nodes_;
  std::map<ValueId, NodeId> levels_;    ///< constants of levels: a DequantizeLinear that reads them
  std::map<ValueId, ValueId> parents_;  ///< scales that are one point to one of them, the root to itself
};

}  // namespace xdn::training
