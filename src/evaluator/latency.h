#pragma once

#include <vector>

namespace xdn {

/// Nearest-rank percentile: the smallest sample such that at least percent % of the samples are not larger.
/// percent in [0, 100]; samples must not be empty and need no order.
double percentile(std::vector<double> samples, double percent);

/// The middle sample, or the mean of the two middle ones. samples must not be empty.
double median(std::vector<double> samples);

struct LatencySummary {
  double p50 = 0, p90 = 0, p99 = 0;
};
LatencySummary summarize_latency(const std::vector<double>& samples);

}  // namespace xdn
