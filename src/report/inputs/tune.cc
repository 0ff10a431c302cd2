#include <fmt/format.h>

#include <algorithm>

#include "report/inputs/common.h"
#include "report/inputs/inputs.h"

namespace xdn::report {
namespace {

constexpr size_t kMostTrials = 20'000;

/// Settings stand beside the results, or in an object of their own.
std::vector<Fact> settings_of(const Fields& json) {
  std::vector<Fact> facts = json.has("settings") ? json.object("settings").facts() : json.facts();
  std::erase_if(facts, [](const Fact& fact) {
    return fact.label == "score" || fact.label == "status" || fact.label == "reason";
  });
  return facts;
}

}  // namespace

void add_tuning_part(const Fields& json, const std::string& name, Document& document) {
  Tuning tuning;
  const std::string model = json.has("model") ? model_name(json.text("model")) : name;
  tuning.title = json.has("scenario") ? fmt::format("{}, {}", model, json.text("scenario")) : model;
  tuning.facts = json.facts({"search", "seconds", "trials", "failed", "speedup", "record"});
  if (json.has("best")) tuning.best = settings_of(json.object("best"));
  if (json.has("defaults")) tuning.defaults = settings_of(json.object("defaults"));
  if (json.has("surface")) {
    for (const Fields& entry : json.objects("surface", kMostTrials)) {
      Tuning::Trial trial;
      trial.settings = settings_of(entry);
      trial.status = entry.text_or("status", "ok");
      trial.score = entry.maybe_number("score");
      if (trial.status == "ok" && (!trial.score || *trial.score <= 0)) {
        entry.refuse("score", "expected a positive number");
      }
      tuning.surface.push_back(std::move(trial));
    }
  }
  document.tunings.push_back(std::move(tuning));
}

void add_tune(const Fields& json, const std::string& name, Document& document) {
  if (json.has("speedup")) {
    document.headlines.push_back(
        {fmt::format("{:.2f}x", json.positive("speedup")), "tuned, to the defaults"});
  }
  add_tuning_part(json, name, document);
}

}  // namespace xdn::report
