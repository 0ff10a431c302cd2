#include "cli/optimize_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/cpu.h"
#include "base/error.h"
#include "cli/prune_flags.h"
#include "evaluator/peak.h"
#include "pruning/groups.h"
#include "pruning/latency_table.h"

namespace xdn::cli {
namespace {

using optimize::Stage;

/// Groups this wide fill a kernel's panels after pruning, too; narrower ones need finer steps.
constexpr int64_t kWide = 64;
constexpr Units kWideUnits{32, 16, 32}, kNarrowUnits{4, 4, 4};

Isa best_isa() {
  const CpuFeatures& cpu = cpu_features();
  if (cpu.avx512bf16) return Isa::kAvx512Bf16;
  if (cpu.avx512vnni) return Isa::kAvx512Vnni;
  if (cpu.avx512) return Isa::kAvx512;
  return cpu.avx2 ? Isa::kAvx2 : Isa::kRef;
}

std::string how_far(const OptimizeFlags& flags) {
  if (!flags.target_latency.empty()) return "as accurate as possible in " + flags.target_latency;
  if (flags.min_accuracy) return fmt::format("at least {:.2f} % on --val", 100 * *flags.min_accuracy);
  return fmt::format("at most {:g} points less than the model has on --val", flags.max_drop.value_or(0));
}

/// The share that the first pruned model is to take.
double first_share(const OptimizeFlags& flags, const OptimizePlan& plan, const ModelInput& model) {
  const optimize::Request request = flags.request();
  double share = request.first_share;
  if (request.target_share) share = *request.target_share * plan.int8_gain();
  if (flags.latency_table.empty()) return std::min(share, 1.0);
  try {
    const pruning::LatencyTable table = pruning::read_latency_table(flags.latency_table);
    const double whole = table.predict(model.graph);
    const std::string& precision = table.data().precision;
    const double gain = precision == "int8" ? 1 : plan.int8_gain(precision == "fp32" ? "f32" : precision);
    if (request.target_seconds) share = *request.target_seconds / (whole / gain);
  } catch (Error& error) {
    throw error.in_file(flags.latency_table);
  }
  return std::min(share, 1.0);
}

}  // namespace

Units units_of(const OptimizeFlags& flags, const Graph& graph) {
  const pruning::Groups groups = pruning::find_groups(graph);
  int64_t narrow = std::numeric_limits<int64_t>::max();
  for (const pruning::Group& group : groups.groups) {
    if (!group.trunk) narrow = std::min<int64_t>(narrow, group.units);
  }
  Units units = narrow >= kWide ? kWideUnits : kNarrowUnits;
  if (flags.min_width > 0) units.min_width = flags.min_width;
  if (flags.unit > 0) units.inner = flags.unit;
  if (flags.trunk_unit > 0) units.trunk = flags.trunk_unit;
  return units;
}

std::string run_precision() { return cpu_features().avx512vnni ? "int8" : "fp32"; }

double OptimizePlan::total() const {
  double product = 1;
  for (const Row& row : rows) product *= row.gain;
  return product;
}

double OptimizePlan::int8_gain(const std::string& from) const {
  const auto peak = [&](const std::string& arith) {
    const auto at = peaks.find(arith);
    return at == peaks.end() ? 0 : at->second;
  };
  return peak(from) > 0 ? std::max(1.0, peak("i8") / peak(from)) : 1;
}

OptimizePlan make_optimize_plan(const OptimizeFlags& flags, const ModelInput& model) {
  OptimizePlan plan;
  const NodeCost cost = graph_cost(model.graph);
  plan.macs = cost.macs_effective;
  plan.parameters = cost.parameters;
  for (const char* arith : {"f32", "bf16", "i8"}) {
    const double peak = measure_peak(best_isa(), arith, flags.threads());
    if (peak > 0) plan.peaks[arith] = peak;
  }
  const auto add = [&](Stage stage, double gain = 1, std::string more = {}) {
    std::string text = optimize::stage_text(stage);
    if (!more.empty()) text += ": " + more;
    plan.rows.push_back({stage, std::move(text), gain});
  };
  add(Stage::kBaseline);
  if (!flags.no_train) {
    const double share = first_share(flags, plan, model);
    if (flags.latency_table.empty()) add(Stage::kTable);
    add(Stage::kPrune, 1 / share,
        flags.target_latency.empty()
            ? fmt::format("{:.3g} % of the time first, then more or less; up to {} times {} epochs",
                          100 * share, flags.rungs, flags.learning.epochs)
            : fmt::format("{} epochs", flags.learning.epochs));
  }
  add(Stage::kFuse);
  add(Stage::kQuantize, plan.int8_gain());
  if (!flags.no_train && flags.qat_epochs > 0)
    add(Stage::kQat, 1, fmt::format("{} epochs, where calibration is too coarse", flags.qat_epochs));
  add(Stage::kModel);
  if (flags.tune_budget > 0) add(Stage::kTune, 1, fmt::format("up to {} s", flags.tune_budget));
  if (!flags.test.empty()) add(Stage::kTest);
  add(Stage::kReport);
  return plan;
}

void print_optimize_plan(const OptimizeFlags& flags, const OptimizePlan& plan) {
  const Output& out = flags.output;
  out.print("plan        {}: {} effective multiply-accumulates, {} parameters; {}{}\n",
            printable(flags.model), human_count(static_cast<double>(plan.macs)),
            human_count(static_cast<double>(plan.parameters)), how_far(flags),
            flags.deadline.empty() ? "" : ", within " + flags.deadline);
  for (const OptimizePlan::Row& row : plan.rows) {
    out.print("  {:<10}{}{}\n", optimize::stage_name(row.stage), row.text,
              row.gain > 1 ? fmt::format("; about {:.1f} times as fast", row.gain) : "");
  }
  std::string peaks;
  for (const auto& [arith, peak] : plan.peaks)
    peaks += fmt::format("{}{} {:.0f} GMAC/s", peaks.empty() ? "" : ", ", arith, peak / 1e9);
  out.print(
      "predicted   {:.1f} times as fast together, from multiply-accumulates{} and this machine's peaks "
      "({}); predictions, not promises\n",
      plan.total(), flags.latency_table.empty() ? "" : ", the latency table", peaks.empty() ? "none" : peaks);
  std::fflush(stdout);
}

nlohmann::ordered_json to_json(const OptimizePlan& plan) {
  nlohmann::ordered_json json{{"macs_effective", plan.macs}, {"parameters", plan.parameters}};
  for (const auto& [arith, peak] : plan.peaks) json["peaks"][arith] = peak / 1e9;
  json["steps"] = nlohmann::ordered_json::array();
  for (const OptimizePlan::Row& row : plan.rows) {
    json["steps"].push_back(
        {{"stage", optimize::stage_name(row.stage)}, {"text", row.text}, {"predicted_gain", row.gain}});
  }
  json["predicted_gain"] = plan.total();
  return json;
}

}  // namespace xdn::cli
