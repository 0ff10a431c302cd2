#include "experiment/statistics.h"

#include <gtest/gtest.h>

#include <numeric>

namespace xdn::experiment {
namespace {

TEST(Spread, IsTheMiddleAndTheEnds) {
  const std::vector<double> odd{5, 1, 3}, even{4, 1, 3, 2};
  EXPECT_EQ(spread(odd).median, 3);
  EXPECT_EQ(spread(odd).min, 1);
  EXPECT_EQ(spread(odd).max, 5);
  EXPECT_EQ(spread(even).median, 2.5);
}

// The ranks are those of published tables of the sign test at 95 %.
TEST(MedianInterval, HasTheSignTestsRanks) {
  const auto of = [](int n) {
    std::vector<double> values(static_cast<size_t>(n));
    std::iota(values.rbegin(), values.rend(), 1.0);
    return median_interval(values);
  };
  struct Case {
    int n;
    double lo, hi;
  };
  for (const auto& [n, lo, hi] : {Case{1, 1, 1}, Case{3, 1, 3}, Case{5, 1, 5}, Case{6, 1, 6}, Case{8, 1, 8},
                                  Case{9, 2, 8}, Case{12, 3, 10}, Case{20, 6, 15}, Case{50, 18, 33}}) {
    EXPECT_EQ(of(n).lo, lo) << n;
    EXPECT_EQ(of(n).hi, hi) << n;
    EXPECT_EQ(of(n).median, (n + 1) / 2.0) << n;
  }
}

TEST(AaRatios, ASteadyDriftFavoursNeither) {
  std::vector<double> seconds;
  for (int i = 0; i < 12; ++i) seconds.push_back(1 + 0.1 * i);
  for (const double ratio : aa_ratios(seconds)) EXPECT_NEAR(ratio, 1, 1e-12);
  EXPECT_EQ(aa_ratios(seconds).size(), 3u);
}

TEST(AaRatios, AreOfWholeBlocksFirstToSecond) {
  EXPECT_TRUE(aa_ratios(std::vector<double>{1, 1, 1}).empty());
  const std::vector<double> ratios = aa_ratios(std::vector<double>{3, 1, 1, 3, 9});
  ASSERT_EQ(ratios.size(), 1u);
  EXPECT_EQ(ratios[0], 3);
}

}  // namespace
}  // namespace xdn::experiment
