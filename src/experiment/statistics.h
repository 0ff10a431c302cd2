#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace xdn::experiment {

struct Spread {
  double median = 0, min = 0, max = 0;
};
/// Of at least one value.
Spread spread(std::span<const double> values);

/// A median, and where it lies at 95 % confidence whatever the distribution is: the order statistics that the
/// sign test leaves (Conover, Practical Nonparametric Statistics, 3.2). With fewer than 6 values no interval
/// reaches 95 %; it is then the smallest and the largest value.
struct Interval {
  double median = 0, lo = 0, hi = 0;
};
Interval median_interval(std::vector<double> values);

/// Which of two identical commands is run at position `index` of an A/A check: A B B A, A B B A, ..., so that
/// a machine that becomes steadily slower favours neither.
inline constexpr size_t kAaBlock = 4;
constexpr bool is_first_of_aa(size_t index) { return index % kAaBlock == 0 || index % kAaBlock == 3; }

/// One ratio A / B for each whole block of `seconds`, which are in the order they were measured in.
std::vector<double> aa_ratios(std::span<const double> seconds);

/// How far a ratio of 1 may be missed before the machine counts as too noisy.
inline constexpr double kAaTolerance = 0.03;

}  // namespace xdn::experiment
