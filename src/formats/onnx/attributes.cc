#include "formats/onnx/attributes.h"

#include "base/error.h"
#include "xdn_onnx.pb.h"

namespace xdn::onnx_io {
namespace {

using Attribute = onnx::AttributeProto;

std::string quoted(const std::string& name) { return "attribute '" + printable(name) + "'"; }

const char* type_name(int type) {
  switch (type) {
    case Attribute::FLOAT:
      return "a float";
    case Attribute::INT:
      return "an integer";
    case Attribute::STRING:
      return "a string";
    case Attribute::TENSOR:
      return "a tensor";
    case Attribute::FLOATS:
      return "a list of floats";
    case Attribute::INTS:
      return "a list of integers";
    default:
      return "something else";
  }
}

/// Files before IR version 2 have no type field: the field in use tells.
int type_of(const Attribute& a) {
  if (a.has_type() && a.type() != Attribute::UNDEFINED) return a.type();
  if (a.has_f()) return Attribute::FLOAT;
  if (a.has_i()) return Attribute::INT;
  if (a.has_s()) return Attribute::STRING;
  if (a.has_t()) return Attribute::TENSOR;
  if (a.floats_size() > 0) return Attribute::FLOATS;
  if (a.ints_size() > 0) return Attribute::INTS;
  return Attribute::UNDEFINED;
}

}  // namespace

Attributes::Attributes(const onnx::NodeProto& node) {
  for (const Attribute& attribute : node.attribute()) {
    if (!attribute.ref_attr_name().empty()) {
      throw input_error(quoted(attribute.name()) +
                        " refers to a function's attribute, which is not supported");
    }
    if (!entries_.emplace(attribute.name(), Entry{&attribute}).second) {
      throw input_error(quoted(attribute.name()) + " is given twice");
    }
  }
}

const Attribute* Attributes::find(const std::string& name, int type) {
  const auto found = entries_.find(name);
  if (found == entries_.end()) return nullptr;
  found->second.read = true;
  const Attribute* attribute = found->second.attribute;
  const int is = type_of(*attribute);
  // An empty list of a file without types is a list of any kind.
  const bool empty_list =
      is == Attribute::UNDEFINED && (type == Attribute::INTS || type == Attribute::FLOATS);
  if (is != type && !empty_list) {
    throw input_error(quoted(name) + " is " + type_name(is) + ", expected " + type_name(type));
  }
  return attribute;
}

int64_t Attributes::get_int(const std::string& name, int64_t otherwise) {
  const Attribute* a = find(name, Attribute::INT);
  return a == nullptr ? otherwise : a->i();
}

float Attributes::get_float(const std::string& name, float otherwise) {
  const Attribute* a = find(name, Attribute::FLOAT);
  return a == nullptr ? otherwise : a->f();
}

std::string Attributes::get_string(const std::string& name, const std::string& otherwise) {
  const Attribute* a = find(name, Attribute::STRING);
  return a == nullptr ? otherwise : a->s();
}

std::optional<Dims> Attributes::get_ints(const std::string& name) {
  const Attribute* a = find(name, Attribute::INTS);
  if (a == nullptr) return std::nullopt;
  return Dims(a->ints().begin(), a->ints().end());
}

std::optional<std::vector<float>> Attributes::get_floats(const std::string& name) {
  const Attribute* a = find(name, Attribute::FLOATS);
  if (a == nullptr) return std::nullopt;
  return std::vector<float>(a->floats().begin(), a->floats().end());
}

const onnx::TensorProto* Attributes::get_tensor(const std::string& name) {
  const Attribute* a = find(name, Attribute::TENSOR);
  return a == nullptr ? nullptr : &a->t();
}

bool Attributes::get_flag(const std::string& name, bool otherwise) {
  const int64_t value = get_int(name, otherwise ? 1 : 0);
  if (value != 0 && value != 1) {
    throw input_error(quoted(name) + " is " + std::to_string(value) + ", expected 0 or 1");
  }
  return value == 1;
}

void Attributes::ignore(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const auto found = entries_.find(name);
    if (found != entries_.end()) found->second.read = true;
  }
}

void Attributes::check_all_read() const {
  for (const auto& [name, entry] : entries_) {
    if (!entry.read) throw input_error(quoted(name) + " is not known for this operator");
  }
}

}  // namespace xdn::onnx_io
