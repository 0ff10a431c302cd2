#include "report/fields.h"

#include <fmt/format.h>

#include <cmath>

#include "base/error.h"

namespace xdn::report {
namespace {

constexpr size_t kMostText = 4096;
constexpr size_t kMostFacts = 100;

bool is_scalar(const Json& value) { return value.is_number() || value.is_string() || value.is_boolean(); }

}  // namespace

Fields::Fields(const Json& value, std::string path) : value_(&value), path_(std::move(path)) {
  if (!value.is_object()) {
    throw input_error(fmt::format("'{}': expected an object, found {}", printable(path_), value.type_name()));
  }
}

std::string Fields::path_of(const std::string& key) const { return path_.empty() ? key : path_ + "." + key; }

void Fields::refuse(const std::string& key, const std::string& message) const {
  throw input_error(fmt::format("'{}': {}", printable(path_of(key)), message));
}

bool Fields::has(const char* key) const {
  const auto found = value_->find(key);
  return found != value_->end() && !found->is_null();
}

const Json& Fields::field(const char* key) const {
  if (!has(key)) refuse(key, "is missing");
  return *value_->find(key);
}

double Fields::number(const char* key) const {
  const Json& value = field(key);
  if (!value.is_number()) refuse(key, fmt::format("expected a number, found {}", value.type_name()));
  const double number = value.get<double>();
  if (!std::isfinite(number)) refuse(key, "expected a finite number");
  return number;
}

Maybe Fields::maybe_number(const char* key) const { return has(key) ? Maybe(number(key)) : std::nullopt; }

double Fields::positive(const char* key) const {
  const double value = number(key);
  if (value <= 0) refuse(key, fmt::format("expected a positive number, found {}", value));
  return value;
}

double Fields::share(const char* key) const {
  const double value = number(key);
  if (value < 0 || value > 1) refuse(key, fmt::format("expected a number from 0 to 1, found {}", value));
  return value;
}

Maybe Fields::maybe_share(const char* key) const { return has(key) ? Maybe(share(key)) : std::nullopt; }

int64_t Fields::count(const char* key) const {
  const Json& value = field(key);
  if (!value.is_number_unsigned() || value.get<uint64_t>() > uint64_t{1} << 53) {
    refuse(key, "expected a whole number, 0 to 2^53");
  }
  return value.get<int64_t>();
}

std::string Fields::text(const char* key) const {
  const Json& value = field(key);
  if (!value.is_string()) refuse(key, fmt::format("expected a text, found {}", value.type_name()));
  auto text = value.get<std::string>();
  if (text.size() > kMostText) refuse(key, fmt::format("is longer than {} bytes", kMostText));
  return text;
}

std::string Fields::text_or(const char* key, const std::string& otherwise) const {
  return has(key) ? text(key) : otherwise;
}

Fields Fields::object(const char* key) const { return Fields(field(key), path_of(key)); }

const Json& Fields::list(const char* key, size_t limit) const {
  const Json& value = field(key);
  if (!value.is_array()) refuse(key, fmt::format("expected a list, found {}", value.type_name()));
  if (value.size() > limit) refuse(key, fmt::format("has {} entries, at most {} fit", value.size(), limit));
  return value;
}

std::vector<Fields> Fields::objects(const char* key, size_t limit) const {
  std::vector<Fields> all;
  const Json& entries = list(key, limit);
  all.reserve(entries.size());
  for (size_t i = 0; i < entries.size(); ++i) {
    all.emplace_back(entries[i], fmt::format("{}[{}]", path_of(key), i));
  }
  return all;
}

std::vector<std::string> Fields::texts(const char* key, size_t limit) const {
  std::vector<std::string> all;
  const Json& entries = list(key, limit);
  for (size_t i = 0; i < entries.size(); ++i) {
    const std::string where = fmt::format("{}[{}]", key, i);
    if (!entries[i].is_string()) refuse(where, "expected a text");
    all.push_back(scalar(entries[i], where).get<std::string>());
  }
  return all;
}

Scalar Fields::scalar(const Json& value, const std::string& where) const {
  if (value.is_null()) return value;
  if (!is_scalar(value)) refuse(where, fmt::format("expected a single value, found {}", value.type_name()));
  if (value.is_string() && value.get_ref<const std::string&>().size() > kMostText) {
    refuse(where, fmt::format("is longer than {} bytes", kMostText));
  }
  if (value.is_number_float() && !std::isfinite(value.get<double>())) {
    refuse(where, "expected a finite number");
  }
  return value;
}

std::vector<Fact> Fields::facts() const {
  std::vector<Fact> all;
  for (const auto& [key, value] : value_->items()) {
    if (is_scalar(value) && all.size() < kMostFacts) all.push_back({key, scalar(value, key)});
  }
  return all;
}

std::vector<Fact> Fields::facts(std::initializer_list<const char*> keys) const {
  std::vector<Fact> all;
  for (const char* key : keys) {
    if (has(key)) all.push_back({key, scalar(field(key), key)});
  }
  return all;
}

}  // namespace xdn::report
