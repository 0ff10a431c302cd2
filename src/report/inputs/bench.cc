#include <fmt/format.h>

#include "report/inputs/common.h"
#include "report/inputs/inputs.h"

namespace xdn::report {

void add_bench(const Fields& json, const std::string& name, Document& document) {
  const std::string title = run_name(json, name), scenario = json.text("scenario");
  const double rate = json.positive("images_per_second");
  const Fields latency = json.object("latency_ms");
  Table table{fmt::format("Speed of {}, {}", title, scenario),
              {"images/s", "p50, ms", "p90, ms", "p99, ms", "runs", "batch"},
              {}};
  std::vector<Scalar> row{rate};
  for (const char* key : {"p50", "p90", "p99"}) row.push_back(latency.number(key));
  for (const char* key : {"runs", "batch"}) row.push_back(json.has(key) ? Scalar(json.count(key)) : Scalar());
  table.rows.push_back(std::move(row));
  document.tables.push_back(std::move(table));
  if (scenario == "single-stream") {
    document.headlines.push_back({short_number(latency.number("p90")) + " ms", "p90 of an image, " + title});
  } else {
    document.headlines.push_back({short_number(rate), "images/s, " + title});
  }
  add_settings(json, title, document);
  if (json.has("profile")) add_profile(json.object("profile"), title, document);
}

}  // namespace xdn::report
