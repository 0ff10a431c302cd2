#pragma once

#include <set>
#include <string>

#include "graph/graph.h"

namespace xdn {

/// Metadata of a model that is to run in several precisions: the layers for bf16, one name a line. Writers of
/// ONNX files keep it.
inline constexpr const char* kBf16LayersKey = "xdn.bf16_layers";

/// Whether the node is one that has a precision of its own: Conv, Gemm or MatMul.
bool has_precision(const Node& node);

/// The names of the graph's layers that the metadata asks for in bf16 and that have a precision. Names of no
/// such layer are passed over: models are edited.
std::set<std::string> bf16_layers(const Graph& graph);

/// Writes the metadata; no names remove it. Throws an input error naming a layer whose name is empty or holds
/// a line break.
void set_bf16_layers(Graph& graph, const std::set<std::string>& layers);

}  // namespace xdn
