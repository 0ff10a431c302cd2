#include <fmt/format.h>

#include "report/inputs/common.h"
#include "report/inputs/inputs.h"

namespace xdn::report {
namespace {

/// How many numbers a list like [[0,7],9,[11,13]] names.
int64_t counted(const Fields& group, const char* key) {
  int64_t count = 0;
  for (const Json& entry : group.list(key, 100'000)) {
    const bool range = entry.is_array() && entry.size() == 2;
    const Json& first = range ? entry[0] : entry;
    const Json& last = range ? entry[1] : entry;
    const auto index = [](const Json& x) { return x.is_number_unsigned() && x <= 1'000'000'000; };
    if (!index(first) || !index(last) || first > last) {
      group.refuse(key, "expected numbers and [first, last] pairs");
    }
    count += last.get<int64_t>() - first.get<int64_t>() + 1;
  }
  return count;
}

}  // namespace

void add_prune_plan(const Fields& json, const std::string& name, Document& document) {
  for (const Fields& step : json.objects("steps", 1000)) {
    const std::string method = step.text_or("method", "");
    Bars kept{fmt::format("Filters kept, {}{}", name, method.empty() ? "" : " (" + method + ")"),
              "%",
              "",
              false,
              {}};
    if (step.has("groups")) {
      for (const Fields& group : step.objects("groups", 10'000)) {
        const std::vector<std::string> layers = group.texts("layers", 10'000);
        const int64_t all = counted(group, "filters"), left = counted(group, "kept");
        if (layers.empty() || all == 0) continue;
        const std::string more = layers.size() > 1 ? fmt::format(" and {} more", layers.size() - 1) : "";
        kept.rows.push_back({layers[0] + more, 100.0 * static_cast<double>(left) / static_cast<double>(all)});
      }
    }
    if (step.has("blocks")) {
      std::string blocks;
      for (const std::string& block : step.texts("blocks", 1000))
        blocks += (blocks.empty() ? "" : ", ") + block;
      if (!blocks.empty()) kept.note = "Blocks removed: " + blocks;
    }
    if (!kept.rows.empty()) document.bars.push_back(std::move(kept));
  }
}

}  // namespace xdn::report
