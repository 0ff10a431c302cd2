#include "tuner/layers.h"

#include <gtest/gtest.h>

#include <random>

namespace xdn::tuner {
namespace {

/// Rounds of steps whose times are these, with noise of a percent.
StepTimes noisy(const std::vector<double>& steps, uint64_t seed, int rounds = kLayerRounds) {
  std::mt19937_64 bits(seed);
  std::normal_distribution<double> normal;
  StepTimes times;
  for (int r = 0; r < rounds; ++r) {
    times.emplace_back();
    for (const double step : steps) times.back().push_back(step * (1 + 0.01 * normal(bits)));
  }
  return times;
}

TEST(ChooseVariants, TakesWhatGainsMostForEachStep) {
  const StepTimes base = noisy({1, 1, 1, 1}, 1);
  const std::vector<int> chosen =
      choose_variants(base, {noisy({0.9, 0.99, 1.2, 0.8}, 2), {}, noisy({0.8, 1, 0.99, 0.85}, 3)});
  EXPECT_EQ(chosen, (std::vector<int>{2, -1, -1, 0}));
}

TEST(ChooseVariants, DoesNotBelieveNoise) {
  StepTimes base = noisy({1}, 1), wild = noisy({1}, 2);
  // Quick now and then, slow as often: the median lies a little lower, within the noise.
  const double kFactors[] = {0.6, 1.5, 0.7, 1.4, 0.9, 1.6, 0.5};
  for (size_t r = 0; r < wild.size(); ++r) wild[r][0] = kFactors[r];
  EXPECT_EQ(choose_variants(base, {wild}), (std::vector<int>{-1}));
}

TEST(ChooseVariants, TakesStepsWithoutTime) {
  const StepTimes none(3, std::vector<double>{0.0});
  EXPECT_EQ(choose_variants(none, {none}), (std::vector<int>{-1}));
}

}  // namespace
}  // namespace xdn::tuner
