#include "pruning/scores_file.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "base/atomic_file.h"
#include "base/error.h"

namespace xdn::pruning {
namespace {

using Json = nlohmann::json;

constexpr size_t kMostBytes = size_t{1} << 28;
constexpr int kDeepest = 4;
constexpr std::string_view kCriterion = "taylor";

Json parse_json(const std::string& text) {
  std::vector<std::set<std::string>> names;  // of the objects that are open
  const auto check = [&](int depth, Json::parse_event_t event, Json& value) {
    if (depth > kDeepest) throw input_error("JSON is nested too deeply");
    if (event == Json::parse_event_t::object_start) names.emplace_back();
    if (event == Json::parse_event_t::object_end) names.pop_back();
    if (event == Json::parse_event_t::key && !names.back().insert(value.get<std::string>()).second)
      throw input_error("holds '" + printable(value.get<std::string>()) + "' twice");
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

const Json& field(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) throw input_error("field '" + std::string(name) + "' is missing");
  return *found;
}

uint64_t natural(const Json& object, const char* name, uint64_t most) {
  const Json& value = field(object, name);
  if (!value.is_number_unsigned() || value.get<uint64_t>() > most) {
    throw input_error("field '" + std::string(name) + "' must be an integer from 0 to " +
                      std::to_string(most));
  }
  return value.get<uint64_t>();
}

std::vector<double> numbers(const Json& json) {
  if (!json.is_array() || json.empty()) throw input_error("must have a list of numbers, one per filter");
  std::vector<double> out;
  for (const Json& value : json) {
    const double number = value.is_number() ? value.get<double>() : -1;
    if (!(number >= 0) || !std::isfinite(number)) {
      throw input_error("filter " + std::to_string(out.size()) + " must have a number of at least 0");
    }
    out.push_back(number);
  }
  return out;
}

}  // namespace

std::string to_json(const ScoresFile& scores) {
  const auto text = [](const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
  };
  std::string out = "{\"criterion\": " + text(kCriterion) + ", \"images\": " + text(scores.images) +
                    ", \"seed\": " + text(scores.seed) + ",\n \"layers\": {";
  bool first = true;
  for (const auto& [layer, values] : scores.layers) {
    out += (first ? "\n  " : ",\n  ") + text(layer) + ": " + text(values);
    first = false;
  }
  return out + "}}\n";
}

ScoresFile parse_scores(const std::string& text) {
  const Json json = parse_json(text);
  if (!json.is_object()) throw input_error("expected a JSON object at the top");
  const Json& criterion = field(json, "criterion");
  if (!criterion.is_string() || criterion.get<std::string>() != kCriterion)
    throw input_error("field 'criterion' must be \"" + std::string(kCriterion) + "\"");
  ScoresFile scores;
  scores.images = static_cast<int64_t>(
      natural(json, "images", static_cast<uint64_t>(std::numeric_limits<int64_t>::max())));
  scores.seed = natural(json, "seed", std::numeric_limits<uint64_t>::max());
  const Json& layers = field(json, "layers");
  if (!layers.is_object()) throw input_error("field 'layers' must be an object");
  for (const auto& [name, value] : json.items()) {
    if (name != "criterion" && name != "images" && name != "seed" && name != "layers")
      throw input_error("field '" + printable(name) + "' is unknown");
  }
  for (const auto& [layer, values] : layers.items()) {
    try {
      scores.layers.emplace(layer, numbers(values));
    } catch (Error& error) {
      throw error.in_layer(layer);
    }
  }
  return scores;
}

void write_scores(const ScoresFile& scores, const std::string& path) {
  AtomicFile file(path);
  file.write(to_json(scores));
  file.commit();
}

ScoresFile read_scores(const std::string& path) {
  try {
    return parse_scores(read_file(path, kMostBytes));
  } catch (Error& error) {
    throw error.in_file(path);
  }
}

}  // namespace xdn::pruning
