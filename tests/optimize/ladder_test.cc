#include "optimize/ladder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace xdn::optimize {
namespace {

/// The shares that are tried where all from `good_from` on are good.
std::vector<double> tried(double first, double least, int rungs, double good_from) {
  Ladder ladder(first, least, rungs);
  std::vector<double> shares;
  while (const auto share = ladder.next()) {
    shares.push_back(*share);
    ladder.add(*share, *share >= good_from);
    EXPECT_LE(shares.size(), 100u);
  }
  return shares;
}

TEST(Ladder, GoesOnWhileAllAreGood) {
  const auto shares = tried(0.25, 0.01, 3, 0);
  ASSERT_EQ(shares.size(), 3u);
  EXPECT_DOUBLE_EQ(shares[0], 0.25);
  EXPECT_DOUBLE_EQ(shares[1], 0.16);
  EXPECT_LT(shares[2], 0.11);
}

TEST(Ladder, MilderWhereTheFirstFails) {
  const auto shares = tried(0.25, 0.01, 3, 0.6);
  ASSERT_EQ(shares.size(), 3u);
  EXPECT_DOUBLE_EQ(shares[1], 0.5);
  EXPECT_DOUBLE_EQ(shares[2], std::sqrt(0.5));
}

TEST(Ladder, ClosesInOnTheLimit) {
  for (const double limit : {0.05, 0.12, 0.2, 0.33, 0.7}) {
    double good = 1, failed = 0;
    for (const double share : tried(0.25, 0.01, 100, limit)) {
      if (share >= limit) good = std::min(good, share);
      if (share < limit) failed = std::max(failed, share);
    }
    EXPECT_GE(good, limit);
    EXPECT_LT(good / failed, 1.25) << limit;
    EXPECT_LT(good, 1.25 * limit) << limit;
  }
}

TEST(Ladder, NeverBelowTheLeast) {
  for (const double share : tried(0.25, 0.2, 10, 0)) EXPECT_GT(share, 0.2);
  EXPECT_EQ(tried(0.25, 0.2, 10, 0).size(), 2u);
  EXPECT_EQ(tried(0.25, 0.5, 1, 0).at(0), 0.51);
}

TEST(Ladder, NothingWhereNothingCanGo) { EXPECT_TRUE(tried(0.25, 0.95, 3, 0).empty()); }

TEST(Ladder, EndsWhereNothingIsGood) {
  const auto shares = tried(0.25, 0.01, 100, 2);
  EXPECT_LE(shares.back(), 0.9);
  EXPECT_LT(shares.size(), 10u);
}

}  // namespace
}  // namespace xdn::optimize
