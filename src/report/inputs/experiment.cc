#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "report/inputs/common.h"
#include "report/inputs/inputs.h"

namespace xdn::report {
namespace {

Waterfall read_waterfall(const Fields& json, const std::string& title) {
  Waterfall waterfall;
  waterfall.title = title;
  waterfall.unit = json.text_or("unit", "ms");
  std::set<std::string> seen;
  for (const Fields& entry : json.objects("steps", 200)) {
    Waterfall::Step step;
    step.name = entry.text("name");
    step.from = entry.text_or("from", "");
    step.value = entry.positive("value");
    step.accuracy = entry.maybe_share("accuracy");
    if (!step.from.empty() && !seen.contains(step.from)) {
      entry.refuse("from", "names no earlier step");
    }
    seen.insert(step.name);
    waterfall.steps.push_back(std::move(step));
  }
  return waterfall;
}

Table read_table(const Fields& json) {
  Table table{json.text_or("title", ""), json.texts("columns", 100), {}};
  const Json& rows = json.list("rows", 10'000);
  for (size_t r = 0; r < rows.size(); ++r) {
    const std::string where = fmt::format("rows[{}]", r);
    if (!rows[r].is_array() || rows[r].size() != table.columns.size()) {
      json.refuse(where, fmt::format("expected a list of {} cells", table.columns.size()));
    }
    auto& row = table.rows.emplace_back();
    for (const Json& cell : rows[r]) row.push_back(json.scalar(cell, where));
  }
  return table;
}

Point read_point(const Fields& json) {
  Point point;
  point.name = json.text("name");
  point.group = json.text_or("group", "xdn");
  if (point.group != "xdn" && point.group != "peer") json.refuse("group", "expected 'xdn' or 'peer'");
  point.accuracy = json.share("accuracy");
  point.images_per_second = json.positive("images_per_second");
  point.macs = json.maybe_number("macs");
  return point;
}

/// How much faster the last step is than the first, and what that cost.
void add_headlines(const Waterfall& waterfall, Document& document) {
  if (waterfall.steps.size() < 2) return;
  const Waterfall::Step &first = waterfall.steps.front(), &last = waterfall.steps.back();
  const bool is_rate = waterfall.unit.find("/s") != std::string::npos;
  const double ratio = is_rate ? last.value / first.value : first.value / last.value;
  document.headlines.push_back(
      {short_number(ratio) + "x", fmt::format("as fast: {} after {}", last.name, first.name)});
  if (last.accuracy) {
    std::string label = "accuracy, " + last.name;
    if (first.accuracy) {
      label += fmt::format(" ({:+.2f} points)", (*last.accuracy - *first.accuracy) * 100);
    }
    document.headlines.push_back({percent(*last.accuracy), label});
  }
}

/// What an experiment itself counts as its result.
void add_own_headline(const Fields& json, Document& document) {
  document.headlines.push_back({short_number(json.positive("ratio")) + "x",
                                fmt::format("as fast: {} after {}", json.text("to"), json.text("from"))});
}

/// The last word of xdn optimize: images that took no part in any choice.
void add_test(const Fields& json, Document& document) {
  Table table{"On test images, which took no part in any choice",
              {"images", "accuracy before", "after", "right to wrong", "wrong to right", "speed-up"},
              {}};
  table.rows.push_back(
      {json.count("images"), percent(json.share("accuracy_before")), percent(json.share("accuracy")),
       json.count("right_to_wrong"), json.count("wrong_to_right"),
       json.has("speed_ratio") ? Scalar(short_number(json.positive("speed_ratio")) + "x") : Scalar()});
  document.tables.push_back(std::move(table));
}

void add_fastest(const Document& document, std::vector<Headline>& headlines) {
  const auto by_rate = [](const Point& a, const Point& b) {
    return a.images_per_second < b.images_per_second;
  };
  const auto fastest = std::max_element(document.points.begin(), document.points.end(), by_rate);
  if (fastest != document.points.end()) {
    headlines.push_back({short_number(fastest->images_per_second), "images/s, " + fastest->name});
  }
}

}  // namespace

void add_experiment(const Fields& json, const std::string& name, Document& document) {
  const std::string title = json.text_or("title", name);
  if (document.title.empty()) document.title = title;
  if (json.has("headline")) add_own_headline(json.object("headline"), document);
  if (json.has("waterfall")) {
    Waterfall waterfall = read_waterfall(json.object("waterfall"), title);
    add_headlines(waterfall, document);
    if (!waterfall.steps.empty()) document.waterfalls.push_back(std::move(waterfall));
  }
  if (json.has("points")) {
    for (const Fields& point : json.objects("points", 1000)) add_point(document, read_point(point));
    add_fastest(document, document.headlines);
  }
  if (json.has("tables")) {
    for (const Fields& table : json.objects("tables", 100)) document.tables.push_back(read_table(table));
  }
  if (json.has("test")) add_test(json.object("test"), document);
  if (json.has("aa")) {
    const Fields aa = json.object("aa");
    document.aa.push_back({aa.positive("ratio"), aa.positive("lo"), aa.positive("hi"), aa.count("runs")});
  }
  if (json.has("evals")) {
    for (const Fields& eval : json.objects("evals", 100)) add_eval_part(eval, name, false, document);
  }
  if (json.has("tuning")) add_tuning_part(json.object("tuning"), name, document);
  if (json.has("commands")) {
    for (std::string& command : json.texts("commands", 1000)) add_command(document, std::move(command));
  }
  if (json.has("notes")) {
    for (std::string& note : json.texts("notes", 1000)) document.notes.push_back(std::move(note));
  }
}

}  // namespace xdn::report
