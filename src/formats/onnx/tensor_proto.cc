#include "formats/onnx/tensor_proto.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>
#include <type_traits>

#include "base/atomic_file.h"
#include "base/error.h"
#include "xdn_onnx.pb.h"

namespace xdn::onnx_io {
namespace {

using Proto = onnx::TensorProto;

const char* onnx_type_name(int data_type) {
  switch (data_type) {
    case 0:
      return "undefined";
    case 8:
      return "string";
    case 14:
      return "complex64";
    case 15:
      return "complex128";
    case 17:
      return "float8e4m3fn";
    case 18:
      return "float8e4m3fnuz";
    case 19:
      return "float8e5m2";
    case 20:
      return "float8e5m2fnuz";
    case 21:
      return "uint4";
    case 22:
      return "int4";
    case 23:
      return "float4e2m1";
    default:
      return nullptr;
  }
}

Dims checked_dims(const Proto& proto) {
  if (static_cast<size_t>(proto.dims_size()) > kMaxRank) {
    throw input_error("has " + std::to_string(proto.dims_size()) + " dimensions, expected at most " +
                      std::to_string(kMaxRank));
  }
  return Dims(proto.dims().begin(), proto.dims().end());
}

Error wrong_count(const Dims& dims, int64_t expected, int64_t found, const char* unit) {
  return input_error("holds " + std::to_string(found) + " " + unit + ", expected " +
                     std::to_string(expected) + " for shape " + to_string(dims));
}

/// A bool object may hold 0 and 1 only.
Tensor with_sound_bools(Tensor tensor) {
  if (tensor.dtype() != DType::kBool || tensor.size() == 0) return tensor;
  auto* bytes = static_cast<uint8_t*>(tensor.mutable_raw());
  for (int64_t i = 0; i < tensor.size(); ++i) bytes[i] = bytes[i] != 0;
  return tensor;
}

/// One of the typed fields, whose elements may be wider than the tensor's: integers are narrowed, 16-bit
/// floats stand as their bits.
template <class Field>
Tensor from_field(DType dtype, const Dims& dims, const Field& field) {
  using Stored = std::remove_cvref_t<decltype(*field.data())>;
  const int64_t count = element_count(dims, dtype_size(dtype));
  if (field.size() != count) throw wrong_count(dims, count, field.size(), "values");
  Tensor tensor = Tensor::uninitialized(dtype, dims);
  dispatch_dtype(dtype, [&]<class T>() {
    auto dst = tensor.mutable_data<T>();
    for (size_t i = 0; i < dst.size(); ++i) {
      const Stored value = field.data()[i];
      if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
        dst[i].bits = static_cast<uint16_t>(static_cast<int64_t>(value));
      } else if constexpr (std::is_same_v<T, bool>) {
        dst[i] = value != 0;
      } else {
        dst[i] = static_cast<T>(value);
      }
    }
  });
  return tensor;
}

Tensor from_typed_field(const Proto& proto, DType dtype, const Dims& dims) {
  switch (dtype) {
    case DType::kF32:
      return from_field(dtype, dims, proto.float_data());
    case DType::kF64:
      return from_field(dtype, dims, proto.double_data());
    case DType::kI64:
      return from_field(dtype, dims, proto.int64_data());
    case DType::kU32:
    case DType::kU64:
      return from_field(dtype, dims, proto.uint64_data());
    default:
      return from_field(dtype, dims, proto.int32_data());
  }
}

int64_t parse_extent(const std::string& text, const char* what) {
  int64_t value = -1;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || value < 0) {
    throw input_error(std::string("external data has the ") + what + " '" + printable(text) +
                      "', expected a number of bytes");
  }
  return value;
}

std::optional<FilePart> raw_part(const Skeleton& model, const Proto& proto) {
  return model.part_of(proto.unknown_fields(), Proto::kRawDataFieldNumber, proto.has_raw_data());
}

/// Likewise of the typed fields whose numbers stand in the file as they do in memory.
std::optional<FilePart> typed_part(const Skeleton& model, const Proto& proto, DType dtype) {
  const std::string& unknown = proto.unknown_fields();
  if (dtype == DType::kF32)
    return model.part_of(unknown, Proto::kFloatDataFieldNumber, proto.float_data_size() > 0);
  if (dtype == DType::kF64)
    return model.part_of(unknown, Proto::kDoubleDataFieldNumber, proto.double_data_size() > 0);
  return std::nullopt;
}

}  // namespace

std::optional<DType> dtype_from_onnx(int data_type) {
  switch (data_type) {
    case Proto::FLOAT:
      return DType::kF32;
    case Proto::UINT8:
      return DType::kU8;
    case Proto::INT8:
      return DType::kI8;
    case Proto::UINT16:
      return DType::kU16;
    case Proto::INT16:
      return DType::kI16;
    case Proto::INT32:
      return DType::kI32;
    case Proto::INT64:
      return DType::kI64;
    case Proto::BOOL:
      return DType::kBool;
    case Proto::FLOAT16:
      return DType::kF16;
    case Proto::DOUBLE:
      return DType::kF64;
    case Proto::UINT32:
      return DType::kU32;
    case Proto::UINT64:
      return DType::kU64;
    case Proto::BFLOAT16:
      return DType::kBF16;
    default:
      return std::nullopt;
  }
}

