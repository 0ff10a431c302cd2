#include <array>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "evaluator/latency.h"
#include "tuner/search.h"

namespace xdn::tuner {

namespace {
constexpr std::array kStatusNames{"ok", "failed", "timeout", "memory"};
}  // namespace

const char* status_name(Status status) { return kStatusNames[static_cast<size_t>(status)]; }

Status parse_status(const std::string& name) {
  for (size_t i = 0; i < kStatusNames.size(); ++i) {
    if (name == kStatusNames[i]) return static_cast<Status>(i);
  }
  throw input_error("'status' is '" + printable(name) + "', expected ok, failed, timeout or memory");
}

double Trial::ratio() const {
  constexpr double kQuartile = 25;
  if (!ok()) return std::numeric_limits<double>::infinity();
  return percentile(seconds, kQuartile) / percentile(reference, kQuartile);
}

void Trial::append(const Trial& more) {
  status = more.status;
  reason = more.reason;
  seconds.insert(seconds.end(), more.seconds.begin(), more.seconds.end());
  reference.insert(reference.end(), more.reference.begin(), more.reference.end());
}

PairedRatio paired_ratio(std::span<const double> a, std::span<const double> b) {
  XDN_CHECK(a.size() == b.size() && !a.empty());
  std::vector<double> ratios, deviations;
  for (size_t i = 0; i < a.size(); ++i) ratios.push_back(a[i] / b[i]);
  PairedRatio result;
  result.ratio = median(ratios);
  for (const double r : ratios) deviations.push_back(std::fabs(r - result.ratio));
  // Of a normal distribution, 1.4826 deviations are a standard deviation, and the median's standard error is
  // 1.2533 times the mean's.
  result.noise = 2 * 1.4826 * 1.2533 * median(deviations) / std::sqrt(static_cast<double>(a.size()));
  return result;
}

}  // namespace xdn::tuner
