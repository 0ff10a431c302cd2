#include "cli/tune_report.h"

#include <fmt/format.h>

namespace xdn::cli {
namespace {

using Json = nlohmann::ordered_json;
using tuner::Scenario;
using tuner::TunePoint;
using tuner::TuneResult;

std::string precision_of(const TunePoint& point, const TuneResult& result) {
  return point.settings.precision ? precision_name(*point.settings.precision) : result.precision;
}

std::string time_text(double seconds, Scenario scenario) {
  if (scenario == Scenario::kSingleStream) return fmt::format("{:.3f} ms", seconds * 1e3);
  return fmt::format("{:.1f} images/s", 1 / std::max(seconds, 1e-12));
}

void print_row(const Output& out, const std::string& name, const TunePoint& point, const TuneResult& result,
               Scenario scenario) {
  const tuner::Settings& s = point.settings;
  const std::string accuracy = point.accuracy ? fmt::format("{:>10.4f}", *point.accuracy) : "";
  out.print("{:<10}{:>9}{:>9}{:>6}{:>7}{:>8}{:>20}{:>8}{}\n", name, precision_of(point, result),
            fmt::format("{} x {}", s.data_parallel, s.model_parallel), s.batch_tile,
            s.huge_pages ? "huge" : "small", s.layouts.empty() ? "-" : std::to_string(s.layouts.size()),
            time_text(point.seconds, scenario), fmt::format("{:.2f}x", 1 / point.ratio), accuracy);
}

Json point_json(const TunePoint& point, const TuneResult& result, Scenario scenario) {
  Json json = tuner::settings_json(point.settings);
  json["precision"] = precision_of(point, result);
  if (scenario == Scenario::kOffline) {
    json["seconds_per_image"] = point.seconds;
  } else {
    json["latency_ms_p90"] = point.seconds * 1e3;
  }
  if (point.accuracy) json["accuracy"] = *point.accuracy;
  return json;
}

}  // namespace

void print_tuning(const Output& out, const TuneResult& result, Scenario scenario) {
  const bool single = scenario == Scenario::kSingleStream;
  out.print("{:<10}{:>9}{:>9}{:>6}{:>7}{:>8}{:>20}{:>8}{}\n", "", "precision", "threads", "tile", "pages",
            "layers", single ? "90 % within" : "throughput", "", result.best.accuracy ? "  accuracy" : "");
  print_row(out, "defaults", result.defaults, result, scenario);
  for (const TunePoint& point : result.front) print_row(out, "front", point, result, scenario);
  print_row(out, "tuned", result.best, result, scenario);
  if (result.kept_defaults) out.print("nothing gains beyond noise: the defaults stay\n");
  out.print("{} trials, {} failed, {:.1f} s\n", result.trials, result.failed, result.seconds);
}

Json tuning_json(const TuneResult& result, Scenario scenario) {
  Json json;
  json["seconds"] = result.seconds;
  json["trials"] = result.trials;
  json["failed"] = result.failed;
  json["resumed"] = result.resumed;
  json["complete"] = result.complete;
  json["kept_defaults"] = result.kept_defaults;
  json["slice_images"] = result.slice_images;
  json["best"] = point_json(result.best, result, scenario);
  json["defaults"] = point_json(result.defaults, result, scenario);
  json["speedup"] = result.speedup();
  json["surface"] = Json::array();
  for (const TunePoint& point : result.surface) {
    Json row = tuner::settings_json(point.settings);
    row["precision"] = precision_of(point, result);
    const bool ok = point.status == tuner::Status::kOk;
    row["score"] = !ok                              ? Json(nullptr)
                   : scenario == Scenario::kOffline ? Json(point.seconds)
                                                    : Json(point.seconds * 1e3);
    row["status"] = tuner::status_name(point.status);
    if (!ok) row["reason"] = point.reason;
    json["surface"].push_back(std::move(row));
  }
  for (const TunePoint& point : result.front) json["front"].push_back(point_json(point, result, scenario));
  return json;
}

}  // namespace xdn::cli
