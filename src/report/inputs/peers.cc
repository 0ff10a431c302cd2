#include <fmt/format.h>

#include "report/inputs/common.h"
#include "report/inputs/inputs.h"

namespace xdn::report {
namespace {

constexpr size_t kMostEngines = 20;

void add_rates(const Fields& batch, const std::string& label, Table& table) {
  for (const auto& [engine, value] : batch.json().items()) {
    if (table.rows.size() > 1000) batch.refuse(engine, "more engines than a table holds");
    const Fields rate(value, batch.path_of(engine));
    table.rows.push_back({engine, label, rate.positive("median"), rate.number("min"), rate.number("max")});
  }
}

}  // namespace

/// What bench/peers/run writes: XDN beside other engines, by batch or over a whole data set.
void add_peers(const Fields& json, const std::string& name, Document& document) {
  const std::string model = json.has("model") ? model_name(json.text("model")) : name;
  const Fields about = json.object("about");
  Table table{fmt::format("Engines on {}", model), {"engine", "batch", "images/s", "slowest", "fastest"}, {}};
  if (json.has("batches")) {
    const Fields batches = json.object("batches");
    for (const auto& [batch, value] : batches.json().items()) {
      add_rates(Fields(value, batches.path_of(batch)), batch, table);
    }
  }
  if (json.has("passes")) {
    const Fields passes = json.object("passes");
    if (passes.json().size() > kMostEngines) json.refuse("passes", "more engines than a chart holds");
    add_rates(passes, "data set", table);
    for (const auto& [engine, value] : passes.json().items()) {
      const Fields pass(value, passes.path_of(engine));
      if (!pass.has("accuracy")) continue;
      add_point(document, {fmt::format("{} ({})", model, engine), engine == "xdn" ? "xdn" : "peer",
                           pass.share("accuracy"), pass.positive("median"), std::nullopt});
    }
  }
  document.tables.push_back(std::move(table));
  add_environment(document, {name, json.facts({"cpu", "threads"})});
  for (const Fact& engine : about.facts()) {
    document.settings.push_back({fmt::format("{} ({})", model, engine.label), {{"engine", engine.value}}});
  }
}

}  // namespace xdn::report
