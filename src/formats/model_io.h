#pragma once

#include <map>
#include <string>

#include "graph/graph.h"

namespace xdn {

struct ImportOptions {
  /// Graph inputs to treat as constants of these values (ONNX's own tests feed shapes and axes as inputs).
  std::map<std::string, Tensor> bound_inputs;
  /// A fixed leading 1 of the image input becomes the free batch dimension where the whole graph allows it.
  bool free_batch = true;
};

/// "model.onnx" or "net.prototxt:weights.caffemodel". The graph is verified, its shapes are known.
/// metadata["source_layers"] says how many layers the file has (Caffe: of the TEST phase, inputs apart; ONNX:
/// nodes). Throws an input error naming file and layer.
Graph load_model(const std::string& spec, const ImportOptions& options = {});
Graph import_onnx(const std::string& path, const ImportOptions& options = {});
Graph import_caffe(const std::string& prototxt, const std::string& caffemodel);

/// Writes ONNX (opset 13, or 18 where the graph needs it), weights inside; temporary name, sync, rename.
void export_onnx(const Graph& graph, const std::string& path);

/// The folder and stem where files beside a model stand: "dir/net" for "dir/net.onnx" and for
/// "dir/net.prototxt:other.caffemodel".
std::string model_stem(const std::string& spec);

}  // namespace xdn