int dtype_to_onnx(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return Proto::FLOAT;
    case DType::kF64:
      return Proto::DOUBLE;
    case DType::kF16:
      return Proto::FLOAT16;
    case DType::kBF16:
      return Proto::BFLOAT16;
    case DType::kI8:
      return Proto::INT8;
    case DType::kU8:
      return Proto::UINT8;
    case DType::kI16:
      return Proto::INT16;
    case DType::kU16:
      return Proto::UINT16;
    case DType::kI32:
      return Proto::INT32;
    case DType::kU32:
      return Proto::UINT32;
    case DType::kI64:
      return Proto::INT64;
    case DType::kU64:
      return Proto::UINT64;
    case DType::kBool:
      return Proto::BOOL;
  }
  return Proto::UNDEFINED;
}

DType require_dtype(int data_type, const std::string& what) {
  if (const auto dtype = dtype_from_onnx(data_type)) return *dtype;
  const char* known = onnx_type_name(data_type);
  throw input_error(what + " has element type " + (known != nullptr ? known : std::to_string(data_type)) +
                    ", which is not supported");
}

const SkeletonRule& model_rule() {
  static const SkeletonRule kTensor{{{Proto::kRawDataFieldNumber, 1},
                                     {Proto::kFloatDataFieldNumber, sizeof(float)},
                                     {Proto::kDoubleDataFieldNumber, sizeof(double)}},
                                    {},
                                    true};
  static const SkeletonRule kAttribute{{}, {{onnx::AttributeProto::kTFieldNumber, &kTensor}}, true};
  static const SkeletonRule kNode{{}, {{onnx::NodeProto::kAttributeFieldNumber, &kAttribute}}, true};
  static const SkeletonRule kGraph{
      {},
      {{onnx::GraphProto::kNodeFieldNumber, &kNode}, {onnx::GraphProto::kInitializerFieldNumber, &kTensor}},
      true};
  static const SkeletonRule kModel{{}, {{onnx::ModelProto::kGraphFieldNumber, &kGraph}}, true};
  return kModel;
}

Tensor TensorSource::read(const onnx::TensorProto& proto) {
  const std::string what = "tensor '" + printable(proto.name()) + "'";
  const DType dtype = require_dtype(proto.data_type(), what);
  try {
    if (proto.has_segment()) throw input_error("is stored in segments, which is not supported");
    const Dims dims = checked_dims(proto);
    const bool external = proto.has_data_location() && proto.data_location() == Proto::EXTERNAL;
    return external ? read_external(proto, dtype, dims) : read_located(proto, dtype, dims);
  } catch (const Error& e) {
    throw Error(e.kind(), what + ": " + e.message());
  }
}

Tensor TensorSource::read_located(const onnx::TensorProto& proto, DType dtype, const Dims& dims) {
  const auto width = static_cast<int64_t>(dtype_size(dtype));
  const int64_t count = element_count(dims, dtype_size(dtype));
  std::optional<FilePart> part;
  if (model_ != nullptr) part = raw_part(*model_, proto);
  if (part || proto.has_raw_data()) {
    const int64_t found = part ? part->bytes : static_cast<int64_t>(proto.raw_data().size());
    if (found != count * width) throw wrong_count(dims, count * width, found, "bytes");
    if (!part) {
      return with_sound_bools(Tensor::copy(dtype, dims, proto.raw_data().data(), proto.raw_data().size()));
    }
  } else {
    if (model_ != nullptr) part = typed_part(*model_, proto, dtype);
    if (!part) return from_typed_field(proto, dtype, dims);
    if (part->bytes != count * width) throw wrong_count(dims, count, part->bytes / width, "values");
  }
  Tensor tensor = Tensor::uninitialized(dtype, dims);
  model_->read(*part, tensor.mutable_raw());
  return with_sound_bools(std::move(tensor));
}

Tensor TensorSource::read_external(const onnx::TensorProto& proto, DType dtype, const Dims& dims) {
  if (folder_.empty()) throw input_error("stands in an external file, which is not supported here");
  std::string location;
  int64_t offset = 0;
  std::optional<int64_t> length;
  for (const auto& entry : proto.external_data()) {
    if (entry.key() == "location") location = entry.value();
    if (entry.key() == "offset") offset = parse_extent(entry.value(), "offset");
    if (entry.key() == "length") length = parse_extent(entry.value(), "length");
  }
  auto found = files_.find(location);
  if (found == files_.end()) found = files_.emplace(location, open_beneath(folder_, location)).first;
  const OpenedFile& file = found->second;

  const int64_t bytes = element_count(dims, dtype_size(dtype)) * static_cast<int64_t>(dtype_size(dtype));
  if (length && *length != bytes) throw wrong_count(dims, bytes, *length, "bytes");
  if (offset > file.size || bytes > file.size - offset) {
    throw input_error("external data '" + printable(location) + "' has " + std::to_string(file.size) +
                      " bytes, expected " + std::to_string(bytes) + " at offset " + std::to_string(offset));
  }
  Tensor tensor = Tensor::uninitialized(dtype, dims);
  read_at(file, location, offset, tensor.mutable_raw(), tensor.bytes());
  return with_sound_bools(std::move(tensor));
}

}  // namespace xdn::onnx_io

namespace xdn {

Tensor tensor_from_proto(const onnx::TensorProto& proto) {
  return onnx_io::TensorSource(nullptr, "").read(proto);
}

Tensor read_tensor_proto(const std::string& path) {
  try {
    const std::string bytes = read_file(path, std::numeric_limits<int32_t>::max());
    onnx::TensorProto proto;
    if (!proto.ParseFromString(bytes)) throw input_error("is not an ONNX tensor (it does not parse)");
    return tensor_from_proto(proto);
  } catch (Error& e) {
    e.in_file(path);
    throw;
  }
}

}  // namespace xdn
