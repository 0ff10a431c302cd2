#pragma once

#include <initializer_list>
#include <map>
#include <optional>
#include <string>

#include "base/tensor.h"

namespace onnx {
class AttributeProto;
class NodeProto;
class TensorProto;
}  // namespace onnx

namespace xdn::onnx_io {

/// The attributes of one node by name. Reading one of another type than asked for is an input error; so is,
/// at the end, one that nobody asked for: it would change what the node computes.
class Attributes {
 public:
  explicit Attributes(const onnx::NodeProto& node);

  bool has(const std::string& name) const { return entries_.contains(name); }
  int64_t get_int(const std::string& name, int64_t otherwise);
  float get_float(const std::string& name, float otherwise);
  std::string get_string(const std::string& name, const std::string& otherwise);
  std::optional<Dims> get_ints(const std::string& name);
  std::optional<std::vector<float>> get_floats(const std::string& name);
  const onnx::TensorProto* get_tensor(const std::string& name);
  /// A flag, 0 or 1.
  bool get_flag(const std::string& name, bool otherwise);

  /// Attributes that mean nothing to inference.
  void ignore(std::initializer_list<const char*> names);
  void check_all_read() const;

 private:
  struct Entry {
    const onnx::AttributeProto* attribute;
    bool read = false;
  };
  /// Null if absent; throws unless its type is `type`, an AttributeProto.AttributeType.
  const onnx::AttributeProto* find(const std::string& name, int type);

  std::map<std::string, Entry> entries_;
};

}  // namespace xdn::onnx_io
