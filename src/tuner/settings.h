#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "executor/executor.h"

namespace xdn::tuner {

using Json = nlohmann::ordered_json;

/// What counts: images per second over a set, or how long one image takes (its 90th percentile).
enum class Scenario : uint8_t { kOffline, kSingleStream };
const char* scenario_name(Scenario scenario);
std::optional<Scenario> parse_scenario(const std::string& name);

/// What tuning decides. 0 and empty: the executor's choice.
struct Settings {
  std::optional<Precision> precision;  ///< empty: the file's own
  int data_parallel = 0, model_parallel = 0, batch_tile = 0;
  bool huge_pages = true;
  std::map<std::string, LayerLayout> layouts;  ///< by layer
  bool operator==(const Settings&) const = default;
};

/// "chosen", "rows" or "panels".
const char* order_name(LoopOrder order);
/// Input error where it is none of them.
LoopOrder parse_order(const std::string& name);

/// The options with the settings in them.
ExecOptions apply(const Settings& settings, ExecOptions options);

/// "precision" ("file" for the file's own), "data_parallel", "model_parallel", "batch_tile", "huge_pages"
/// and, where there are any, "layers": {name: {"panel": 2, "order": "rows"}}.
Json settings_json(const Settings& settings);
/// The reverse. Input error where a field is missing, of another type or out of range.
Settings parse_settings(const Json& json);
/// "int8, 2 x 1 threads, tiles of 96, huge pages, 7 layers of their own"
std::string settings_text(const Settings& settings);

/// A member of a JSON object: of type T and, for numbers, in [least, most]. Input error otherwise.
const Json& member(const Json& json, const char* name);
int64_t whole_member(const Json& json, const char* name, int64_t least, int64_t most);
double number_member(const Json& json, const char* name, double least, double most);
bool flag_member(const Json& json, const char* name);
std::string text_member(const Json& json, const char* name);

}  // namespace xdn::tuner
