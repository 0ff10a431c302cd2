#pragma once

#include <string>

#include "formats/onnx/node_import.h"

namespace xdn::onnx_io {

/// Turns one node of the file into nodes and values of the graph.
using Handler = void (*)(NodeImport&);

/// The handler of an operator of ONNX's own domain; null if it is not supported.
Handler find_handler(const std::string& op_type);

// handlers_arithmetic.cc
template <OpType type>
void import_binary(NodeImport& node);
template <OpType type>
void import_variadic(NodeImport& node);
template <OpType type>
void import_unary(NodeImport& node);
void import_leaky_relu(NodeImport& node);
void import_hard_sigmoid(NodeImport& node);
void import_prelu(NodeImport& node);
void import_clip(NodeImport& node);
void import_cast(NodeImport& node);
void import_gemm(NodeImport& node);
void import_min(NodeImport& node);
void import_equal(NodeImport& node);
void import_where(NodeImport& node);

// handlers_constant.cc
void import_constant(NodeImport& node);
void import_constant_of_shape(NodeImport& node);
void import_shape(NodeImport& node);
void import_size(NodeImport& node);
void import_identity(NodeImport& node);
void import_dropout(NodeImport& node);

// handlers_layout.cc
void import_flatten(NodeImport& node);
void import_reshape(NodeImport& node);
void import_squeeze(NodeImport& node);
void import_unsqueeze(NodeImport& node);
void import_transpose(NodeImport& node);
void import_concat(NodeImport& node);
void import_gather(NodeImport& node);

// handlers_slice.cc
void import_slice(NodeImport& node);
void import_split(NodeImport& node);
void import_pad(NodeImport& node);

// handlers_norm.cc
void import_batch_normalization(NodeImport& node);
void import_softmax(NodeImport& node);
void import_lrn(NodeImport& node);
void import_reduce_mean(NodeImport& node);

// handlers_quantize.cc
void import_quantize_linear(NodeImport& node);
void import_dequantize_linear(NodeImport& node);

// handlers_window.cc
void import_conv(NodeImport& node);
void import_max_pool(NodeImport& node);
void import_average_pool(NodeImport& node);
void import_global_average_pool(NodeImport& node);

}  // namespace xdn::onnx_io
