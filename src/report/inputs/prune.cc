#include <fmt/format.h>

#include "report/inputs/common.h"
#include "report/inputs/inputs.h"

namespace xdn::report {
namespace {

void add_size(const Fields& json, const std::string& title, Document& document) {
  const Fields before = json.object("before"), after = json.object("after");
  Table table{title, {"", "before", "after", "ratio"}, {}};
  const auto row = [&](const char* key, const char* label) {
    if (!before.has(key) || !after.has(key)) return;
    const double a = before.number(key), b = after.number(key);
    table.rows.push_back({label, a, b, b > 0 ? Scalar(short_number(a / b) + "x") : Scalar()});
  };
  row("parameters", "parameters");
  row("macs_effective", "multiply-accumulates");
  row("predicted_ms", "predicted ms");
  for (const char* half : {"val", "test"}) {
    if (!json.has(half)) continue;
    const Fields at = json.object(half);
    if (!at.has("accuracy")) continue;
    table.rows.push_back({fmt::format("accuracy ({})", half),
                          at.has("accuracy_before") ? Scalar(percent(at.share("accuracy_before"))) : Scalar(),
                          percent(at.share("accuracy")), Scalar()});
  }
  document.tables.push_back(std::move(table));
}

}  // namespace

void add_prune(const Fields& json, const std::string& name, Document& document) {
  const std::string model = model_name(json.has("out") ? json.text("out") : json.text_or("model", name));
  add_size(json, fmt::format("Pruned: {}", model), document);
  if (json.has("speed_ratio")) {
    document.headlines.push_back(
        {short_number(json.positive("speed_ratio")) + "x", fmt::format("as fast after pruning, {}", model)});
  }
  for (const char* half : {"test", "val"}) {
    if (!json.has(half)) continue;
    const Fields at = json.object(half);
    if (!at.has("accuracy") || !at.has("accuracy_before")) continue;
    document.headlines.push_back(
        {fmt::format("{:+.2f}", (at.share("accuracy") - at.share("accuracy_before")) * 100),
         fmt::format("points of accuracy, {} ({})", model, half)});
    break;
  }
  if (!json.has("steps")) return;
  Table steps{fmt::format("Steps of pruning, {}", model), {"step", "time left", "blocks removed"}, {}};
  for (const Fields& step : json.objects("steps", 1000)) {
    std::string blocks;
    if (step.has("blocks")) {
      for (const std::string& block : step.texts("blocks", 1000)) {
        blocks += (blocks.empty() ? "" : ", ") + block;
      }
    }
    steps.rows.push_back({step.count("step"), percent(step.number("share")), std::move(blocks)});
  }
  if (!steps.rows.empty()) document.tables.push_back(std::move(steps));
}

}  // namespace xdn::report
