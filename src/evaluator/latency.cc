#include "evaluator/latency.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace xdn {
namespace {

double nearest_rank(const std::vector<double>& sorted, double percent) {
  const auto n = static_cast<double>(sorted.size());
  // percent * n first: for whole percents the product is exact, so that 90 % of 10 is rank 9, not 10.
  const auto rank = static_cast<size_t>(std::ceil(percent * n / 100.0));
  return sorted[std::clamp<size_t>(rank, 1, sorted.size()) - 1];
}

}  // namespace

double percentile(std::vector<double> samples, double percent) {
  XDN_CHECK(!samples.empty() && percent >= 0 && percent <= 100);
  std::sort(samples.begin(), samples.end());
  return nearest_rank(samples, percent);
}

double median(std::vector<double> samples) {
  XDN_CHECK(!samples.empty());
  std::sort(samples.begin(), samples.end());
  const size_t half = samples.size() / 2;
  return samples.size() % 2 == 1 ? samples[half] : (samples[half - 1] + samples[half]) / 2;
}

LatencySummary summarize_latency(const std::vector<double>& samples) {
  XDN_CHECK(!samples.empty());
  std::vector<double> sorted = samples;
  std::sort(sorted.begin(), sorted.end());
  return {nearest_rank(sorted, 50), nearest_rank(sorted, 90), nearest_rank(sorted, 99)};
}

}  // namespace xdn
