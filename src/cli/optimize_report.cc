#include "cli/optimize_report.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/atomic_file.h"
#include "base/error.h"
#include "cli/progress.h"
#include "cli/run_info.h"
#include "evaluator/comparison.h"

namespace xdn::cli {
namespace {

using Json = nlohmann::ordered_json;
using optimize::Measured;
using optimize::Stage;
using optimize::Step;

std::string accuracy_text(double accuracy) { return fmt::format("{:.2f}", 100 * accuracy); }
std::string ms_text(double seconds) { return fmt::format("{:.4g}", 1e3 * seconds); }

Json points_of(const optimize::Outcome& outcome) {
  Json points = Json::array();
  for (const Step& step : outcome.steps) {
    if (!step.measured) continue;
    const Measured& m = *step.measured;
    points.push_back({{"name", step.stage == Stage::kBaseline ? "original" : step.name + " " + step.title},
                      {"accuracy", m.accuracy},
                      {"images_per_second", 1 / std::max(m.seconds, 1e-12)},
                      {"macs", m.macs},
                      {"group", "xdn"},
                      {"kept", step.kept}});
  }
  return points;
}

/// A bar per step that was kept, each from the one before.
Json waterfall_of(const optimize::Outcome& outcome) {
  Json steps = Json::array();
  std::string from;
  for (const Step& step : outcome.steps) {
    if (!step.measured || (!step.kept && step.stage != Stage::kBaseline)) continue;
    const std::string name = step.stage == Stage::kBaseline ? "original" : step.title;
    steps.push_back({{"name", name},
                     {"value", 1e3 * step.measured->seconds},
                     {"accuracy", step.measured->accuracy},
                     {"from", from}});
    from = name;
  }
  return {{"unit", "ms"}, {"steps", std::move(steps)}};
}

Json steps_table(const optimize::Outcome& outcome) {
  Json rows = Json::array();
  for (const Step& step : outcome.steps) {
    const bool measured = step.measured.has_value();
    rows.push_back({step.name, step.title, measured ? accuracy_text(step.measured->accuracy) + " %" : "",
                    measured ? ms_text(step.measured->seconds) : "",
                    measured ? fmt::format("{:.2f}", step.measured->speed) : "",
                    step.kept          ? "yes"
                    : step.why.empty() ? ""
                                       : "no: " + step.why,
                    duration_text(step.seconds)});
  }
  return {{"title", "Steps"},
          {"columns", {"stage", "what", "accuracy on val", "ms per image", "speed", "kept", "took"}},
          {"rows", std::move(rows)}};
}

}  // namespace

Json verdict_json(const Paired& paired) {
  const Comparison& c = paired.verdict.comparison;
  return {{"images", c.images()},
          {"accuracy", paired.verdict.accuracy()},
          {"accuracy_before", paired.verdict.original_accuracy()},
          {"drop", paired.verdict.drop()},
          {"flips", c.flips()},
          {"right_to_wrong", c.right_to_wrong()},
          {"wrong_to_right", c.wrong_to_right()},
          {"mcnemar_p", mcnemar_p(c.right_to_wrong(), c.wrong_to_right())},
          {"speed_ratio", paired.speed},
          {"original_ms", 1e3 * paired.original_seconds},
          {"ms", 1e3 * paired.original_seconds / paired.speed}};
}

void OptimizeReport::begin(const std::string& name, const std::string& title) const {
  if (isatty(STDERR_FILENO) == 1) (void)std::fputs(fmt::format("{}  {} ...\n", name, title).c_str(), stderr);
}

void OptimizeReport::note(const std::string& text) {
  notes_.push_back(text);
  flags_.output.print("note        {}\n", text);
  std::fflush(stdout);
}

void OptimizeReport::step(const Step& step) {
  const Output& out = flags_.output;
  std::string numbers;
  if (step.stage == Stage::kTest) {
    const Json& test = step.details.at("test");
    numbers =
        fmt::format("{} -> {} %  {:.4g} -> {:.4g} ms  {:.2f}x  {} flips, McNemar's p {:.3g}",
                    accuracy_text(test.at("accuracy_before").get<double>()),
                    accuracy_text(test.at("accuracy").get<double>()), test.at("original_ms").get<double>(),
                    test.at("ms").get<double>(), test.at("speed_ratio").get<double>(),
                    test.at("flips").get<int64_t>(), test.at("mcnemar_p").get<double>());
  } else if (step.stage == Stage::kTune) {
    numbers = step.details.value("dropped", false)
                  ? "nothing faster than the defaults"
                  : fmt::format("{:.2f} times the defaults", step.details.at("tuning").value("speedup", 1.0));
  } else if (step.measured) {
    const Measured& m = *step.measured;
    numbers = begun_ ? fmt::format("{} -> {} %  {} -> {} ms  {:.2f}x  {}", accuracy_text(before_.accuracy),
                                   accuracy_text(m.accuracy), ms_text(before_.seconds), ms_text(m.seconds),
                                   m.speed, step.kept ? "kept" : "not kept: " + step.why)
                     : fmt::format("{} %  {} ms{}", accuracy_text(m.accuracy), ms_text(m.seconds),
                                   step.kept ? "" : "  " + step.why);
    if (step.kept || !begun_) before_ = m;
    begun_ = true;
  }
  out.print("{:<12}{}{}{}  ({})\n", step.name, step.title, numbers.empty() ? "" : ": ", numbers,
            step.resumed ? "done before" : duration_text(step.seconds));
  std::fflush(stdout);
}

Json OptimizeReport::json(const optimize::Outcome& outcome, const Json& plan) const {
  Json json;
  json["title"] = "xdn optimize " + flags_.model;
  json["model"] = flags_.model;
  json["out"] = flags_.path("model.onnx");
  json["scenario"] = flags_.scenario;
  json["met"] = outcome.met && outcome.in_time;
  if (outcome.floor >= 0) json["floor"] = outcome.floor;
  if (outcome.target > 0) json["target_ms"] = 1e3 * outcome.target;
  json["original"] = to_json(outcome.original);
  json["result"] = to_json(outcome.best);
  json["result"]["from"] = outcome.best_name;
  json["commands"] = Json::array();
  json["stages"] = Json::array();
  for (const Step& step : outcome.steps) {
    if (step.details.contains("command")) json["commands"].push_back(step.details["command"]);
    Json stage{{"name", step.name}, {"title", step.title}, {"seconds", step.seconds}, {"kept", step.kept}};
    if (!step.why.empty()) stage["why"] = step.why;
    if (step.measured) stage["measured"] = to_json(*step.measured);
    stage["details"] = step.details;
    json["stages"].push_back(std::move(stage));
    for (const char* key : {"test", "tuning"}) {
      if (step.details.contains(key)) json[key] = step.details[key];
    }
  }
  json["notes"] = notes_;
  json["plan"] = plan;
  json["tables"] = Json::array({steps_table(outcome)});
  json["waterfall"] = waterfall_of(outcome);
  json["points"] = points_of(outcome);
  json["evals"] = evaluations_;
  put_run_info(json, "optimize");
  return json;
}

void OptimizeReport::write(const Json& json) const {
  AtomicFile file(flags_.path("optimize.json"));
  file.write(json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
  file.commit();
}

void OptimizeReport::finish(const optimize::Outcome& outcome, bool page) const {
  const Output& out = flags_.output;
  out.print("result      {}: {} %, {} ms an image; the original {} %, {} ms: {:.2f} times as fast\n",
            printable(flags_.path("model.onnx")), accuracy_text(outcome.best.accuracy),
            ms_text(outcome.best.seconds), accuracy_text(outcome.original.accuracy),
            ms_text(outcome.original.seconds), outcome.best.speed);
  if (outcome.best_model.empty())
    out.print("            no step made it faster: this is the model as it was\n");
  out.print("            {}{}\n", printable(flags_.path("optimize.json")),
            page ? ", " + printable(flags_.path("report.html")) : "");
  out.print("to use it   xdn eval {0} --data {1}\n            xdn run {0} IMAGE.jpg --top 3\n",
            printable(flags_.path("model.onnx")), printable(flags_.test.empty() ? flags_.val : flags_.test));
}

}  // namespace xdn::cli
