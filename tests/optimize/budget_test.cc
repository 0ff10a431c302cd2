#include "optimize/budget.h"

#include <gtest/gtest.h>

namespace xdn::optimize {
namespace {

TEST(Budget, WithoutADeadlineAllEpochsOfAllRungs) {
  const Allotment fit = allot(kForever, 3, 20, 100);
  EXPECT_EQ(fit.epochs, 20);
  EXPECT_EQ(fit.seconds, kForever);
}

TEST(Budget, AThirdForEachOfThreeRungs) {
  const Allotment fit = allot(3000, 3, 20, 10);
  EXPECT_EQ(fit.epochs, 20);
  EXPECT_DOUBLE_EQ(fit.seconds, 1000);
}

TEST(Budget, FewerRungsBeforeTooFewEpochs) {
  // 1000 s: a third would be 6 epochs of 50 s, half 9.
  const Allotment fit = allot(1000, 3, 20, 50);
  EXPECT_EQ(fit.epochs, 9);
  EXPECT_DOUBLE_EQ(fit.seconds, 500);
  // One alone, then as many as there are.
  EXPECT_EQ(allot(200, 3, 20, 50).epochs, 3);
  EXPECT_DOUBLE_EQ(allot(200, 3, 20, 50).seconds, 200);
  EXPECT_EQ(allot(40, 3, 20, 50).epochs, 0);
  EXPECT_EQ(allot(-1, 3, 20, 50).epochs, 0);
}

TEST(Budget, EpochsStayBelowTheTime) {
  for (double seconds = 1; seconds < 5000; seconds *= 1.3) {
    for (double epoch = 0.3; epoch < 500; epoch *= 1.7) {
      const Allotment fit = allot(seconds, 3, 20, epoch);
      EXPECT_LE(static_cast<double>(fit.epochs) * epoch, 0.91 * fit.seconds);
      EXPECT_LE(fit.seconds, seconds);
      EXPECT_LE(fit.epochs, 20);
    }
  }
}

TEST(Budget, WhatFollowsIsReserved) {
  const Rates rates{.image_seconds = 1e-3,
                    .val = 5000,
                    .test = 5000,
                    .train = 50000,
                    .calibration = 1000,
                    .tune_seconds = 60};
  EXPECT_EQ(reserve_after(Stage::kReport, rates), 0);
  double last = 0;
  for (const Stage stage : {Stage::kTest, Stage::kTune, Stage::kQuantize, Stage::kPrune, Stage::kBaseline}) {
    const double reserve = reserve_after(stage, rates);
    EXPECT_GT(reserve, last);
    last = reserve;
  }
  EXPECT_GT(reserve_after(Stage::kQuantize, rates), 60 + 20);  // tuning, and the images of val and test
}

TEST(Budget, AnEpochGrowsWithTheShare) {
  const Rates rates{.image_seconds = 1e-3, .train = 1000};
  EXPECT_LT(epoch_estimate(0.1, rates, 1), epoch_estimate(0.5, rates, 1));
  EXPECT_DOUBLE_EQ(epoch_estimate(0.1, rates, 3), 3 * epoch_estimate(0.1, rates, 1));
}

TEST(Budget, TheClockRunsFromTheStart) {
  double now = 1000;
  const Deadline deadline(60, [&] { return now; });
  EXPECT_EQ(deadline.left(), 60);
  now += 45;
  EXPECT_EQ(deadline.left(), 15);
  now += 45;
  EXPECT_EQ(deadline.left(), 0);
  EXPECT_EQ(Deadline(std::nullopt, [] { return 0.0; }).left(), kForever);
}

}  // namespace
}  // namespace xdn::optimize
