#include "training/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

namespace xdn::testing {
namespace {

using training::Schedule;
using training::ScheduleKind;

TEST(Schedule, CosineFallsFromThePeakToZero) {
  const Schedule s{ScheduleKind::kCosine, 0.4, 1000, 0};
  EXPECT_DOUBLE_EQ(s.rate(0), 0.4);
  EXPECT_NEAR(s.rate(500), 0.2, 1e-12);
  EXPECT_NEAR(s.rate(250), 0.4 * 0.5 * (1 + std::sqrt(0.5)), 1e-12);
  EXPECT_NEAR(s.rate(999), 0, 2e-6);
}

TEST(Schedule, WarmUpRisesInALine) {
  const Schedule s{ScheduleKind::kCosine, 1, 110, 9};
  for (int64_t i = 0; i < 9; ++i) EXPECT_NEAR(s.rate(i), 0.1 * static_cast<double>(i + 1), 1e-12);
  EXPECT_DOUBLE_EQ(s.rate(9), 1);
  EXPECT_LT(s.rate(11), 1);
}

TEST(Schedule, OneCycleRisesAndFalls) {
  const Schedule s{ScheduleKind::kOneCycle, 0.5, 100, 0};
  EXPECT_NEAR(s.rate(0), 0.02, 1e-12);
  EXPECT_DOUBLE_EQ(s.rate(30), 0.5);
  for (int64_t i = 1; i < 100; ++i) EXPECT_EQ(s.rate(i) > s.rate(i - 1), i <= 30) << i;
  EXPECT_LT(s.rate(99), 0.001);
  const Schedule early{ScheduleKind::kOneCycle, 0.5, 100, 10};
  EXPECT_DOUBLE_EQ(early.rate(10), 0.5);
}

TEST(Schedule, Names) {
  EXPECT_EQ(training::parse_schedule("cosine"), ScheduleKind::kCosine);
  EXPECT_EQ(training::parse_schedule("one-cycle"), ScheduleKind::kOneCycle);
  EXPECT_FALSE(training::parse_schedule("step"));
}

}  // namespace
}  // namespace xdn::testing
