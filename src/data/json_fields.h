#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace xdn {

/// The fields of a JSON text whose top is an object. Types are strict; input errors name the field. Every
/// getter demands that the field be there: ask has() first where it is optional.
class JsonFields {
 public:
  explicit JsonFields(const std::string& text);

  bool has(const char* name) const { return object_.contains(name); }
  double number(const char* name) const;
  int64_t integer(const char* name, int64_t low, int64_t high) const;
  std::string string(const char* name) const;
  std::vector<double> numbers(const char* name, size_t count) const;
  std::vector<int64_t> integers(const char* name, size_t count, int64_t low, int64_t high) const;
  std::vector<std::string> strings(const char* name, size_t limit) const;

 private:
  const nlohmann::json& field(const char* name) const;
  const nlohmann::json& array(const char* name, const char* what) const;

  nlohmann::json object_;
};

}  // namespace xdn
