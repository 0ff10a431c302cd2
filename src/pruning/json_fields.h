#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace xdn::pruning {

using Json = nlohmann::ordered_json;

/// Strict, of bounded depth and names per object, none of them twice in one. Throws an input error naming the
/// byte or the name.
Json parse_json(const std::string& text);

/// In one line; bytes that are no UTF-8 are replaced.
std::string line(const Json& json);

/// One object of a file; input errors say where it stands, and name the field. Every getter demands that the
/// field be there.
class Fields {
 public:
  /// `object` must outlive it.
  Fields(const Json& object, std::string where);

  const Json& object(const char* name) const;
  const Json& array(const char* name) const;
  std::string string(const char* name) const;
  std::vector<std::string> strings(const char* name) const;
  uint64_t natural(const char* name, uint64_t most) const;
  bool boolean(const char* name) const;
  /// Finite and at least 0.
  double amount(const char* name) const;

  /// "group 3, field 'kept',".
  std::string at(const char* name) const { return where_ + ", field '" + name + "',"; }

  static std::string as_string(const Json& value, const std::string& where);
  static uint64_t as_natural(const Json& value, uint64_t most, const std::string& where);
  static double as_amount(const Json& value, const std::string& where);

 private:
  const Json& field(const char* name) const;

  const Json& object_;
  std::string where_;
};

}  // namespace xdn::pruning
