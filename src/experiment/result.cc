#include "experiment/result.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "experiment/statistics.h"

namespace xdn::experiment {
namespace {

using Json = nlohmann::ordered_json;

std::string ms(double seconds) {
  const double value = seconds * 1e3;
  return fmt::format("{:.{}f}", value, value < 100 ? 1 : 0);
}

std::string times(double ratio) { return fmt::format("{:.{}f}×", ratio, ratio < 10 ? 2 : 1); }

double median_of(const RowResult& result) { return spread(result.seconds).median; }

double rate(const RowResult& result) { return static_cast<double>(result.images) / median_of(result); }

std::string published(double value, const char* format) {
  return value > 0 ? fmt::format(fmt::runtime(format), value) : "";
}

/// The cells of time, spread, rate and accuracy; where nothing was measured, the reason and blanks.
void put_figures(Json& cells, const RowResult& result) {
  if (!result.measured()) {
    cells.push_back(result.missing.empty() ? "not measured" : result.missing);
    for (int i = 0; i < 3; ++i) cells.push_back("");
    return;
  }
  const Spread all = spread(result.seconds);
  cells.push_back(ms(all.median));
  cells.push_back(fmt::format("{}–{}", ms(all.min), ms(all.max)));
  cells.push_back(fmt::format("{:.0f}", rate(result)));
  cells.push_back(fmt::format("{:.4f}", result.accuracy()));
}

std::string ratio_to(const RowResult* reference, const RowResult& result) {
  if (reference == nullptr || !reference->measured() || !result.measured()) return "";
  return times(median_of(*reference) / median_of(result));
}

Json table(std::string title, Json columns) {
  return {{"title", std::move(title)}, {"columns", std::move(columns)}, {"rows", Json::array()}};
}

std::string title_of(Group group) {
  switch (group) {
    case Group::kVariants:
      return "2019 repeated";
    case Group::kSteps:
      return "Step by step, and beyond";
    case Group::kPeers:
      break;
  }
  return "Other engines";
}

Json group_table(const Experiment& experiment, Group group) {
  const RowResult* original = experiment.find(kOriginalRow);
  const RowResult* peer = experiment.find(kHeadlineFrom);
  Json columns{"row", "what", "time, ms", "min–max, ms", "images/s", "accuracy", "× Original", "× ORT fp32"};
  const bool then = group == Group::kVariants;
  if (then) columns.insert(columns.end(), {"2019: ms", "2019: accuracy"});
  Json out = table(title_of(group), std::move(columns));
  for (const RowResult& result : experiment.rows) {
    if (result.row->group != group) continue;
    Json cells{result.row->name, result.row->what};
    put_figures(cells, result);
    cells.push_back(ratio_to(original, result));
    cells.push_back(ratio_to(peer, result));
    if (then) {
      cells.push_back(published(result.row->ms_2019, "{:.0f}"));
      cells.push_back(published(result.row->accuracy_2019, "{:.4f}"));
    }
    out["rows"].push_back(std::move(cells));
  }
  return out;
}

Json settings_table(const Experiment& experiment) {
  Json out = table("Settings", {"row", "engine", "model", "fusion", "data", "tuned", "settings"});
  for (const RowResult& result : experiment.rows) {
    if (!result.measured()) continue;
    const Row& row = *result.row;
    out["rows"].push_back({row.name, engine_name(row.engine), model_name(row.model), row.fusion,
                           row.online ? "decoded on the way" : "decoded before", result.tuned ? "yes" : "no",
                           result.settings});
  }
  return out;
}

struct Bar {
  const Step* step;
  const RowResult* result;
};

std::vector<Bar> bars(const Experiment& experiment) {
  std::vector<Bar> out;
  for (const Step& step : waterfall()) {
    const RowResult* result = experiment.find(step.row);
    if (result != nullptr && result->measured()) out.push_back({&step, result});
  }
  return out;
}

Json waterfall_json(const std::vector<Bar>& bars) {
  Json steps = Json::array();
  std::string_view from;
  for (const auto& [step, result] : bars) {
    steps.push_back({{"name", step->name},
                     {"value", median_of(*result) * 1e3},
                     {"accuracy", result->accuracy()},
                     {"from", from}});
    from = step->name;
  }
  return {{"unit", "ms"}, {"steps", std::move(steps)}};
}

Json waterfall_table(const std::vector<Bar>& bars) {
  Json out = table("What each step contributes to B-2, and beyond",
                   {"step", "row", "time, ms", "accuracy", "step's share", "in all", "2019: ms"});
  for (size_t i = 0; i < bars.size(); ++i) {
    const auto& [step, result] = bars[i];
    out["rows"].push_back({step->name, step->row, ms(median_of(*result)),
                           fmt::format("{:.4f}", result->accuracy()),
                           i == 0 ? "" : ratio_to(bars[i - 1].result, *result),
                           ratio_to(bars[0].result, *result), published(step->ms_2019, "{:.0f}")});
  }
  return out;
}

Json points(const Experiment& experiment) {
  Json out = Json::array();
  for (const RowResult& result : experiment.rows) {
    if (!result.measured()) continue;
    out.push_back({{"name", result.row->name},
                   {"accuracy", result.accuracy()},
                   {"images_per_second", rate(result)},
                   {"macs", result.macs},
                   {"group", result.row->engine == Engine::kXdn ? "xdn" : "peer"}});
  }
  return out;
}

Json aa_json(const Experiment& experiment) {
  const std::vector<double> ratios = aa_ratios(experiment.aa_seconds);
  if (ratios.empty()) return nullptr;
  const Interval interval = median_interval(ratios);
  return {{"ratio", interval.median},
          {"lo", interval.lo},
          {"hi", interval.hi},
          {"runs", ratios.size() * kAaBlock},
          {"within", std::abs(interval.median - 1) <= kAaTolerance}};
}

std::string aa_note(const Json& aa) {
  return fmt::format(
      "A/A check: XDN against itself, {} passes in the order A B B A: ratio {:.3f} ({:.3f} to {:.3f} at 95 "
      "%); "
      "{}.",
      aa["runs"].get<size_t>(), aa["ratio"].get<double>(), aa["lo"].get<double>(), aa["hi"].get<double>(),
      aa["within"].get<bool>()
          ? fmt::format("within 1 ± {}", kAaTolerance)
          : fmt::format("not within 1 ± {}: the machine was too noisy for ratios this close", kAaTolerance));
}

Json headline_json(const Headline& found, const Experiment& experiment) {
  if (found.from == nullptr || found.best == nullptr) return nullptr;
  return {{"from", found.from->row->name},
          {"to", found.best->row->name},
          {"ratio", found.ratio},
          {"lo", found.lo},
          {"hi", found.hi},
          {"accuracy", found.best->accuracy()},
          {"accuracy_from", experiment.find(kOriginalRow)->accuracy()}};
}

std::string headline_note(const Headline& found, const Experiment& experiment) {
  if (found.from == nullptr) return "No headline: ONNX Runtime was not measured on the original in float32.";
  if (found.best == nullptr) return "No headline: no row of XDN is as accurate as the original.";
  const std::string range =
      found.lo == found.hi
          ? ""
          : fmt::format(" ({} to {} between slowest and fastest passes)", times(found.lo), times(found.hi));
  return fmt::format(
      "ONNX Runtime, float32, original: {} ms. XDN, {}, accuracy {:.4f} (original {:.4f}): {} ms. That is "
      "{}{}.",
      ms(median_of(*found.from)), found.best->row->name, found.best->accuracy(),
      experiment.find(kOriginalRow)->accuracy(), ms(median_of(*found.best)), times(found.ratio), range);
}

Json rows_json(const Experiment& experiment) {
  Json out = Json::array();
  for (const RowResult& result : experiment.rows) {
    Json row{{"name", result.row->name},
             {"what", result.row->what},
             {"engine", engine_name(result.row->engine)},
             {"model", model_name(result.row->model)}};
    if (!result.measured()) {
      row["missing"] = result.missing;
    } else {
      const Spread all = spread(result.seconds);
      row["images"] = result.images;
      row["correct"] = result.correct;
      row["accuracy"] = result.accuracy();
      row["seconds"] = result.seconds;
      row["seconds_median"] = all.median;
      row["seconds_min"] = all.min;
      row["seconds_max"] = all.max;
      row["images_per_second"] = rate(result);
      row["settings"] = result.settings;
      row["tuned"] = result.tuned;
    }
    if (!result.command.empty()) row["command"] = result.command;
    out.push_back(std::move(row));
  }
  return out;
}

}  // namespace

const RowResult* Experiment::find(std::string_view name) const {
  const auto found = std::find_if(rows.begin(), rows.end(),
                                  [&](const RowResult& result) { return result.row->name == name; });
  return found == rows.end() ? nullptr : &*found;
}

Headline headline(const Experiment& experiment) {
  Headline out;
  const RowResult* from = experiment.find(kHeadlineFrom);
  if (from != nullptr && from->measured()) out.from = from;
  const RowResult* original = experiment.find(kOriginalRow);
  if (original == nullptr || !original->measured()) return out;
  for (const RowResult& result : experiment.rows) {
    if (!result.measured() || result.row->engine != Engine::kXdn || result.accuracy() < original->accuracy())
      continue;
    if (out.best == nullptr || median_of(result) < median_of(*out.best)) out.best = &result;
  }
  if (out.from == nullptr || out.best == nullptr) return out;
  const Spread slow = spread(out.from->seconds), fast = spread(out.best->seconds);
  out.ratio = slow.median / fast.median;
  out.lo = slow.min / fast.max;
  out.hi = slow.max / fast.min;
  return out;
}

Json to_json(const Experiment& experiment) {
  const Headline found = headline(experiment);
  const std::vector<Bar> steps = bars(experiment);
  const Json aa = aa_json(experiment);
  Json notes = Json::array();
  notes.push_back(headline_note(found, experiment));
  if (!aa.is_null()) notes.push_back(aa_note(aa));
  for (const std::string& note : experiment.notes) notes.push_back(note);

  Json json{{"title", experiment.title},
            {"images", experiment.images},
            {"repeats", experiment.repeats},
            {"environment", experiment.environment},
            {"commands", experiment.commands},
            {"notes", std::move(notes)},
            {"headline", headline_json(found, experiment)},
            {"tables", Json::array()}};
  for (const Group group : {Group::kVariants, Group::kSteps, Group::kPeers}) {
    Json rows = group_table(experiment, group);
    if (!rows["rows"].empty()) json["tables"].push_back(std::move(rows));
    if (group == Group::kVariants && steps.size() > 1) json["tables"].push_back(waterfall_table(steps));
  }
  json["tables"].push_back(settings_table(experiment));
  json["waterfall"] = waterfall_json(steps);
  json["points"] = points(experiment);
  if (!aa.is_null()) json["aa"] = aa;
  json["rows"] = rows_json(experiment);
  json["evals"] = experiment.evals;
  return json;
}

}  // namespace xdn::experiment
