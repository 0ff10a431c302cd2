#include "cli/prune_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "cli/latency_flags.h"
#include "cli/run_info.h"
#include "evaluator/resources.h"

namespace xdn::cli {

using Json = nlohmann::ordered_json;

PruneReport::PruneReport(const PruneFlags& flags) : flags_(flags), out_(flags.output) {
  json_["model"] = flags.model;
  json_["out"] = flags.out;
}

PruneReport::Size PruneReport::size_of(const Graph& graph, const pruning::LatencyTable* table) {
  const NodeCost cost = graph_cost(graph);
  return {cost.parameters, cost.macs, cost.macs_effective,
          table != nullptr ? 1e3 * table->predict(graph) : 0};
}

Json PruneReport::json_of(const Size& size) {
  Json json{{"parameters", size.parameters}, {"macs", size.macs}, {"macs_effective", size.macs_effective}};
  if (size.milliseconds != 0) json["predicted_ms"] = size.milliseconds;
  return json;
}

std::string PruneReport::cost_text(double cost, double whole) const {
  const double share = 100 * cost / whole;
  if (flags_.by_latency()) return fmt::format("{:.4g} ms an image ({:.1f} %)", 1e3 * cost, share);
  return fmt::format("{} effective multiply-accumulates ({:.1f} %)", human_count(cost), share);
}

void PruneReport::begin(const Graph& model, const pruning::LatencyTable* table) {
  before_ = size_of(model, table);
  json_["before"] = json_of(before_);
  if (table == nullptr) return;
  out_.print("times       {}: {:.4g} ms an image before\n", table_line(*table), before_.milliseconds);
}

void PruneReport::stage(const std::string& what) {
  out_.print("{}\n", what);
  std::fflush(stdout);
}

void PruneReport::chosen(int step, const pruning::PlanStep& plan, double cost, double whole) {
  out_.print("step {}: {} left\n", step, cost_text(cost, whole));
  for (const std::string& block : plan.blocks) out_.print("  without the block {}\n", printable(block));
  for (const pruning::PlannedGroup& group : plan.groups) {
    if (group.kept.size() == group.filters.size()) continue;
    std::string name = printable(group.layers[0]);
    if (group.layers.size() > 1) name += fmt::format(" and {} more", group.layers.size() - 1);
    out_.print("  {:<50} {:>5} -> {}\n", name, group.filters.size(), group.kept.size());
  }
  std::fflush(stdout);
  steps_.push_back({{"step", step}, {"cost", cost}, {"share", cost / whole}, {"blocks", plan.blocks}});
}

void PruneReport::attempt(int number, const Verdict& verdict, double max_drop, bool accepted) {
  out_.print("attempt {}: {:.2f} % on --val, {:+.2f} points ({:+.2f} allowed): {}\n", number,
             100 * verdict.accuracy(), 0 - verdict.drop(), 0 - max_drop,
             accepted ? "goes on from here" : "taken back, and halved");
  attempts_.push_back({{"attempt", number},
                       {"accuracy", verdict.accuracy()},
                       {"drop", verdict.drop()},
                       {"accepted", accepted}});
}

void PruneReport::unreachable(int number, double cost, double whole) {
  out_.print("attempt {}: {} cannot be reached, halved\n", number, cost_text(cost, whole));
  attempts_.push_back({{"attempt", number}, {"cost", cost}, {"reached", false}});
}

void PruneReport::nothing_allowed(double max_drop) {
  out_.print("no attempt stayed within {} points: the model is written as it was\n", max_drop);
}

void PruneReport::verdict(const char* name, const Verdict& verdict) {
  const Comparison& c = verdict.comparison;
  out_.print("{:<11} {:.2f} %, {:+.2f} points ({} -> {} of {} right; {} flips, {} of them to wrong)\n", name,
             100 * verdict.accuracy(), 0 - verdict.drop(), c.correct_a(), c.correct_b(), c.images(),
             c.flips(), c.right_to_wrong());
  json_[name] = {{"images", c.images()},
                 {"accuracy", verdict.accuracy()},
                 {"accuracy_before", verdict.original_accuracy()},
                 {"drop", verdict.drop()},
                 {"flips", c.flips()},
                 {"right_to_wrong", c.right_to_wrong()},
                 {"wrong_to_right", c.wrong_to_right()}};
}

void PruneReport::speed(double ratio) {
  out_.print("speed       {:.2f} times, measured in fp32\n", ratio);
  json_["speed_ratio"] = ratio;
}

void PruneReport::finish(const Graph& pruned, const pruning::LatencyTable* table,
                         const std::string& written) {
  const Size after = size_of(pruned, table);
  const auto line = [&](const char* what, double from, double to) {
    out_.print("{:<11} {} -> {}: {:.2f} times fewer\n", what, human_count(from), human_count(to),
               from / std::max(to, 1.0));
  };
  line("effective", static_cast<double>(before_.macs_effective), static_cast<double>(after.macs_effective));
  line("nominal", static_cast<double>(before_.macs), static_cast<double>(after.macs));
  line("parameters", static_cast<double>(before_.parameters), static_cast<double>(after.parameters));
  if (table != nullptr) {
    out_.print("predicted   {:.4g} -> {:.4g} ms an image: {:.2f} times less\n", before_.milliseconds,
               after.milliseconds, before_.milliseconds / after.milliseconds);
  }
  out_.print("wrote {}\n", written);
  json_["after"] = json_of(after);
  json_["reached"] = reached_;
  json_["steps"] = std::move(steps_);
  if (!attempts_.empty()) json_["attempts"] = std::move(attempts_);
  json_["plan"] = flags_.plan_path();
  json_["run"] = flags_.run_folder();
  json_["peak_rss_bytes"] = peak_rss_bytes();
  put_run_info(json_, "prune");
  out_.finish(json_);
}

}  // namespace xdn::cli
