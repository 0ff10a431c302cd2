#include "evaluator/latency.h"

#include <gtest/gtest.h>

namespace xdn {
namespace {

TEST(Percentile, IsTheNearestRank) {
  const std::vector<double> samples{50, 15, 20, 40, 35};
  EXPECT_EQ(percentile(samples, 0), 15);
  EXPECT_EQ(percentile(samples, 5), 15);
  EXPECT_EQ(percentile(samples, 30), 20);
  EXPECT_EQ(percentile(samples, 40), 20);
  EXPECT_EQ(percentile(samples, 41), 35);
  EXPECT_EQ(percentile(samples, 50), 35);
  EXPECT_EQ(percentile(samples, 100), 50);
}

TEST(Percentile, WholePercentsHitTheirRankExactly) {
  std::vector<double> samples;
  for (int i = 1; i <= 100; ++i) samples.push_back(i);
  for (int p = 1; p <= 100; ++p) EXPECT_EQ(percentile(samples, p), p);
  samples.resize(10);
  EXPECT_EQ(percentile(samples, 90), 9);
  EXPECT_EQ(percentile(samples, 70), 7);
}

TEST(Percentile, OfOneSample) {
  EXPECT_EQ(percentile({3}, 0), 3);
  EXPECT_EQ(percentile({3}, 99), 3);
}

TEST(Median, OfOddAndEvenCounts) {
  EXPECT_EQ(median({3, 1, 2}), 2);
  EXPECT_EQ(median({4, 1, 3, 2}), 2.5);
  EXPECT_EQ(median({7}), 7);
}

TEST(LatencySummary, HoldsThreePercentiles) {
  std::vector<double> samples;
  for (int i = 200; i >= 1; --i) samples.push_back(i);
  const LatencySummary summary = summarize_latency(samples);
  EXPECT_EQ(summary.p50, 100);
  EXPECT_EQ(summary.p90, 180);
  EXPECT_EQ(summary.p99, 198);
}

TEST(LatencyDeathTest, NoSamplesIsABug) {
  EXPECT_DEATH((void)median({}), "internal error");
  EXPECT_DEATH((void)percentile({1}, 101), "internal error");
}

}  // namespace
}  // namespace xdn
