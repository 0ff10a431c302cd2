#include "cli/plan_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "cli/exec_options.h"
#include "evaluator/peak.h"

namespace xdn::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kPageWidth = 118;

/// The end of the text, which tells layers apart, where all of it is too long.
std::string tail(const std::string& text, size_t width) {
  return text.size() <= width ? text : ".." + text.substr(text.size() - width + 2);
}

std::string bytes_or_blank(int64_t bytes) {
  return bytes == 0 ? "" : human_bytes(static_cast<double>(bytes));
}

std::string macs_or_blank(int64_t macs) { return macs == 0 ? "" : human_count(static_cast<double>(macs)); }

/// Column widths of a table whose last columns take `more` characters.
struct Widths {
  size_t layer = 5, kernel = 6;

  Widths(const std::vector<StepReport>& steps, size_t more) {
    constexpr size_t kNumbers = 3 + 2 + 2 + 2 + 8 + 2 + 8 + 2 + 6, kLeastLayer = 12;
    for (const StepReport& step : steps) {
      layer = std::max(layer, printable(step.layer).size());
      kernel = std::max(kernel, step.kernel.size());
    }
    const size_t left = kPageWidth - kNumbers - more;
    kernel = std::min(kernel, left - kLeastLayer);
    layer = std::min(layer, left - kernel);
  }
};

std::string head_line(const Widths& w) {
  return fmt::format("{:>3}  {:<{}}  {:<{}}  {:>8}  {:>8}  {:>6}", "#", "layer", w.layer, "kernel", w.kernel,
                     "weights", "in + out", "MACs");
}

std::string step_line(const Widths& w, size_t row, const StepReport& step) {
  return fmt::format("{:>3}  {:<{}}  {:<{}}  {:>8}  {:>8}  {:>6}", row, tail(printable(step.layer), w.layer),
                     w.layer, step.kernel.substr(0, w.kernel), w.kernel, bytes_or_blank(step.weight_bytes),
                     bytes_or_blank(step.activation_bytes), macs_or_blank(step.macs));
}

Json step_json(const StepReport& step) {
  Json json{{"layer", step.layer}, {"kernel", step.kernel}, {"refused", step.refused},
            {"arith", step.arith}, {"macs", step.macs},     {"weight_bytes", step.weight_bytes}};
  json["activation_bytes"] = step.activation_bytes;
  return json;
}

/// "8x48, 12x32: reads the source more often" for candidates refused for one reason, in lines of the page's
/// width.
std::vector<std::string> refusals(const std::string& refused) {
  std::vector<std::pair<std::string, std::string>> reasons;  // and their candidates
  for (size_t at = 0; at < refused.size();) {
    const size_t end = std::min(refused.find("; ", at), refused.size());
    const std::string part = refused.substr(at, end - at);
    const size_t colon = std::min(part.find(": "), part.size());
    const std::string reason = part.substr(colon), candidate = part.substr(0, colon);
    const auto same =
        std::find_if(reasons.begin(), reasons.end(), [&](const auto& r) { return r.first == reason; });
    if (same == reasons.end()) {
      reasons.emplace_back(reason, candidate);
    } else {
      same->second += ", " + candidate;
    }
    at = end + 2;
  }
  constexpr const char* kFirst = "     refused  ";
  std::vector<std::string> lines;
  for (const auto& [reason, candidates] : reasons) {
    const std::string text = candidates + reason;
    if (lines.empty() || lines.back().size() + 2 + text.size() > kPageWidth) {
      lines.push_back(lines.empty() ? kFirst : std::string(std::char_traits<char>::length(kFirst), ' '));
      lines.back() += text;
    } else {
      lines.back() += "; " + text;
    }
  }
  return lines;
}

/// The kernel less its instruction set, which the settings tell.
std::string without_isa(const std::string& kernel) {
  std::string text;
  for (size_t at = 0; at < kernel.size();) {
    const size_t end = std::min(kernel.find(' ', at), kernel.size());
    const std::string word = kernel.substr(at, end - at);
    if (!parse_isa(word)) text += (text.empty() ? "" : " ") + word;
    at = end + 1;
  }
  return text;
}

/// What kind of kernel it is, its block apart: "brgemm_f32".
std::string kind_of(const StepReport& step) { return step.kernel.substr(0, step.kernel.find(' ')); }

}  // namespace

void print_plan(const Output& output, const Executor& executor) {
  const std::vector<StepReport> steps = executor.steps();
  if (steps.empty()) {
    output.print("no plan: every node runs through the oracle, in double\n\n");
  } else {
    const Widths widths(steps, 0);
    output.print("{}\n", head_line(widths));
    for (size_t i = 0; i < steps.size(); ++i) {
      output.print("{}\n", step_line(widths, i + 1, steps[i]));
      for (const std::string& line : refusals(steps[i].refused)) output.print("{}\n", line);
    }
    StepReport total;
    for (const StepReport& step : steps) {
      total.weight_bytes += step.weight_bytes;
      total.macs += step.macs;
    }
    output.print("\nweights    {}\n", human_bytes(static_cast<double>(total.weight_bytes)));
    output.print("MACs       {} per image\n", human_count(static_cast<double>(total.macs)));
    output.print("arena      {} per worker\n", human_bytes(static_cast<double>(executor.arena_bytes())));
  }
  output.print("settings   {}\n", settings_line(executor.settings()));
  const std::vector<std::string> missing = missing_isas();
  output.print("this processor lacks {}\n", missing.empty() ? "none of the instruction sets"
                                                            : fmt::format("{}", fmt::join(missing, ", ")));
}

