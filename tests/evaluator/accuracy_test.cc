#include "evaluator/accuracy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace xdn {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();
using Logits = std::vector<float>;

TEST(Argmax, TakesTheLargest) {
  EXPECT_EQ(argmax(Logits{1, 3, 2}), 1);
  EXPECT_EQ(argmax(Logits{-5}), 0);
  EXPECT_EQ(argmax(Logits{-kInf, -1, -kInf}), 1);
}

TEST(Argmax, TakesTheLowestIndexAmongEquals) {
  EXPECT_EQ(argmax(Logits{2, 2, 2}), 0);
  EXPECT_EQ(argmax(Logits{0, 7, 7, 1}), 1);
  EXPECT_EQ(argmax(Logits{0.0f, -0.0f}), 0);
}

TEST(Argmax, HasNoAnswerForNan) {
  EXPECT_EQ(argmax(Logits{1, kNan, 0}), -1);
  EXPECT_EQ(argmax(Logits{kNan}), -1);
  EXPECT_EQ(argmax(Logits{}), -1);
}

TEST(TopK, OrdersBestFirstAndLowerIndicesFirst) {
  EXPECT_EQ(top_k(Logits{1, 5, 3, 5}, 3), (std::vector<int64_t>{1, 3, 2}));
  EXPECT_EQ(top_k(Logits{1, 2}, 5), (std::vector<int64_t>{1, 0}));
  EXPECT_TRUE(top_k(Logits{1, 2}, 0).empty());
  EXPECT_TRUE(top_k(Logits{1, kNan}, 2).empty());
  EXPECT_TRUE(top_k(Logits{}, 2).empty());
}

TEST(InTopK, AgreesWithTopK) {
  const Logits logits{3, 1, 3, 0, 2, 2, 5};
  for (int64_t k = 0; k <= 8; ++k) {
    const std::vector<int64_t> best = top_k(logits, k);
    for (int64_t label = -1; label <= 7; ++label) {
      const bool expected = std::find(best.begin(), best.end(), label) != best.end();
      EXPECT_EQ(in_top_k(logits, label, k), expected) << "k " << k << " label " << label;
    }
  }
}

TEST(InTopK, NanIsNeverCorrect) {
  EXPECT_FALSE(in_top_k(Logits{9, kNan}, 0, 1));
  EXPECT_FALSE(in_top_k(Logits{kNan, 9}, 0, 5));
}

TEST(Softmax, SumsToOneWithoutOverflow) {
  const std::vector<double> p = softmax(Logits{1000, 1000, -1000});
  EXPECT_DOUBLE_EQ(p[0], 0.5);
  EXPECT_DOUBLE_EQ(p[1], 0.5);
  EXPECT_DOUBLE_EQ(p[2], 0.0);
  const std::vector<double> q = softmax(Logits{0, std::log(3.0f)});
  EXPECT_NEAR(q[0], 0.25, 1e-7);
  EXPECT_NEAR(q[1], 0.75, 1e-7);
  EXPECT_TRUE(softmax(Logits{}).empty());
}

TEST(Softmax, InfinityTakesAll) {
  EXPECT_EQ(softmax(Logits{0, kInf, 1}), (std::vector<double>{0, 1, 0}));
  EXPECT_EQ(softmax(Logits{kInf, kInf}), (std::vector<double>{0.5, 0.5}));
  EXPECT_EQ(softmax(Logits{-kInf, 0}), (std::vector<double>{0, 1}));
  EXPECT_EQ(softmax(Logits{-kInf, -kInf}), (std::vector<double>{0.5, 0.5}));
}

TEST(Softmax, NanStaysNan) {
  for (const double x : softmax(Logits{0, kNan})) EXPECT_TRUE(std::isnan(x));
}

TEST(Accuracy, Counts) {
  Accuracy accuracy;
  EXPECT_EQ(accuracy.top1(), 0);
  EXPECT_EQ(accuracy.add(Logits{0, 1, 2, 3, 4, 5, 6}, 6), 6);  // first
  EXPECT_EQ(accuracy.add(Logits{0, 1, 2, 3, 4, 5, 6}, 2), 6);  // fifth
  EXPECT_EQ(accuracy.add(Logits{0, 1, 2, 3, 4, 5, 6}, 1), 6);  // sixth
  EXPECT_EQ(accuracy.add(Logits{0, 1, 2, 3, 4, 5, kNan}, 5), -1);
  EXPECT_EQ(accuracy.images(), 4);
  EXPECT_EQ(accuracy.correct(), 1);
  EXPECT_EQ(accuracy.correct_top5(), 2);
  EXPECT_DOUBLE_EQ(accuracy.top1(), 0.25);
  EXPECT_DOUBLE_EQ(accuracy.top5(), 0.5);
}

void expect_interval(int64_t correct, int64_t images, double lo, double hi) {
  const Interval interval = wilson_interval(correct, images);
  EXPECT_NEAR(interval.lo, lo, 5e-5) << correct << " of " << images;
  EXPECT_NEAR(interval.hi, hi, 5e-5) << correct << " of " << images;
}

// Newcombe, "Two-sided confidence intervals for the single proportion" (1998), table I, method 3.
TEST(WilsonInterval, OfTheLiterature) {
  expect_interval(81, 263, 0.2553, 0.3662);
  expect_interval(15, 148, 0.0624, 0.1605);
  expect_interval(0, 20, 0, 0.1611);
  expect_interval(1, 29, 0.0061, 0.1718);
}

TEST(WilsonInterval, AtTheEnds) {
  EXPECT_EQ(wilson_interval(0, 10).lo, 0);
  EXPECT_EQ(wilson_interval(10, 10).hi, 1);
  EXPECT_DOUBLE_EQ(wilson_interval(10, 10).lo, 1 - wilson_interval(0, 10).hi);
  EXPECT_EQ(wilson_interval(0, 0).lo, 0);
  EXPECT_EQ(wilson_interval(0, 0).hi, 1);
  expect_interval(9358, 10000, 0.93083, 0.94044);
}

}  // namespace
}  // namespace xdn
