#pragma once

#include <initializer_list>
#include <optional>
#include <vector>

#include "graph/graph.h"

namespace xdn::fusion {

/// For every value, how many node inputs and graph outputs read it.
std::vector<int> use_counts(const Graph& graph);

/// The live node that computes the value, if it is of that type; kNoNode otherwise.
NodeId producer_of_type(const Graph& graph, ValueId value, OpType type);

/// Readers of the node's output, and graph outputs, read x instead, and the node is gone. False, and nothing
/// changed, where a graph output would lose the node that carries its name.
bool bypass(Graph& graph, NodeId node, ValueId x);

/// As Graph::add_node; the output's type and shape are known.
NodeId add_typed_node(Graph& graph, OpType type, OpAttrs attrs, const std::string& name,
                      std::vector<ValueId> inputs, const std::string& output_name, NodeId before);

/// Optional inputs that are absent and last are dropped.
void drop_absent_inputs(Node& node);

/// f32 and f64, the types whose constants are folded.
bool is_foldable_type(DType dtype);

/// y[:, c, ...] = scale[c] * x[:, c, ...] + shift[c]
struct Affine {
  ValueId x = kNoValue;
  std::vector<double> scale, shift;
};
/// Of a BatchNorm, or an Add, Sub, Mul or Div with a constant that is one number per channel (or one in all);
/// all numbers finite. Nothing for other nodes.
std::optional<Affine> affine_of(const Graph& graph, const Node& node);

/// Replaces input i of the node, a constant or absent, by new values. A constant with other readers is left
/// alone and a new one made.
void set_constant(Graph& graph, NodeId node, size_t i, Tensor tensor, const std::string& name);

/// Input i of the node, a constant, for writing its elements. With other readers it is left alone and the
/// node gets a copy.
Tensor& own_constant(Graph& graph, NodeId node, size_t i);

/// a[i] * scale[c] and so on give numbers the element type can hold, else nothing.
std::optional<Tensor> to_tensor(DType dtype, const std::vector<double>& values);
std::vector<double> to_doubles(const Tensor& tensor);

/// Makes the Conv or Gemm compute scale * y + shift of what it computes now. False, and nothing changed,
/// where that is not possible: weights are no constants, an activation or a residual stands in between,
/// numbers overflow.
bool fold_affine(Graph& graph, NodeId node, const Affine& affine);

/// The constant bias of a Conv or Gemm, times beta, one number per channel; zeros where it is absent. Nothing
/// where it is computed or differs by row.
std::optional<std::vector<double>> bias_of(const Graph& graph, const Node& node, size_t channels,
                                           double beta = 1);

/// Folds every affine node of these types into the Conv or Gemm before it, where nothing else reads in
/// between. Returns how many.
int fold_into_producers(Graph& graph, std::initializer_list<OpType> types);

}  // namespace xdn::fusion
