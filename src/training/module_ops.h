#pragma once

#include <torch/types.h>

#include <span>

#include "graph/graph.h"

namespace xdn::training {

/// One node by libtorch, as docs/graph.md defines it; BatchNorm is Module's own. Inputs that are absent are
/// undefined. Constants that meet activations of another floating-point type are converted to it. in_place:
/// the first input's memory may become the result's.
at::Tensor evaluate_op(const Node& node, std::span<const at::Tensor> inputs, bool in_place);

/// Whether evaluate_op knows it.
bool has_gradient(OpType type);

// module_window.cc
at::Tensor evaluate_conv(const ConvAttrs& attrs, std::span<const at::Tensor> inputs);
at::Tensor evaluate_max_pool(const PoolAttrs& attrs, const at::Tensor& x);
at::Tensor evaluate_average_pool(const PoolAttrs& attrs, const at::Tensor& x);
/// x may be overwritten.
at::Tensor apply_activation(const Activation& act, at::Tensor x);
/// The tensor in the element type of x.
at::Tensor like(const at::Tensor& tensor, const at::Tensor& x);

}  // namespace xdn::training
