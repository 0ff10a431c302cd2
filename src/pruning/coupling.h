#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"

namespace xdn::pruning {

/// One axis of one value, whose extent is known: it owns the labels [first, first + extent).
struct Space {
  ValueId value;
  size_t axis;
  int32_t first;
  int32_t extent;
};
inline constexpr int32_t kNoSpace = -1;  ///< of the free batch, and of values nobody uses
inline constexpr int32_t kNoReason = -1;

/// Why indices cannot be removed, and the layer where that shows; no layer for inputs and outputs.
struct Reason {
  std::string layer, text;
  bool operator==(const Reason&) const = default;
};

/// The weights of a Conv, Gemm or MatMul: along one axis a filter per output channel, along the other a
/// slice per input channel.
struct WeightAxis {
  NodeId node;
  int32_t space;
};

/// Which indices of all axes of all values must be removed together: classes of a union-find over labels, one
/// label per index. A class that holds an index nobody can remove is pinned, with a reason. Every rule of
/// couple() keeps this invariant: where whole unpinned classes are removed from all axes, attributes can be
/// adjusted so that the node computes the same of what remains, provided the removed channels were zero.
class Coupling {
 public:
  /// Shapes must be known. Labels only; couple_all() joins and pins. Throws an input error where the graph
  /// has too many channels, or is quantized.
  explicit Coupling(const Graph& graph);

  const Graph& graph() const { return *graph_; }
  int32_t space_of(ValueId value, size_t axis) const;
  const std::vector<Space>& spaces() const { return spaces_; }
  const Space& space(int32_t id) const { return spaces_[static_cast<size_t>(id)]; }
  int32_t label_count() const { return static_cast<int32_t>(parent_.size()); }

  int32_t add_reason(const std::string& layer, const std::string& text);
  const Reason& reason(int32_t id) const { return reasons_[static_cast<size_t>(id)]; }

  int32_t root(int32_t label);
  void join(int32_t a, int32_t b);
  /// Index a_first + i with b_first + i for i in [0, count). Nothing where either is kNoSpace.
  void join(int32_t a, int64_t a_first, int32_t b, int64_t b_first, int64_t count);
  /// All indices, of equally many; nothing where either is kNoSpace.
  void join_all(int32_t a, int32_t b);
  void pin(int32_t space, int32_t reason);
  void pin_label(int32_t label, int32_t reason);
  /// kNoReason where the class is free; of several reasons the first given.
  int32_t pinned_by(int32_t label);

  std::vector<WeightAxis> filters, inputs;  ///< of weights that are constants
  /// Of other layers, for reports: the axis of the result where their filters would show.
  std::vector<WeightAxis> computed_filters;

 private:
  const Graph* graph_;
  std::vector<Space> spaces_;
  std::vector<int32_t> first_space_;  ///< per value, its first axis in spaces_; one more entry at the end
  std::vector<int32_t> parent_, size_, pinned_;
  std::vector<Reason> reasons_;
};

/// Of the weights, input 1, of a Conv, Gemm or MatMul: the axis along which filters lie.
inline size_t filter_axis(const Node& node) {
  const bool first =
      node.type == OpType::kConv || (node.type == OpType::kGemm && node.as<GemmAttrs>().trans_b);
  return first ? 0 : 1;
}

/// Pins graph inputs and outputs, and couples the axes of every node (coupling_rules.cc).
void couple_all(Coupling& coupling);

}  // namespace xdn::pruning
