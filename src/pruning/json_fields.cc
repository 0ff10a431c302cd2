#include "pruning/json_fields.h"

#include <cmath>
#include <set>

#include "base/error.h"

namespace xdn::pruning {
namespace {

constexpr int kDeepest = 8;
/// Finding a name takes time in proportion to their number.
constexpr size_t kMostNames = size_t{1} << 14;

}  // namespace

Json parse_json(const std::string& text) {
  std::vector<std::set<std::string>> names;  // of the objects that are open
  const auto check = [&](int depth, Json::parse_event_t event, Json& value) {
    if (depth > kDeepest) throw input_error("JSON is nested too deeply");
    if (event == Json::parse_event_t::object_start) names.emplace_back();
    if (event == Json::parse_event_t::object_end) names.pop_back();
    if (event != Json::parse_event_t::key) return true;
    const auto& name = value.get_ref<const std::string&>();
    if (!names.back().insert(name).second) throw input_error("holds '" + printable(name) + "' twice");
    if (names.back().size() > kMostNames) throw input_error("holds an object of too many names");
    return true;
  };
  try {
    return Json::parse(text, check);
  } catch (const Json::parse_error& error) {
    throw input_error("is not valid JSON: error at byte " + std::to_string(error.byte));
  } catch (const Json::exception&) {
    throw input_error("is not valid JSON: a number is out of range");
  }
}

std::string line(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Fields::Fields(const Json& object, std::string where) : object_(object), where_(std::move(where)) {
  if (!object.is_object()) throw input_error(where_ + " must be an object");
}

const Json& Fields::field(const char* name) const {
  const auto found = object_.find(name);
  if (found == object_.end()) throw input_error(at(name) + " is missing");
  return *found;
}

const Json& Fields::object(const char* name) const {
  const Json& value = field(name);
  if (!value.is_object()) throw input_error(at(name) + " must be an object");
  return value;
}

const Json& Fields::array(const char* name) const {
  const Json& value = field(name);
  if (!value.is_array()) throw input_error(at(name) + " must be an array");
  return value;
}

std::string Fields::string(const char* name) const { return as_string(field(name), at(name)); }

std::vector<std::string> Fields::strings(const char* name) const {
  std::vector<std::string> out;
  for (const Json& value : array(name)) out.push_back(as_string(value, "an entry of " + at(name)));
  return out;
}

uint64_t Fields::natural(const char* name, uint64_t most) const {
  return as_natural(field(name), most, at(name));
}

bool Fields::boolean(const char* name) const {
  const Json& value = field(name);
  if (!value.is_boolean()) throw input_error(at(name) + " must be true or false");
  return value.get<bool>();
}

double Fields::amount(const char* name) const { return as_amount(field(name), at(name)); }

std::string Fields::as_string(const Json& value, const std::string& where) {
  if (!value.is_string()) throw input_error(where + " must be a string");
  return value.get<std::string>();
}

uint64_t Fields::as_natural(const Json& value, uint64_t most, const std::string& where) {
  if (!value.is_number_unsigned() || value.get<uint64_t>() > most)
    throw input_error(where + " must be an integer from 0 to " + std::to_string(most));
  return value.get<uint64_t>();
}

double Fields::as_amount(const Json& value, const std::string& where) {
  const double number = value.is_number() ? value.get<double>() : -1;
  if (!std::isfinite(number) || number < 0) throw input_error(where + " must be a number of at least 0");
  return number;
}

}  // namespace xdn::pruning
