#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "report/document.h"

namespace xdn::report {

/// An object inside an untrusted JSON file. Types are strict, numbers finite, texts at most 4 KiB, lists as
/// long as the caller allows; null is the same as absent. Input errors name the place:
/// "'waterfall.steps[2].value': expected a number".
class Fields {
 public:
  /// Input error unless the value is an object. The value outlives this.
  explicit Fields(const Json& value, std::string path = "");

  bool has(const char* key) const;

  double number(const char* key) const;
  Maybe maybe_number(const char* key) const;
  double positive(const char* key) const;  ///< > 0
  double share(const char* key) const;     ///< 0 to 1
  Maybe maybe_share(const char* key) const;
  int64_t count(const char* key) const;  ///< whole, >= 0
  std::string text(const char* key) const;
  std::string text_or(const char* key, const std::string& otherwise) const;

  Fields object(const char* key) const;
  std::vector<Fields> objects(const char* key, size_t limit) const;
  std::vector<std::string> texts(const char* key, size_t limit) const;
  /// The list itself, its elements unchecked.
  const Json& list(const char* key, size_t limit) const;

  /// The value of a cell; input error where it is a list or an object.
  Scalar scalar(const Json& value, const std::string& where) const;
  /// Those of the object's entries that are numbers, texts or booleans, in the file's order, at most 100.
  std::vector<Fact> facts() const;
  /// Those of `keys` that are there.
  std::vector<Fact> facts(std::initializer_list<const char*> keys) const;

  const Json& json() const { return *value_; }
  std::string path_of(const std::string& key) const;
  [[noreturn]] void refuse(const std::string& key, const std::string& message) const;

 private:
  const Json& field(const char* key) const;

  const Json* value_;
  std::string path_;
};

}  // namespace xdn::report
