#include <fmt/format.h>

#include "report/inputs/common.h"
#include "report/inputs/inputs.h"

namespace xdn::report {
namespace {

void add_trials(const Fields& json, const std::string& model, Document& document) {
  Table table{fmt::format("What was tried for {}", model),
              {"precision", "accuracy", "drop, points", "flips", "images/s", "within the budget"},
              {}};
  for (const Fields& trial : json.objects("trials", 10'000)) {
    std::vector<Scalar> row{trial.text_or("name", ""), percent(trial.share("accuracy")),
                            short_number(trial.number("drop")), trial.count("flips")};
    row.push_back(trial.has("images_per_second") ? Scalar(trial.number("images_per_second")) : Scalar());
    row.push_back(trial.has("within") ? trial.scalar(trial.json()["within"], "within") : Scalar());
    table.rows.push_back(std::move(row));
  }
  if (!table.rows.empty()) document.tables.push_back(std::move(table));
}

void add_half(const Fields& json, const char* half, Table& table) {
  if (!json.has(half)) return;
  const Fields at = json.object(half);
  table.rows.push_back({half, at.count("images"), percent(at.share("original_accuracy")),
                        percent(at.share("accuracy")), at.count("flips"), at.count("right_to_wrong"),
                        at.count("wrong_to_right")});
}

}  // namespace

void add_quantize(const Fields& json, const std::string& name, Document& document) {
  const std::string model = json.has("model") ? model_name(json.text("model")) : name;
  Table table{
      fmt::format("{} in 8 bits", model),
      {"images of", "images", "accuracy before", "after", "flips", "right to wrong", "wrong to right"},
      {}};
  add_half(json, "val", table);
  add_half(json, "test", table);
  if (!table.rows.empty()) document.tables.push_back(std::move(table));
  if (json.has("speed_ratio")) {
    document.headlines.push_back(
        {short_number(json.positive("speed_ratio")) + "x", fmt::format("as fast in 8 bits, {}", model)});
  }
  for (const char* half : {"test", "val"}) {
    if (!json.has(half)) continue;
    const Fields at = json.object(half);
    document.headlines.push_back(
        {fmt::format("{:+.2f}", (at.share("accuracy") - at.share("original_accuracy")) * 100),
         fmt::format("points of accuracy, {} in 8 bits ({})", model, half)});
    break;
  }
  if (json.has("trials")) add_trials(json, model, document);

  Bars errors{fmt::format("Error of each layer's output in 8 bits, {}", model),
              "",
              "mean square error, as a share of the output's variance",
              true,
              {}};
  if (json.has("layers")) {
    for (const Fields& layer : json.objects("layers", 10'000)) {
      const Maybe error = layer.maybe_number("relative_error");
      if (error && *error > 0) errors.rows.push_back({layer.text("layer"), *error});
    }
  }
  if (!errors.rows.empty()) document.bars.push_back(std::move(errors));

  Bars costs{fmt::format("What each layer costs in 8 bits, {}", model), "", "", false, {}};
  if (json.has("sensitivities")) {
    for (const Fields& entry : json.objects("sensitivities", 10'000)) {
      costs.rows.push_back({entry.text("layer"), entry.number("cost")});
    }
  }
  if (!costs.rows.empty()) document.bars.push_back(std::move(costs));
}

}  // namespace xdn::report
