#include <fmt/format.h>

#include "report/inputs/common.h"
#include "report/inputs/inputs.h"

namespace xdn::report {

void add_sensitivity(const Fields& json, const std::string& name, Document& document) {
  const std::string model = json.has("model") ? model_name(json.text("model")) : name;
  Sensitivity result{model, {}};
  for (const Fields& group : json.objects("groups", 10'000)) {
    const std::vector<std::string> layers = group.texts("layers", 10'000);
    if (layers.empty()) continue;
    const std::string more = layers.size() > 1 ? fmt::format(" and {} more", layers.size() - 1) : "";
    for (const Fields& cut : group.objects("cuts", 100)) {
      result.cuts.push_back({layers[0] + more, cut.share("ratio"), cut.number("drop")});
    }
  }
  if (!result.cuts.empty()) document.sensitivities.push_back(std::move(result));
  Bars blocks{fmt::format("Accuracy lost without a block, {}", model), "points", "", false, {}};
  for (const Fields& block : json.objects("blocks", 10'000)) {
    blocks.rows.push_back({block.text("block"), block.number("drop")});
  }
  if (!blocks.rows.empty()) document.bars.push_back(std::move(blocks));
}

}  // namespace xdn::report
