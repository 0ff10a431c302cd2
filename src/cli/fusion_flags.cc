#include "cli/fusion_flags.h"

#include <filesystem>

#include "base/error.h"
#include "cli/exec_options.h"
#include "cli/run_info.h"

namespace xdn::cli {
namespace {

using Json = nlohmann::ordered_json;

std::span<const Pass> passes_of(const std::string& level) {
  if (level == "none") return {};
  return level == "aggressive" ? aggressive_passes() : traditional_passes();
}

FuseOptions options_of(const std::vector<std::string>& forced, const std::vector<std::string>& disabled,
                       const std::string& dump) {
  FuseOptions options;
  options.forced = {forced.begin(), forced.end()};
  options.disabled = {disabled.begin(), disabled.end()};
  options.dump_folder = dump;
  options.costs = true;
  return options;
}

Json cost_json(const PredictedCost& cost) {
  return {{"operators", cost.operators},
          {"macs", cost.macs},
          {"bytes", cost.bytes},
          {"predicted_ms", cost.seconds * 1e3}};
}

std::string cost_columns(const PredictedCost& cost) {
  return fmt::format("{:>9}  {:>8}  {:>9}  {:>9.3f}", cost.operators,
                     human_count(static_cast<double>(cost.macs)),
                     human_bytes(static_cast<double>(cost.bytes)), cost.seconds * 1e3);
}

std::string row(const std::string& name, int rewrites, const PredictedCost& cost) {
  const std::string times = rewrites == 0 ? "" : fmt::format("x{}", rewrites);
  return fmt::format("{:<28}  {:>5}  {}\n", name, times, cost_columns(cost));
}

}  // namespace

void FusionFlags::add_options(CLI::App& app) {
  add_choice(app, "--level", level_, {"none", "traditional", "aggressive"},
             "How far to fuse; none: convert only")
      ->capture_default_str();
  app.add_flag("--report", report_, "Print what every rewrite left: operators, MACs, bytes, predicted time");
  const auto add_names = [&](const char* flag, std::vector<std::string>& names, const char* text) {
    app.add_option(flag, names, text)->type_name("NAME")->delimiter(',')->allow_extra_args(false);
  };
  add_names("--force", forced_,
            "Apply this rewrite wherever it is exact, even where it does not pay; repeatable");
  add_names("--disable", disabled_, "Leave this rewrite out; repeatable");
  app.add_option("--dump", dump_, "Write the graph's text after every rewrite into this folder")
      ->type_name("DIR");
  output_.add_option(app);
}

void FusionFlags::check() const {
  output_.check();
  std::error_code ignored;
  if (!dump_.empty() && !std::filesystem::is_directory(dump_, ignored))
    throw input_error("is not a folder, expected one to write to").in_file(dump_);
  check_passes(passes_of(level_), options_of(forced_, disabled_, dump_));
}

void FusionFlags::apply(Graph& graph) const {
  const PredictedCost before = predicted_cost(graph);
  const PipelineReport report = run_passes(graph, passes_of(level_), options_of(forced_, disabled_, dump_));
  record_steps(graph, report);
  double ms = 0;
  for (const PassReport& pass : report.passes) ms += pass.ms;
  if (report_) {
    output_.print("{:<28}  {:>5}  {:>9}  {:>8}  {:>9}  {:>9}\n", "rewrite", "times", "operators", "MACs",
                  "bytes", "time/ms");
    output_.print("{}", row("(the model)", 0, before));
    for (const PassStep& step : report.steps) output_.print("{}", row(step.name, step.rewrites, step.after));
    output_.print("per image, predicted; fused in {:.1f} ms\n", ms);
  }
  Json& json = *json_;
  json["level"] = level_;
  json["before"] = cost_json(before);
  json["after"] = cost_json(report.steps.empty() ? before : report.steps.back().after);
  json["rewrites"] = Json::array();
  for (const PassStep& step : report.steps) {
    json["rewrites"].push_back({{"name", step.name},
                                {"times", step.rewrites},
                                {"before", cost_json(step.before)},
                                {"after", cost_json(step.after)}});
  }
  json["milliseconds"] = ms;
}

void FusionFlags::finish(const std::string& line) const {
  output_.print("{}", line);
  put_run_info(*json_, "fuse");
  output_.finish(*json_);
}

}  // namespace xdn::cli
