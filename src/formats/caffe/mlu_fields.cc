#include <cmath>

#include "formats/caffe/exporter.h"
#include "formats/caffe/preserved.h"
#include "formats/model_io.h"

namespace xdn {
namespace {

caffe::BlobDataType to_field(const MluDtype& dtype, caffe::BaseDataType type) {
  caffe::BlobDataType out;
  out.set_type(type);
  out.add_position(dtype.position);
  out.add_scale(dtype.scale);
  return out;
}

/// A scale that is left out is 1, as in the vendor's Caffe.
MluDtype from_field(const caffe::BlobDataType& field, const std::string& name) {
  if (field.position_size() != 1 || field.scale_size() > 1) {
    throw input_error(name + " has " + std::to_string(field.position_size()) + " positions and " +
                      std::to_string(field.scale_size()) + " scales, expected one of each");
  }
  const MluDtype out{field.position(0), field.scale_size() == 0 ? 1.0F : field.scale(0)};
  if (std::abs(static_cast<int64_t>(out.position)) > kMostMluPosition) {
    throw input_error(name + " has position " + std::to_string(out.position) + ", expected -" +
                      std::to_string(kMostMluPosition) + " to " + std::to_string(kMostMluPosition));
  }
  if (!std::isfinite(out.scale) || out.scale <= 0) {
    throw input_error(name + " has scale " + std::to_string(out.scale) + ", expected one above 0");
  }
  return out;
}

Error unsupported(const std::string& name, caffe::BaseDataType type) {
  return input_error(name + " of type " + caffe::BaseDataType_Name(type) +
                     " is not supported, expected INT8");
}

bool is_floating(caffe::BaseDataType type) {
  return type == caffe::FLOAT16 || type == caffe::FLOAT32 || type == caffe::DOUBLE;
}

/// The weights as they lie in the file: a MatMul's are the file's transposed.
Tensor weights_of_file(const Graph& graph, const Node& node) {
  const Tensor& weights = graph.constant(node.inputs[1]);
  return node.type == OpType::kMatMul && weights.rank() == 2 ? transposed(weights) : weights;
}

/// Nothing where the layer computes in floating point.
std::optional<MluLayer> read_layer(const caffe::LayerParameter& fields) {
  if (fields.bottom_mlu_dtype_size() == 0) return std::nullopt;
  const std::string bottom_name = "bottom_mlu_dtype", blobs_name = "blobs_dtype";
  if (fields.bottom_mlu_dtype_size() > 1 || fields.blobs_dtype_size() > 1) {
    throw input_error("has " + std::to_string(fields.bottom_mlu_dtype_size()) + " " + bottom_name + " and " +
                      std::to_string(fields.blobs_dtype_size()) + " " + blobs_name +
                      ", expected one for its bottom and one for its weights");
  }
  const caffe::BlobDataType& bottom = fields.bottom_mlu_dtype(0);
  if (is_floating(bottom.type())) return std::nullopt;
  MluLayer out;
  out.bytes = bottom.type() == caffe::UINT8;
  if (out.bytes && fields.type() != "Convolution") throw unsupported(bottom_name, bottom.type());
  if (bottom.has_type() && bottom.type() != caffe::INT8 && !out.bytes)
    throw unsupported(bottom_name, bottom.type());
  out.bottom = from_field(bottom, bottom_name);
  if (fields.blobs_dtype_size() == 0) return out;
  const caffe::BlobDataType& blobs = fields.blobs_dtype(0);
  if (blobs.has_type() && blobs.type() != caffe::INT8) throw unsupported(blobs_name, blobs.type());
  out.weights = from_field(blobs, blobs_name);
  return out;
}

}  // namespace

void add_mlu_fields(const CaffeExport& out, const Node& node, caffe::LayerParameter& layer) {
  const MluLayer* mlu = out.mlu(node);
  if (mlu == nullptr) return;
  *layer.add_bottom_mlu_dtype() = to_field(mlu->bottom, mlu->bytes ? caffe::UINT8 : caffe::INT8);
  if (mlu->weights) *layer.add_blobs_dtype() = to_field(*mlu->weights, caffe::INT8);
}

MluLayers caffe_mlu_layers(const Graph& graph) {
  const PreservedFields preserved(graph);
  MluLayers out;
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    const bool convolution = node.type == OpType::kConv;
    if (!convolution && node.type != OpType::kGemm && node.type != OpType::kMatMul) continue;
    const caffe::LayerParameter* fields =
        preserved.find(node.name, convolution ? "Convolution" : "InnerProduct");
    if (fields == nullptr || !graph.is_constant(node.inputs[1])) continue;
    try {
      std::optional<MluLayer> layer = read_layer(*fields);
      if (!layer) continue;
      if (!preserved.same_weights(node.name, weights_of_file(graph, node))) layer->weights.reset();
      out[id] = *layer;
    } catch (Error& error) {
      throw error.in_layer(node.name);
    }
  }
  return out;
}

}  // namespace xdn
