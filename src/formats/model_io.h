#pragma once

#include <map>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "graph/mlu.h"

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

struct ExportOptions {
  /// ONNX: weights go to MODEL.onnx.data beside the model; they do so in any case where one file cannot hold
  /// them.
  bool external_data = false;
  /// ONNX: f32 weights (rank 2 or more) of 256 elements or more whose values fit into binary16 are stored so,
  /// rounded, with a Cast behind. Readers compute in f32 all the same; the file is half as long.
  bool half_weights = false;
};

/// Writes either form, as load_model reads them. Files appear whole or not at all, and so does a pair of
/// files. graph.metadata["xdn.steps"] says in the file what was done to the model. Throws an input error
/// naming the file and the layer that the format cannot say; nothing is written then.
void save_model(const Graph& graph, const std::string& spec, const ExportOptions& options = {});
/// Opset 13, or later where the graph needs it.
void export_onnx(const Graph& graph, const std::string& path, const ExportOptions& options = {});
/// Layers as of Caffe 1.0, the free batch as 1. `mlu`, if not empty, makes the files Cambricon's: its layers
/// get bottom_mlu_dtype and blobs_dtype, those of bytes mean_value and std; see docs/cambricon.md.
void export_caffe(const Graph& graph, const std::string& prototxt, const std::string& caffemodel,
                  const MluLayers& mlu = {});
/// What the Caffe file that the graph comes from says about layers that are still there; of weights only
/// where they are still the same. Throws an input error naming a layer whose fields make no sense or ask for
/// other than 8 bits and one scale per tensor. Layers in floating point are left out.
MluLayers caffe_mlu_layers(const Graph& graph);

/// The files of a model, in the order of its spec. Throws an input error where it has neither form.
std::vector<std::string> model_files(const std::string& spec);

/// The folder and stem where files beside a model stand: "dir/net" for "dir/net.onnx" and for
/// "dir/net.prototxt:other.caffemodel".
std::string model_stem(const std::string& spec);

}  // namespace xdn
