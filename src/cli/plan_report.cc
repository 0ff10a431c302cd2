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

std::string bytes_or_blank(int64_t bytes) {
  return bytes == 0 ? "" : human_bytes(static_cast<double>(bytes));
}

/// Of the columns beside layer and kernel, with the gaps.
constexpr size_t kNumbers = 3 + 2 + 2 + 2 + 8 + 2 + 8 + 2 + 6;

std::string head_line(const StepColumns& w) {
  return fmt::format("{:>3}  {:<{}}  {:<{}}  {:>8}  {:>8}  {:>6}", "#", "layer", w.layer, "kernel", w.kernel,
                     "weights", "in + out", "MACs");
}

std::string step_line(const StepColumns& w, size_t row, const StepReport& step) {
  return fmt::format("{:>3}  {:<{}}  {:<{}}  {:>8}  {:>8}  {:>6}", row, tail(printable(step.layer), w.layer),
                     w.layer, step.kernel.substr(0, w.kernel), w.kernel, bytes_or_blank(step.weight_bytes),
                     bytes_or_blank(step.activation_bytes), macs_or_blank(step.macs));
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

}  // namespace

StepColumns::StepColumns(const std::vector<StepReport>& steps, size_t others) {
  constexpr size_t kLeastLayer = 12;
  for (const StepReport& step : steps) {
    layer = std::max(layer, printable(step.layer).size());
    kernel = std::max(kernel, step.kernel.size());
  }
  const size_t left = kPageWidth - others;
  kernel = std::min(kernel, left - kLeastLayer);
  layer = std::min(layer, left - kernel);
}

std::string tail(const std::string& text, size_t width) {
  return text.size() <= width ? text : ".." + text.substr(text.size() - width + 2);
}

std::string macs_or_blank(int64_t macs) { return macs == 0 ? "" : human_count(static_cast<double>(macs)); }

Json step_json(const StepReport& step) {
  Json json{{"layer", step.layer}, {"kernel", step.kernel}, {"refused", step.refused},
            {"arith", step.arith}, {"macs", step.macs},     {"weight_bytes", step.weight_bytes}};
  json["activation_bytes"] = step.activation_bytes;
  return json;
}

void print_plan(const Output& output, const Executor& executor) {
  const std::vector<StepReport> steps = executor.steps();
  if (steps.empty()) {
    output.print("no plan: every node runs through the oracle, in double\n\n");
  } else {
    const StepColumns widths(steps, kNumbers);
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

}  // namespace xdn::cli
