#include "tuner/settings.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

#include "base/error.h"

namespace xdn::tuner {
namespace {

constexpr int64_t kMostThreads = 1024, kMostTile = 4096, kMostPanel = 4;
constexpr size_t kMostLayers = 100'000;
constexpr const char* kFileOwn = "file";
constexpr std::array kScenarios{"offline", "single-stream"};
constexpr std::array kPrecisions{Precision::kFp32, Precision::kBf16, Precision::kInt8};
constexpr std::array kOrders{"chosen", "rows", "panels"};  // by LoopOrder

std::optional<Precision> parse_precision(const std::string& name) {
  if (name == kFileOwn) return std::nullopt;
  for (const Precision p : kPrecisions) {
    if (name == precision_name(p)) return p;
  }
  throw input_error("'precision' is '" + printable(name) + "', expected file, fp32, bf16 or int8");
}

}  // namespace

const char* scenario_name(Scenario scenario) { return kScenarios[static_cast<size_t>(scenario)]; }

std::optional<Scenario> parse_scenario(const std::string& name) {
  for (size_t i = 0; i < kScenarios.size(); ++i) {
    if (name == kScenarios[i]) return static_cast<Scenario>(i);
  }
  return std::nullopt;
}

const char* order_name(LoopOrder order) { return kOrders[static_cast<size_t>(order)]; }

LoopOrder parse_order(const std::string& name) {
  for (size_t i = 0; i < kOrders.size(); ++i) {
    if (name == kOrders[i]) return static_cast<LoopOrder>(i);
  }
  throw input_error("'order' is '" + printable(name) + "', expected chosen, rows or panels");
}

ExecOptions apply(const Settings& settings, ExecOptions options) {
  if (settings.precision) options.precision = settings.precision;
  options.data_parallel = settings.data_parallel;
  options.model_parallel = settings.model_parallel;
  options.batch_tile = settings.batch_tile;
  options.huge_pages = settings.huge_pages;
  options.layouts = settings.layouts;
  return options;
}

Json settings_json(const Settings& settings) {
  Json json{{"precision", settings.precision ? precision_name(*settings.precision) : kFileOwn},
            {"data_parallel", settings.data_parallel},
            {"model_parallel", settings.model_parallel},
            {"batch_tile", settings.batch_tile},
            {"huge_pages", settings.huge_pages}};
  for (const auto& [layer, layout] : settings.layouts) {
    Json& out = json["layers"][layer] = Json::object();
    if (layout.panel_vectors != 0) out["panel"] = layout.panel_vectors;
    if (layout.order != LoopOrder::kChosen) out["order"] = order_name(layout.order);
  }
  return json;
}

Settings parse_settings(const Json& json) {
  Settings settings;
  settings.precision = parse_precision(text_member(json, "precision"));
  settings.data_parallel = static_cast<int>(whole_member(json, "data_parallel", 0, kMostThreads));
  settings.model_parallel = static_cast<int>(whole_member(json, "model_parallel", 0, kMostThreads));
  settings.batch_tile = static_cast<int>(whole_member(json, "batch_tile", 0, kMostTile));
  settings.huge_pages = flag_member(json, "huge_pages");
  if (!json.contains("layers")) return settings;
  const Json& layers = json["layers"];
  if (!layers.is_object() || layers.size() > kMostLayers) throw input_error("'layers' is no table of layers");
  for (const auto& [name, value] : layers.items()) {
    try {
      LayerLayout layout;
      if (!value.is_object()) throw input_error("expected an object");
      if (value.contains("panel"))
        layout.panel_vectors = static_cast<int>(whole_member(value, "panel", 1, kMostPanel));
      if (value.contains("order")) layout.order = parse_order(text_member(value, "order"));
      settings.layouts.emplace(name, layout);
    } catch (Error& error) {
      throw error.in_layer(printable(name));
    }
  }
  return settings;
}

std::string settings_text(const Settings& settings) {
  const auto chosen = [](int value) { return value == 0 ? std::string("?") : std::to_string(value); };
  std::string text = fmt::format("{} x {} threads, tiles of {}, {}", chosen(settings.data_parallel),
                                 chosen(settings.model_parallel), chosen(settings.batch_tile),
                                 settings.huge_pages ? "huge pages" : "small pages");
  if (settings.precision) text = fmt::format("{}, {}", precision_name(*settings.precision), text);
  const size_t layers = settings.layouts.size();
  if (layers > 0) text += fmt::format(", {} layer{} laid out", layers, layers == 1 ? "" : "s");
  return text;
}

const Json& member(const Json& json, const char* name) {
  if (!json.is_object() || !json.contains(name)) throw input_error(fmt::format("has no '{}'", name));
  return json[name];
}

int64_t whole_member(const Json& json, const char* name, int64_t least, int64_t most) {
  const Json& value = member(json, name);
  const bool whole =
      value.is_number_integer() && !(value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX);
  if (!whole || value.get<int64_t>() < least || value.get<int64_t>() > most)
    throw input_error(fmt::format("'{}' is no whole number from {} to {}", name, least, most));
  return value.get<int64_t>();
}

double number_member(const Json& json, const char* name, double least, double most) {
  const Json& value = member(json, name);
  const double number = value.is_number() ? value.get<double>() : std::nan("");
  if (!(number >= least && number <= most))
    throw input_error(fmt::format("'{}' is no number from {} to {}", name, least, most));
  return number;
}

bool flag_member(const Json& json, const char* name) {
  const Json& value = member(json, name);
  if (!value.is_boolean()) throw input_error(fmt::format("'{}' is neither true nor false", name));
  return value.get<bool>();
}

std::string text_member(const Json& json, const char* name) {
  const Json& value = member(json, name);
  if (!value.is_string()) throw input_error(fmt::format("'{}' is no text", name));
  return value.get<std::string>();
}

}  // namespace xdn::tuner
