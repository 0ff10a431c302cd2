#include "quantization/ranges.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "base/atomic_file.h"
#include "base/decimal.h"
#include "base/error.h"

namespace xdn {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kVersion = 1;
constexpr size_t kMostBytes = size_t{64} << 20;

std::string shape_text(const Graph& graph, const std::string& name) {
  const auto id = graph.find_value(name);
  XDN_CHECK(id.has_value());
  return to_string(graph.value(*id).shape);
}

float number(const Json& row, const char* field) {
  if (!row.contains(field) || !row[field].is_number())
    throw input_error(fmt::format("field '{}' must be a number", field));
  const auto x = row[field].get<float>();
  if (!std::isfinite(x)) throw input_error(fmt::format("field '{}' must be a finite number", field));
  return x;
}

ValueRange read_row(const Json& row, const std::string& shape) {
  if (!row.is_object()) throw input_error("expected an object with low and high");
  if (row.contains("shape") && row["shape"] != Json(shape)) {
    throw input_error(fmt::format("has shape {} in the model, but {} here: the ranges are another model's",
                                  shape, printable(row["shape"].dump())));
  }
  ValueRange out;
  out.levels = {number(row, "low"), number(row, "high")};
  if (out.levels.low > out.levels.high) throw input_error("low is larger than high");
  out.seen = out.levels;
  if (row.contains("min") && row.contains("max")) out.seen = {number(row, "min"), number(row, "max")};
  return out;
}

Ranges parse(const std::string& text, const Graph& graph, const std::vector<std::string>& wanted) {
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) throw input_error("is not JSON");
  if (!json.is_object() || !json.contains("xdn_ranges") || !json.contains("values") ||
      !json["values"].is_object()) {
    throw input_error("is no ranges file: expected an object with xdn_ranges and values");
  }
  if (json["xdn_ranges"] != kVersion)
    throw input_error(fmt::format("is of another version, expected xdn_ranges {}", kVersion));
  Ranges ranges;
  if (json.contains("method") && json["method"].is_string())
    ranges.method = json["method"].get<std::string>();
  if (json.contains("images") && json["images"].is_number_integer())
    ranges.images = json["images"].get<int64_t>();
  if (json.contains("seed") && json["seed"].is_number_integer()) ranges.seed = json["seed"].get<int64_t>();
  const Json& values = json["values"];
  const std::set<std::string> expected(wanted.begin(), wanted.end());
  for (const auto& [name, row] : values.items()) {
    if (!graph.find_value(name)) {
      throw input_error(
          fmt::format("value '{}' is not in the model: the ranges are another model's", printable(name)));
    }
    if (!expected.contains(name)) {
      throw input_error(fmt::format(
          "value '{}' gets no range of its own in the model, expected it to be left out", printable(name)));
    }
  }
  for (const std::string& name : wanted) {
    if (!values.contains(name)) {
      throw input_error(
          fmt::format("has no range for value '{}': the ranges are another model's", printable(name)));
    }
    try {
      ranges.values[name] = read_row(values[name], shape_text(graph, name));
    } catch (const Error& error) {
      throw input_error(fmt::format("value '{}': {}", printable(name), error.message()));
    }
  }
  return ranges;
}

}  // namespace

void write_ranges(const Ranges& ranges, const Graph& graph, const std::string& path) {
  Json json;
  json["xdn_ranges"] = kVersion;
  json["method"] = ranges.method;
  json["images"] = ranges.images;
  json["seed"] = ranges.seed;
  Json values = Json::object();
  for (const auto& [name, range] : ranges.values) {
    values[name] = {{"shape", shape_text(graph, name)},
                    {"min", shortest_decimal(range.seen.low)},
                    {"max", shortest_decimal(range.seen.high)},
                    {"low", shortest_decimal(range.levels.low)},
                    {"high", shortest_decimal(range.levels.high)}};
  }
  // One line per value: the file is read and edited by people.
  const auto text_of = [](const Json& item) {
    return item.dump(-1, ' ', false, Json::error_handler_t::replace);
  };
  std::string text = "{\n";
  for (const auto& [key, item] : json.items())
    text += fmt::format(" {}: {},\n", Json(key).dump(), text_of(item));
  text += " \"values\": {";
  bool first = true;
  for (const auto& [name, row] : values.items()) {
    text += fmt::format("{}\n  {}: {}", first ? "" : ",", text_of(Json(name)), text_of(row));
    first = false;
  }
  AtomicFile file(path);
  file.write(text + "\n }\n}\n");
  file.commit();
}

Ranges read_ranges(const std::string& path, const Graph& graph, const std::vector<std::string>& wanted) {
  try {
    return parse(read_file(path, kMostBytes), graph, wanted);
  } catch (Error& error) {
    throw error.in_file(path);
  }
}

}  // namespace xdn
