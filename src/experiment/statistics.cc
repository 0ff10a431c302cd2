#include "experiment/statistics.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace xdn::experiment {
namespace {

double middle(const std::vector<double>& sorted) {
  const size_t half = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/// How many values may be dropped at each end: the largest k with 2 P(Binomial(n, 1/2) < k) <= 5 %.
size_t dropped(size_t n) {
  const auto size = static_cast<double>(n);
  double below = 0;
  for (size_t k = 0; k < n; ++k) {
    const auto at = static_cast<double>(k);
    below += std::exp(std::lgamma(size + 1) - std::lgamma(at + 1) - std::lgamma(size - at + 1) -
                      size * std::log(2.0));
    if (2 * below > 0.05) return k;
  }
  return 0;
}

}  // namespace

Spread spread(std::span<const double> values) {
  XDN_CHECK(!values.empty());
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  return {middle(sorted), sorted.front(), sorted.back()};
}

Interval median_interval(std::vector<double> values) {
  XDN_CHECK(!values.empty());
  std::sort(values.begin(), values.end());
  // The interval reaches from the k-th smallest to the k-th largest value; k = 0 means that none is wide
  // enough.
  const size_t k = std::max<size_t>(dropped(values.size()), 1);
  return {middle(values), values[k - 1], values[values.size() - k]};
}

std::vector<double> aa_ratios(std::span<const double> seconds) {
  std::vector<double> ratios;
  for (size_t block = 0; block + kAaBlock <= seconds.size(); block += kAaBlock) {
    double a = 0, b = 0;
    for (size_t i = 0; i < kAaBlock; ++i) (is_first_of_aa(i) ? a : b) += seconds[block + i];
    if (b > 0) ratios.push_back(a / b);
  }
  return ratios;
}

}  // namespace xdn::experiment
