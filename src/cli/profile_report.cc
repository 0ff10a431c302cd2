#include "cli/profile_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "base/error.h"
#include "cli/exec_options.h"
#include "cli/plan_report.h"

namespace xdn::cli {
namespace {

using Json = nlohmann::ordered_json;

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

const char* bound_name(const RooflinePoint& point) { return point.memory_bound ? "memory" : "compute"; }

constexpr const char* kCostHead = "  ms/image   share  GMAC/s  peak";
constexpr const char* kRoofHead = "   MAC/B  bound";

}  // namespace

void ProfileFlags::add_options(CLI::App& app) {
  auto* wanted = app.add_flag("--profile", profile,
                              "Also, by another run, each step's time, and how near it is to what this "
                              "machine's arithmetic and memory allow");
  app.add_option("--profile-top", top, "Steps that the table shows, the slowest first; 0: all")
      ->check(whole_number(0))
      ->type_name("N")
      ->needs(wanted)
      ->capture_default_str();
}

ProfileReport::ProfileReport(const Executor& executor, int64_t images, double seconds, int64_t batch)
    : images_(images),
      seconds_(seconds),
      threads_(executor.settings().data_parallel * executor.settings().model_parallel) {
  const std::vector<StepReport> steps = executor.steps();
  if (steps.empty()) return;
  peaks_ = measure_peaks(executor.settings().isa, threads_);
  const int64_t tile = std::min<int64_t>(batch, executor.settings().batch_tile);
  const auto add = [](Cost& sum, const Cost& cost) {
    sum.seconds += cost.seconds;
    sum.least_seconds += cost.least_seconds;
    sum.memory_seconds += cost.memory_seconds;
    sum.macs += cost.macs;
    sum.steps += cost.steps;
  };
  for (const StepReport& step : steps) {
    const RooflinePoint point = roofline_point(step, images_, tile, peaks_);
    const Cost cost{step.seconds, point.peak_share * step.seconds, point.memory_bound ? step.seconds : 0,
                    step.macs, 1};
    rows_.push_back({step, point, cost});
    const std::string kind = kind_of(step);
    auto found = std::find_if(kinds_.begin(), kinds_.end(), [&](const auto& k) { return k.first == kind; });
    if (found == kinds_.end()) found = kinds_.insert(kinds_.end(), {kind, {}});
    add(found->second, cost);
    add(total_, cost);
  }
  std::stable_sort(kinds_.begin(), kinds_.end(),
                   [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
}

std::string ProfileReport::columns(const Cost& cost) const {
  const auto images = static_cast<double>(images_);
  const std::string text =
      fmt::format("  {:>8.4f}  {:>5.1f}%", cost.seconds * 1e3 / images, 100 * share(cost.seconds));
  if (cost.macs == 0 || cost.seconds <= 0) return text;
  return text + fmt::format("  {:>6.1f}  {:>3.0f}%",
                            static_cast<double>(cost.macs) * images * 1e-9 / cost.seconds,
                            100 * cost.least_seconds / cost.seconds);
}

void ProfileReport::print(const Output& output, int64_t top) const {
  if (rows_.empty()) {
    output.print("no profile: every node runs through the oracle\n");
    return;
  }
  print_steps(output, top);
  print_kinds(output);
  print_peaks(output);
}

void ProfileReport::print_steps(const Output& output, int64_t top) const {
  constexpr size_t kOthers = 3 + 2 + 2 + 2 + 6 + 32 + 8 + 9;
  std::vector<StepReport> steps;
  for (const Row& row : rows_) {
    steps.push_back(row.step);
    steps.back().kernel = without_isa(row.step.kernel);
  }
  std::vector<size_t> order(rows_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return rows_[a].step.seconds > rows_[b].step.seconds; });
  if (top > 0) order.resize(std::min(order.size(), static_cast<size_t>(top)));

  const StepColumns widths(steps, kOthers);
  output.print("\n{:>3}  {:<{}}  {:<{}}  {:>6}{}{}\n", "#", "layer", widths.layer, "kernel", widths.kernel,
               "MACs", kCostHead, kRoofHead);
  double shown = 0;
  for (const size_t i : order) {
    const StepReport& step = steps[i];
    const RooflinePoint& point = rows_[i].point;
    shown += step.seconds;
    output.print("{:>3}  {:<{}}  {:<{}}  {:>6}{:<32}  {:>6}  {}\n", i + 1,
                 tail(printable(step.layer), widths.layer), widths.layer,
                 step.kernel.substr(0, widths.kernel), widths.kernel, macs_or_blank(step.macs),
                 columns(rows_[i].cost), step.macs == 0 ? "" : fmt::format("{:.1f}", point.macs_per_byte),
                 bound_name(point));
  }
  const size_t left = rows_.size() - order.size();
  if (left > 0) {
    output.print("     {} more take {:.1f} % of the time; --profile-top 0 shows all\n", left,
                 100 * share(total_.seconds - shown));
  }
}

void ProfileReport::print_kinds(const Output& output) const {
  const auto sum_line = [&](const std::string& name, const Cost& cost) {
    output.print("{:<24}  {:>5}  {:>6}{}\n", name, cost.steps, macs_or_blank(cost.macs), columns(cost));
  };
  output.print("\n{:<24}  {:>5}  {:>6}{}\n", "kind", "steps", "MACs", kCostHead);
  for (const auto& [kind, cost] : kinds_) sum_line(kind, cost);
  sum_line("total", total_);
  output.print(
      "of a run per image: {:.4f} ms; what is not in steps is waiting for tiles and reading results\n",
      seconds_ * 1e3 / static_cast<double>(images_));
}

void ProfileReport::print_peaks(const Output& output) const {
  std::set<std::string> used;
  for (const Row& row : rows_) {
    if (row.step.macs > 0) used.insert(row.step.arith);
  }
  const char* plural = threads_ == 1 ? "" : "s";
  for (const auto& [arith, peak] : peaks_.macs_per_second) {
    if (!used.contains(arith)) continue;
    output.print(
        "peak of {}: {:.1f} GMAC/s on registers alone, {} thread{}; memory bounds below {:.1f} MAC/B\n",
        arith, peak * 1e-9, threads_, plural, peak / peaks_.bytes_per_second);
  }
  output.print(
      "memory: {:.1f} GB/s; steps that it bounds, were all bytes from there, take {:.1f} % of the time\n",
      peaks_.bytes_per_second * 1e-9, 100 * share(total_.memory_seconds));
}

Json ProfileReport::cost_json(const Cost& cost) const {
  const auto images = static_cast<double>(images_);
  const bool rated = cost.macs > 0 && cost.seconds > 0;
  return {{"macs", cost.macs},
          {"ms_per_image", cost.seconds * 1e3 / images},
          {"share", share(cost.seconds)},
          {"gmacs_per_second", rated ? static_cast<double>(cost.macs) * images * 1e-9 / cost.seconds : 0.0},
          {"of_peak", rated ? cost.least_seconds / cost.seconds : 0.0}};
}

Json ProfileReport::layer_json(const Row& row) const {
  const StepReport& step = row.step;
  Json json;
  json["layer"] = step.layer;
  json["kernel"] = step.kernel;
  json["arith"] = step.arith;
  json["macs"] = step.macs;
  json["seconds"] = step.seconds;
  json["share"] = share(step.seconds);
  json["gmacs_per_second"] = row.point.macs_per_second * 1e-9;
  json["peak_share"] = row.point.peak_share;
  json["macs_per_byte"] = row.point.macs_per_byte;
  json["gb_per_second"] = row.point.bytes_per_second * 1e-9;
  json["bound"] = bound_name(row.point);
  json["weight_bytes"] = step.weight_bytes;
  json["activation_bytes"] = step.activation_bytes;
  return json;
}

Json ProfileReport::json() const {
  Json json;
  json["images"] = images_;
  json["layers"] = Json::array();
  json["steps"] = Json::array();
  for (const Row& row : rows_) {
    json["layers"].push_back(layer_json(row));
    Json entry = step_json(row.step);
    entry.update(cost_json(row.cost));
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
  for (const auto& [arith, peak] : peaks_.macs_per_second) json["peaks"][arith] = peak * 1e-9;
  json["bandwidth_gb_s"] = peaks_.bytes_per_second * 1e-9;
  return json;
}

}  // namespace xdn::cli
