#include <fmt/format.h>

#include "report/inputs/common.h"
#include "report/inputs/inputs.h"

namespace xdn::report {

void add_latency_table(const Fields& json, const std::string& name, Document& document) {
  Table table{fmt::format("Predicted and measured times, {}", json.text_or("table", name)),
              {"effective MACs", "predicted, ms", "measured, ms", "error, %"},
              {}};
  for (const Fields& network : json.objects("networks", 10'000)) {
    table.rows.push_back({network.number("macs_effective"), network.number("predicted_seconds") * 1e3,
                          network.number("measured_seconds") * 1e3, network.number("relative_error") * 100});
  }
  document.tables.push_back(std::move(table));
  if (json.has("median_relative_error")) {
    document.headlines.push_back({percent(json.number("median_relative_error")),
                                  fmt::format("median error of predicted times, {}", name)});
  }
}

}  // namespace xdn::report
