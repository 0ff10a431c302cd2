#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "report/inputs/common.h"
#include "report/inputs/inputs.h"
#include "report/png_data.h"

namespace xdn::report {
namespace {

constexpr size_t kMostClasses = 1000;
constexpr size_t kMostSamples = 500;

/// A class: its name, or its number and the name that `classes` has for it.
std::string class_name(const Json& value, const std::vector<std::string>& classes, const Fields& at,
                       const char* key) {
  if (value.is_string()) return at.scalar(value, key).get<std::string>();
  if (!value.is_number_integer()) at.refuse(key, "expected a class, by number or by name");
  const auto index = value.get<int64_t>();
  if (index >= 0 && index < static_cast<int64_t>(classes.size())) return classes[static_cast<size_t>(index)];
  return std::to_string(index);
}

std::vector<std::string> read_classes(const Fields& json) {
  std::vector<std::string> classes;
  if (!json.has("classes")) return classes;
  for (const Json& value : json.list("classes", kMostClasses)) {
    classes.push_back(class_name(value, {}, json, "classes"));
  }
  return classes;
}

void read_confusion(const Fields& json, Eval& eval) {
  const Json& rows = json.list("confusion", kMostClasses);
  if (eval.classes.empty()) {
    for (size_t i = 0; i < rows.size(); ++i) eval.classes.push_back(std::to_string(i));
  }
  const size_t n = eval.classes.size();
  const auto refuse = [&] {
    json.refuse("confusion", fmt::format("expected {} rows of {} counts each", n, n));
  };
  if (rows.size() != n) refuse();
  for (const Json& row : rows) {
    if (!row.is_array() || row.size() != n) refuse();
    auto& counts = eval.confusion.emplace_back();
    for (const Json& count : row) {
      if (!count.is_number_unsigned() || count.get<uint64_t>() > uint64_t{1} << 40) refuse();
      counts.push_back(count.get<int64_t>());
    }
  }
}

void read_samples(const Fields& json, Eval& eval) {
  for (const Fields& entry : json.objects("samples", kMostSamples)) {
    Sample sample;
    for (const char* key : {"label", "predicted"}) {
      if (!entry.has(key)) entry.refuse(key, "is missing");
    }
    sample.label = class_name(entry.json()["label"], eval.classes, entry, "label");
    sample.predicted = class_name(entry.json()["predicted"], eval.classes, entry, "predicted");
    sample.probability = entry.maybe_share("probability");
    const Json& png = entry.has("png") ? entry.json()["png"] : Json();
    if (!png.is_string()) entry.refuse("png", "expected a PNG in base64");
    sample.png = png.get<std::string>();
    try {
      check_png_base64(sample.png);
    } catch (const Error& error) {
      entry.refuse("png", error.message());
    }
    eval.samples.push_back(std::move(sample));
  }
}

void read_reference(const Fields& json, Eval& eval) {
  const Fields reference = json.object("reference");
  if (reference.has("model")) eval.facts.push_back({"reference", model_name(reference.text("model"))});
  if (reference.has("accuracy")) {
    eval.facts.push_back({"reference's accuracy", percent(reference.share("accuracy"))});
  }
  for (const Fact& fact : reference.facts({"flips", "right_to_wrong", "wrong_to_right"})) {
    eval.facts.push_back(fact);
  }
  if (reference.has("mcnemar_p")) {
    eval.facts.push_back({"McNemar's p", short_number(reference.share("mcnemar_p"))});
  }
}

void read_interval(const Fields& json, Eval& eval) {
  const Json& interval = json.list("accuracy_interval", 2);
  const auto in_range = [](const Json& x) { return x.is_number() && x >= 0 && x <= 1; };
  if (interval.size() != 2 || !std::all_of(interval.begin(), interval.end(), in_range)) {
    json.refuse("accuracy_interval", "expected two numbers from 0 to 1");
  }
  eval.facts.push_back({"95 % interval", fmt::format("{} to {}", percent(interval[0].get<double>()),
                                                     percent(interval[1].get<double>()))});
}

Bars per_class_bars(const Fields& json, const Eval& eval) {
  Bars bars{"Accuracy per class, " + eval.title, "%", "", false, {}};
  for (const Fields& entry : json.objects("per_class", kMostClasses)) {
    if (!entry.has("class")) entry.refuse("class", "is missing");
    const std::string name = class_name(entry.json()["class"], eval.classes, entry, "class");
    // A class without images has no accuracy.
    if (const Maybe accuracy = entry.maybe_share("accuracy")) bars.rows.push_back({name, *accuracy * 100});
  }
  return bars;
}

}  // namespace

void add_eval_part(const Fields& json, const std::string& name, bool with_point, Document& document) {
  Eval eval;
  eval.title = run_name(json, name);
  eval.classes = read_classes(json);
  const Maybe accuracy = json.maybe_share("accuracy"), rate = json.maybe_number("images_per_second");
  if (json.has("data")) eval.facts.push_back({"data", json.text("data")});
  for (const Fact& fact : json.facts({"images", "correct"})) eval.facts.push_back(fact);
  if (accuracy) eval.facts.push_back({"accuracy", percent(*accuracy)});
  if (json.has("accuracy_interval")) read_interval(json, eval);
  if (json.has("top5")) eval.facts.push_back({"top-5 accuracy", percent(json.share("top5"))});
  if (rate) eval.facts.push_back({"images/s", short_number(*rate)});
  if (json.has("energy_joules")) {
    eval.facts.push_back({"energy", short_number(json.number("energy_joules")) + " J"});
  }
  if (json.has("time_split")) {
    for (const Fact& part : json.object("time_split").facts()) {
      if (part.value.is_number()) {
        eval.facts.push_back({part.label, short_number(part.value.get<double>()) + " s"});
      }
    }
  }
  if (json.has("reference")) read_reference(json, eval);
  if (json.has("confusion")) read_confusion(json, eval);
  if (json.has("samples")) read_samples(json, eval);
  if (json.has("profile")) add_profile(json.object("profile"), eval.title, document);
  if (eval.confusion.empty() && json.has("per_class")) document.bars.push_back(per_class_bars(json, eval));
  add_settings(json, eval.title, document);
  if (with_point && accuracy && rate && *rate > 0) {
    add_point(document, {eval.title, "xdn", *accuracy, *rate, json.maybe_number("macs")});
  }
  document.evals.push_back(std::move(eval));
}

void add_eval(const Fields& json, const std::string& name, Document& document) {
  const std::string title = run_name(json, name);
  document.headlines.push_back({percent(json.share("accuracy")), "accuracy, " + title});
  document.headlines.push_back({short_number(json.positive("images_per_second")), "images/s, " + title});
  add_eval_part(json, name, true, document);
}

}  // namespace xdn::report
