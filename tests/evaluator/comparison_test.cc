#include "evaluator/comparison.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "evaluator/synthetic.h"

namespace xdn {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();
using Floats = std::vector<float>;

TEST(ErrorStats, ByHand) {
  ErrorStats stats;
  stats.add(Floats{1, -8}, Floats{1.5f, -8});
  stats.add(Floats{2, 4}, Floats{2, 2});
  EXPECT_EQ(stats.count(), 4);
  EXPECT_DOUBLE_EQ(stats.max(), 2);
  EXPECT_EQ(stats.max_at(), 3);
  EXPECT_DOUBLE_EQ(stats.mean(), 2.5 / 4);
  EXPECT_DOUBLE_EQ(stats.largest(), 8);
  EXPECT_DOUBLE_EQ(stats.relative(), 0.25);
}

TEST(ErrorStats, NothingOrZeros) {
  ErrorStats stats;
  EXPECT_EQ(stats.mean(), 0);
  stats.add(Floats{0, 0}, Floats{0, -0.0f});
  EXPECT_EQ(stats.relative(), 0);
  stats.add(Floats{0}, Floats{1});
  EXPECT_EQ(stats.relative(), std::numeric_limits<double>::infinity());
}

TEST(ErrorStats, NotFinite) {
  ErrorStats equal;
  equal.add(Floats{kNan, kInf, -kInf, 1}, Floats{kNan, kInf, -kInf, 1});
  EXPECT_EQ(equal.max(), 0);
  EXPECT_EQ(equal.largest(), 1);
  for (const auto& [a, b] :
       {std::pair{kNan, 1.0f}, {1.0f, kNan}, {kInf, 1.0f}, {kInf, -kInf}, {kNan, kInf}}) {
    ErrorStats stats;
    stats.add(Floats{3, a}, Floats{3, b});
    EXPECT_EQ(stats.max(), std::numeric_limits<double>::infinity()) << a << " " << b;
    EXPECT_EQ(stats.max_at(), 1);
  }
}

TEST(Comparison, CountsFlipsAndTheirDirection) {
  Comparison c;
  c.add(Floats{1, 0}, Floats{1, 0}, 0);  // both right
  c.add(Floats{1, 0}, Floats{0, 1}, 0);  // right to wrong
  c.add(Floats{1, 0}, Floats{0, 1}, 0);
  c.add(Floats{1, 0}, Floats{0, 1}, 1);        // wrong to right
  c.add(Floats{1, 0, 0}, Floats{0, 1, 0}, 2);  // wrong to wrong
  EXPECT_EQ(c.images(), 5);
  EXPECT_EQ(c.flips(), 4);
  EXPECT_EQ(c.ties(), 0);
  EXPECT_EQ(c.correct_a(), 3);
  EXPECT_EQ(c.correct_b(), 2);
  EXPECT_EQ(c.right_to_wrong(), 2);
  EXPECT_EQ(c.wrong_to_right(), 1);
}

TEST(Comparison, TiesAreWithinRoundingInBoth) {
  Comparison c;
  c.add(Floats{8, 8}, Floats{8, 8.00001f});  // the lower index among equals, against the larger
  EXPECT_EQ(c.flips(), 1);
  EXPECT_EQ(c.ties(), 1);
  c.add(Floats{8, 8}, Floats{8, 8.1f});
  EXPECT_EQ(c.flips(), 2);
  EXPECT_EQ(c.ties(), 1);
}

TEST(Comparison, NanPredictsNothing) {
  Comparison c;
  c.add(Floats{kNan, 1}, Floats{0, 1}, 1);
  c.add(Floats{kNan, 1}, Floats{kNan, 1}, 1);
  EXPECT_EQ(c.flips(), 1);
  EXPECT_EQ(c.ties(), 0);
  EXPECT_EQ(c.not_finite_a(), 2);
  EXPECT_EQ(c.not_finite_b(), 1);
  EXPECT_EQ(c.correct_a(), 0);
  EXPECT_EQ(c.correct_b(), 1);
}

TEST(Mcnemar, ByHand) {
  EXPECT_DOUBLE_EQ(mcnemar_p(0, 0), 1);
  EXPECT_DOUBLE_EQ(mcnemar_p(1, 0), 1);
  EXPECT_NEAR(mcnemar_p(0, 5), 2.0 / 32, 1e-12);
  EXPECT_NEAR(mcnemar_p(1, 9), 2.0 * (1 + 10) / 1024, 1e-12);
  EXPECT_DOUBLE_EQ(mcnemar_p(9, 1), mcnemar_p(1, 9));
  EXPECT_DOUBLE_EQ(mcnemar_p(7, 7), 1);
  EXPECT_DOUBLE_EQ(mcnemar_p(7, 8), 1);
}

TEST(Mcnemar, ManyImages) {
  // The normal approximation, corrected for continuity: z = (|b - c| - 1) / sqrt(b + c) = 3.12.
  EXPECT_NEAR(mcnemar_p(5100, 4784), std::erfc(315 / std::sqrt(9884.0) / std::sqrt(2.0)), 1e-5);
  EXPECT_GE(mcnemar_p(0, 1000000), 0);
  EXPECT_LT(mcnemar_p(0, 1000000), 1e-300);
}

TEST(SyntheticImages, DependOnTheirIndexAlone) {
  constexpr int64_t kHeight = 6, kWidth = 9, kChannels = 3, kBytes = kHeight * kWidth * kChannels;
  std::vector<uint8_t> all(5 * kBytes), one(kBytes);
  synthetic_images(0, 5, kHeight, kWidth, kChannels, all.data());
  for (int64_t i = 0; i < 5; ++i) {
    synthetic_images(i, 1, kHeight, kWidth, kChannels, one.data());
    EXPECT_TRUE(std::equal(one.begin(), one.end(), all.begin() + i * kBytes)) << i;
    for (int64_t j = 0; j < i; ++j) {
      EXPECT_FALSE(std::equal(one.begin(), one.end(), all.begin() + j * kBytes)) << i << " " << j;
    }
  }
}

}  // namespace
}  // namespace xdn
