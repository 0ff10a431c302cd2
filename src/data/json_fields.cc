#include "data/json_fields.h"

#include <cmath>

#include "base/error.h"

namespace xdn {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 32;

double as_number(const json& value, const std::string& where) {
  if (!value.is_number()) throw input_error(where + " must be a number");
  const double number = value.get<double>();
  if (!std::isfinite(number)) throw input_error(where + " must be finite");
  return number;
}

int64_t as_integer(const json& value, const std::string& where, int64_t low, int64_t high) {
  const bool fits = value.is_number_unsigned() ? value.get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX)
                                               : value.is_number_integer();
  const int64_t number = fits ? value.get<int64_t>() : 0;
  if (!fits || number < low || number > high) {
    throw input_error(where + " must be an integer from " + std::to_string(low) + " to " +
                      std::to_string(high));
  }
  return number;
}

std::string quoted(const char* name) { return "field '" + std::string(name) + "'"; }

std::string quoted(const char* name, size_t index) {
  return quoted(name) + "[" + std::to_string(index) + "]";
}

}  // namespace

JsonFields::JsonFields(const std::string& text) {
  const auto limit_depth = [](int depth, json::parse_event_t, json&) {
    if (depth > kMaxDepth) throw input_error("JSON is nested too deeply");
    return true;
  };
  try {
    object_ = json::parse(text, limit_depth);
  } catch (const json::parse_error& error) {
    throw input_error("is not valid JSON: error at byte " + std::to_string(error.byte));
  } catch (const json::exception&) {
    throw input_error("is not valid JSON: a number is out of range");
  }
  if (!object_.is_object()) throw input_error("expected a JSON object at the top");
}

const json& JsonFields::field(const char* name) const {
  const auto found = object_.find(name);
  if (found == object_.end()) throw input_error(quoted(name) + " is missing");
  return *found;
}

const json& JsonFields::array(const char* name, const char* what) const {
  const json& value = field(name);
  if (!value.is_array()) throw input_error(quoted(name) + " must be " + what);
  return value;
}

double JsonFields::number(const char* name) const { return as_number(field(name), quoted(name)); }

int64_t JsonFields::integer(const char* name, int64_t low, int64_t high) const {
  return as_integer(field(name), quoted(name), low, high);
}

std::string JsonFields::string(const char* name) const {
  const json& value = field(name);
  if (!value.is_string()) throw input_error(quoted(name) + " must be a string");
  return value.get<std::string>();
}

std::vector<double> JsonFields::numbers(const char* name, size_t count) const {
  const json& values = array(name, "an array of numbers");
  if (values.size() != count) {
    throw input_error(quoted(name) + " must have " + std::to_string(count) + " entries, has " +
                      std::to_string(values.size()));
  }
  std::vector<double> out;
  for (size_t i = 0; i < count; ++i) out.push_back(as_number(values[i], quoted(name, i)));
  return out;
}

std::vector<int64_t> JsonFields::integers(const char* name, size_t count, int64_t low, int64_t high) const {
  const json& values = array(name, "an array of integers");
  if (values.size() != count) {
    throw input_error(quoted(name) + " must have " + std::to_string(count) + " entries, has " +
                      std::to_string(values.size()));
  }
  std::vector<int64_t> out;
  for (size_t i = 0; i < count; ++i) out.push_back(as_integer(values[i], quoted(name, i), low, high));
  return out;
}

std::vector<std::string> JsonFields::strings(const char* name, size_t limit) const {
  const json& values = array(name, "an array of strings");
  if (values.size() > limit) {
    throw input_error(quoted(name) + " has more than " + std::to_string(limit) + " entries");
  }
  std::vector<std::string> out;
  out.reserve(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    if (!values[i].is_string()) throw input_error(quoted(name, i) + " must be a string");
    out.push_back(values[i].get<std::string>());
  }
  return out;
}

}  // namespace xdn
