#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/tensor.h"
#include "formats/onnx/file_beneath.h"
#include "formats/wire/skeleton.h"

namespace onnx {
class TensorProto;
}

namespace xdn::onnx_io {

/// Ranks beyond this are refused, as by shape inference: real models stop at 8.
inline constexpr size_t kMaxRank = 16;

/// ONNX's TensorProto.DataType <-> ours; nothing where the other side has no such type.
std::optional<DType> dtype_from_onnx(int data_type);
int dtype_to_onnx(DType dtype);
/// As dtype_from_onnx, but throws an input error naming the type and what has it.
DType require_dtype(int data_type, const std::string& what);

/// What a skeleton leaves in a model's file: the elements of initializers and of nodes' tensors.
const SkeletonRule& model_rule();

/// Where tensors come from besides messages: the file that the messages come from and the folder with the
/// external data. Opens each external file once.
class TensorSource {
 public:
  /// model must outlive this; it may be null for messages that hold all elements, and the folder empty where
  /// external data is to be refused.
  TensorSource(const Skeleton* model, std::string folder) : model_(model), folder_(std::move(folder)) {}

  /// Throws an input error where type, extents and bytes do not fit
  /// together.
  Tensor read(const onnx::TensorProto& proto);

 private:
  Tensor read_located(const onnx::TensorProto& proto, DType dtype, const Dims& dims);
  Tensor read_external(const onnx::TensorProto& proto, DType dtype, const Dims& dims);

  const Skeleton* model_;
  std::string folder_;
  std::map<std::string, OpenedFile> files_;
};

}  // namespace xdn::onnx_io

namespace xdn {

/// A copy of a message's tensor; external data is refused.
Tensor tensor_from_proto(const onnx::TensorProto& proto);

/// The tensor in a file that holds one TensorProto, as ONNX's own tests come with. Input error naming the
/// file.
Tensor read_tensor_proto(const std::string& path);

}  // namespace xdn
