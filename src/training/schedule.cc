#include "training/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace xdn::training {
namespace {

constexpr double kOneCycleStart = 1.0 / 25, kOneCycleEnd = 1.0 / 250000, kOneCycleRise = 0.3;

/// from at x = 0, to at x = 1, along half a cosine.
double half_cosine(double from, double to, double x) {
  return to + (from - to) * 0.5 * (1 + std::cos(std::numbers::pi * std::clamp(x, 0.0, 1.0)));
}

}  // namespace

std::optional<ScheduleKind> parse_schedule(const std::string& name) {
  if (name == "cosine") return ScheduleKind::kCosine;
  if (name == "one-cycle") return ScheduleKind::kOneCycle;
  return std::nullopt;
}

double Schedule::rate(int64_t step) const {
  const auto at = static_cast<double>(step), total = static_cast<double>(std::max<int64_t>(steps, 1));
  auto rise = static_cast<double>(warmup_steps);
  if (kind == ScheduleKind::kOneCycle) {
    if (warmup_steps == 0) rise = kOneCycleRise * total;
    if (at < rise) return half_cosine(peak * kOneCycleStart, peak, at / rise);
    return half_cosine(peak, peak * kOneCycleEnd, (at - rise) / std::max(total - rise, 1.0));
  }
  if (at < rise) return peak * (at + 1) / (rise + 1);
  return half_cosine(peak, 0, (at - rise) / std::max(total - rise, 1.0));
}

}  // namespace xdn::training
