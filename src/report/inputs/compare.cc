#include <fmt/format.h>

#include "report/inputs/common.h"
#include "report/inputs/inputs.h"

namespace xdn::report {

void add_compare(const Fields& json, const std::string& name, Document& document) {
  const Fields a = json.object("a"), b = json.object("b");
  const std::string name_a = run_name(a, "A"), name_b = run_name(b, "B");
  Table table{fmt::format("{} against {}", name_b, name_a), {"", name_a, name_b}, {}};
  const auto row = [&](const char* key, const char* label) {
    if (a.has(key) && b.has(key)) table.rows.push_back({label, a.json()[key], b.json()[key]});
  };
  if (a.has("accuracy") && b.has("accuracy")) {
    table.rows.push_back({"accuracy", percent(a.share("accuracy")), percent(b.share("accuracy"))});
    document.headlines.push_back({fmt::format("{:+.2f}", (b.share("accuracy") - a.share("accuracy")) * 100),
                                  fmt::format("points of accuracy, {} after {}", name_b, name_a)});
  }
  for (const char* key : {"correct", "not_finite"}) {
    if (a.has(key)) a.count(key);
    if (b.has(key)) b.count(key);
  }
  row("correct", "correct");
  row("not_finite", "outputs not finite");
  document.tables.push_back(std::move(table));

  Table differences{fmt::format("Differences, {}", name), {"what", "value"}, {}};
  for (const Fact& fact : json.facts({"data", "images", "outputs", "flips", "ties", "right_to_wrong",
                                      "wrong_to_right", "mcnemar_p", "max_error", "mean_error",
                                      "relative_error", "tolerance", "within_tolerance"})) {
    differences.rows.push_back({fact.label, fact.value});
  }
  document.tables.push_back(std::move(differences));

  if (json.has("layers")) {
    Bars bars{fmt::format("Relative error by layer, {}", name), "", "", true, {}};
    for (const Fields& layer : json.objects("layers", 10'000)) {
      const Maybe error = layer.maybe_number("relative_error");
      if (error && *error > 0) bars.rows.push_back({layer.text("name"), *error});
    }
    if (!bars.rows.empty()) document.bars.push_back(std::move(bars));
  }
  add_settings(a, name_a, document);
  add_settings(b, name_b, document);
}

}  // namespace xdn::report