void put_plan(Json& json, const Executor& executor) {
  json["kernels"] = Json::array();
  for (const StepReport& step : executor.steps()) json["kernels"].push_back(step_json(step));
  json["arena_bytes"] = executor.arena_bytes();
  json["isas_missing"] = missing_isas();
}

PlanProfile::PlanProfile(const Executor& executor, int64_t images, double seconds)
    : steps_(executor.steps()),
      images_(images),
      seconds_(seconds),
      threads_(executor.settings().data_parallel * executor.settings().model_parallel) {
  for (const StepReport& step : steps_) {
    if (step.macs > 0 && !peaks_.contains(step.arith))
      peaks_[step.arith] = measure_peak(executor.settings().isa, step.arith, threads_);
  }
  const auto add = [](Cost& sum, const Cost& cost) {
    sum.seconds += cost.seconds;
    sum.least_seconds += cost.least_seconds;
    sum.macs += cost.macs;
    sum.steps += cost.steps;
  };
  for (const StepReport& step : steps_) {
    const Cost cost = cost_of(step);
    const std::string kind = kind_of(step);
    auto found = std::find_if(kinds_.begin(), kinds_.end(), [&](const auto& k) { return k.first == kind; });
    if (found == kinds_.end()) found = kinds_.insert(kinds_.end(), {kind, {}});
    add(found->second, cost);
    add(total_, cost);
  }
  std::stable_sort(kinds_.begin(), kinds_.end(),
                   [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
}

PlanProfile::Cost PlanProfile::cost_of(const StepReport& step) const {
  const auto peak = peaks_.find(step.arith);
  const double macs = static_cast<double>(step.macs) * static_cast<double>(images_);
  const double least = step.macs > 0 && peak->second > 0 ? macs / peak->second : 0;
  return {step.seconds, least, step.macs, 1};
}

std::string PlanProfile::columns(const Cost& cost) const {
  const auto images = static_cast<double>(images_);
  std::string text = fmt::format("  {:>8.4f}  {:>5.1f}%", cost.seconds * 1e3 / images,
                                 total_.seconds > 0 ? 100 * cost.seconds / total_.seconds : 0.0);
  if (cost.macs == 0 || cost.seconds <= 0) return text;
  return text + fmt::format("  {:>6.1f}  {:>3.0f}%",
                            static_cast<double>(cost.macs) * images * 1e-9 / cost.seconds,
                            100 * cost.least_seconds / cost.seconds);
}

void PlanProfile::print(const Output& output) const {
  if (steps_.empty()) {
    output.print("no profile: every node runs through the oracle\n");
    return;
  }
  constexpr size_t kColumns = 2 + 8 + 2 + 6 + 2 + 6 + 2 + 4;
  std::vector<StepReport> steps = steps_;
  for (StepReport& step : steps) step.kernel = without_isa(step.kernel);
  const Widths widths(steps, kColumns);
  const std::string cost_head =
      fmt::format("  {:>8}  {:>6}  {:>6}  {:>4}", "ms/image", "share", "GMAC/s", "peak");
  output.print("\n{}{}\n", head_line(widths), cost_head);
  for (size_t i = 0; i < steps.size(); ++i) {
    output.print("{}{}\n", step_line(widths, i + 1, steps[i]), columns(cost_of(steps[i])));
  }
  const auto sum_line = [&](const std::string& name, const Cost& cost) {
    output.print("{:<24}  {:>5}  {:>6}{}\n", name, cost.steps, macs_or_blank(cost.macs), columns(cost));
  };
  output.print("\n{:<24}  {:>5}  {:>6}{}\n", "kind", "steps", "MACs", cost_head);
  for (const auto& [kind, cost] : kinds_) sum_line(kind, cost);
  sum_line("total", total_);
  output.print(
      "of a run per image: {:.4f} ms; what is not in steps is waiting for tiles and reading results\n",
      seconds_ * 1e3 / static_cast<double>(images_));
  for (const auto& [arith, peak] : peaks_) {
    output.print("peak of {}: {:.1f} GMAC/s on registers alone, {} thread{}\n", arith, peak * 1e-9, threads_,
                 threads_ == 1 ? "" : "s");
  }
}

Json PlanProfile::cost_json(const Cost& cost) const {
  const auto images = static_cast<double>(images_);
  const bool rated = cost.macs > 0 && cost.seconds > 0;
  return {{"macs", cost.macs},
          {"ms_per_image", cost.seconds * 1e3 / images},
          {"share", total_.seconds > 0 ? cost.seconds / total_.seconds : 0.0},
          {"gmacs_per_second", rated ? static_cast<double>(cost.macs) * images * 1e-9 / cost.seconds : 0.0},
          {"of_peak", rated ? cost.least_seconds / cost.seconds : 0.0}};
}

Json PlanProfile::json() const {
  Json json;
  json["steps"] = Json::array();
  for (const StepReport& step : steps_) {
    Json entry = step_json(step);
    entry.update(cost_json(cost_of(step)));
    json["steps"].push_back(std::move(entry));
  }
  json["kinds"] = Json::array();
  for (const auto& [kind, cost] : kinds_) {
    Json entry{{"kind", kind}, {"steps", cost.steps}};
    entry.update(cost_json(cost));
    json["kinds"].push_back(std::move(entry));
  }
  json["total"] = cost_json(total_);
  json["total"]["run_ms_per_image"] = seconds_ * 1e3 / static_cast<double>(images_);
  json["peaks"] = Json::object();
  for (const auto& [arith, peak] : peaks_) json["peaks"][arith] = peak * 1e-9;
  return json;
}

}  // namespace xdn::cli
