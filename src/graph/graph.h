#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "graph/op.h"

namespace xdn {

using ValueId = int32_t;
using NodeId = int32_t;
inline constexpr ValueId kNoValue = -1;  ///< an optional input that is absent
inline constexpr NodeId kNoNode = -1;

/// What flows along an edge: defined once, by a node, as a graph input, or as a constant.
struct Value {
  std::string name;  ///< unique among values that are in use
  DType dtype = DType::kF32;
  Dims shape;  ///< may hold kBatch; filled by infer_shapes for node outputs
  NodeId producer = kNoNode;
  std::optional<Tensor> constant;
};

struct Node {
  OpType type = OpType::kIdentity;
  OpAttrs attrs;
  std::string name;  ///< the layer's name in its file; errors and profiles name it
  std::vector<ValueId> inputs;
  ValueId output = kNoValue;
  bool alive = true;

  template <class A>
  const A& as() const {
    return std::get<A>(attrs);
  }
  template <class A>
  A& as() {
    return std::get<A>(attrs);
  }
  ValueId input(size_t i) const { return i < inputs.size() ? inputs[i] : kNoValue; }
};

/// A model as data: nodes in execution order, SSA values, named inputs and outputs.
/// NodeIds and ValueIds stay valid while the graph is edited; removed nodes are tombstones until compact().
class Graph {
 public:
  std::string name;
  std::map<std::string, std::string> metadata;

  ValueId add_input(const std::string& name, DType dtype, Dims shape);
  ValueId add_constant(const std::string& name, Tensor tensor);
  /// Appends a node at the end of the order (or before the node `before`). The output's name is made unique
  /// if taken. The output's dtype and shape are unknown until infer_shapes.
  NodeId add_node(OpType type, OpAttrs attrs, const std::string& name, std::vector<ValueId> inputs,
                  const std::string& output_name, NodeId before = kNoNode);
  ValueId output_of(NodeId node) const { return nodes_[static_cast<size_t>(node)].output; }

  const std::vector<ValueId>& inputs() const { return inputs_; }
  const std::vector<ValueId>& outputs() const { return outputs_; }
  void set_outputs(std::vector<ValueId> outputs) { outputs_ = std::move(outputs); }

  Value& value(ValueId id) { return values_[static_cast<size_t>(id)]; }
  const Value& value(ValueId id) const { return values_[static_cast<size_t>(id)]; }
  Node& node(NodeId id) { return nodes_[static_cast<size_t>(id)]; }
  const Node& node(NodeId id) const { return nodes_[static_cast<size_t>(id)]; }
  size_t value_count() const { return values_.size(); }
  /// Live nodes in execution order.
  const std::vector<NodeId>& order() const { return order_; }

  bool is_constant(ValueId id) const { return id != kNoValue && value(id).constant.has_value(); }
  const Tensor& constant(ValueId id) const { return *value(id).constant; }
  bool is_output(ValueId id) const;
  std::optional<ValueId> find_value(const std::string& name) const;
  std::string unique_name(const std::string& wanted) const;

  /// For every value, the live nodes that read it, in execution order; a node reading it twice stands twice.
  std::vector<std::vector<NodeId>> users() const;
  /// Every reader of `from`, and the graph outputs, read `to` instead. Where a graph output moves, `to` takes
  /// over its name, so that outputs keep their names.
  void replace_uses(ValueId from, ValueId to);
  /// Moves a node in the order, to just before another one.
  void move_before(NodeId node, NodeId before);
  /// Takes the node out of the order; its output must have no readers by the time the graph is verified.
  void erase(NodeId node);
  /// Erases nodes whose output nobody needs. Returns how many.
  size_t eliminate_dead();
  /// Frees the constants that neither a live node nor the outputs read; ids stay valid.
  void drop_unused_constants();
  /// Drops tombstones and unused values and renumbers; all ids change.
  void compact();

 private:
  ValueId add_value(Value value);
  /// For every value, whether it is a graph input or output or a live node reads or computes it.
  std::vector<bool> used_values() const;

  std::vector<Value> values_;
  std::vector<Node> nodes_;
  std::vector<NodeId> order_;
  std::vector<ValueId> inputs_, outputs_;
  std::map<std::string, ValueId> by_name_;
};

// infer.cc
/// Fills dtype and shape of every node output, in order. Throws an input error naming the node where shapes
/// do not fit, an extent would be negative or absurd (stride 0, group 0, window larger than the padded
/// input), or a result could not be expressed with one free batch dimension.
void infer_shapes(Graph& graph);
/// The output of one node, given that its inputs are known.
struct ValueType {
  DType dtype;
  Dims shape;
};
ValueType infer_node(const Graph& graph, const Node& node);
/// What errors call a node: its name or, where it has none, that of its output.
std::string layer_name(const Graph& graph, const Node& node);

// verify.cc
/// Throws an input error naming the node unless: every value is defined before use and once, input counts and
/// attribute types fit the op list, outputs exist, names are unique, shapes agree with infer_node.
void verify(const Graph& graph);

// print.cc, parse.cc: the text form, see docs/graph.md. Printing and parsing again gives an equal graph.
/// Constants with at most `most_values` elements are printed in full; larger ones as fill(value) where all
/// elements are equal, else as a checksum (which parse refuses). Shapes must be known.
std::string print(const Graph& graph, int64_t most_values = 64);
/// One constant as print writes it: "f32[2] [1, 2]".
std::string print_constant(const Tensor& tensor, int64_t most_values);
/// The result is verified and its shapes are known. Throws an input error that names the line.
Graph parse_graph(const std::string& text);
/// Graphviz.
std::string print_dot(const Graph& graph);

// statistics.cc
struct NodeCost {
  int64_t macs = 0;            ///< Conv, Gemm and MatMul, per image; taps in the padding included
  int64_t macs_effective = 0;  ///< per image, without them
  int64_t parameters =
      0;  ///< elements of constant inputs; of BatchNorm, what is learned: scale and bias, if any
};
NodeCost node_cost(const Graph& graph, const Node& node);
/// The sum over all nodes; a constant that several nodes read counts once.
NodeCost graph_cost(const Graph& graph);

}  // namespace xdn
