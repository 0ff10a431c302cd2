// Weights to levels: scales, least squares, what is left of the mean.

#include "quantization/rounding.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "quantization/support.h"

namespace xdn::testing {
namespace {

/// What a flip must gain, as a share of its own diagonal element; see rounding.cc.
constexpr double kLeastGain = 1e-3;

struct Problem {
  int64_t oc, k, groups;
  std::vector<float> rows, scales;
  InputMoments moments;

  /// d' C d of channel j, in steps of its scale.
  double objective(const std::vector<int8_t>& levels, int64_t j) const {
    const std::vector<double> d = errors(levels, j);
    double sum = 0;
    for (size_t a = 0; a < d.size(); ++a) {
      for (size_t b = 0; b < d.size(); ++b) sum += d[a] * covariance(j, a, b) * d[b];
    }
    return sum;
  }
  std::vector<double> errors(const std::vector<int8_t>& levels, int64_t j) const {
    std::vector<double> d;
    for (const int32_t at : moments.live) {
      const auto i = static_cast<size_t>(j * k + at);
      d.push_back(levels[i] -
                  static_cast<double>(rows[i]) / static_cast<double>(scales[static_cast<size_t>(j)]));
    }
    return d;
  }
  double covariance(int64_t j, size_t a, size_t b) const {
    const auto n = static_cast<size_t>(moments.size);
    return static_cast<double>(moments.covariance[static_cast<size_t>(j * groups / oc) * n * n + a * n + b]);
  }
};

/// Random weights, and the covariance of `rank` random directions; every `dead`-th input is constant.
Problem random_problem(int64_t oc, int64_t k, int64_t groups, uint64_t seed, int64_t rank = 24,
                       int64_t dead = 0) {
  Uniform uniform(seed);
  Problem p{oc, k, groups, {}, {}, {}};
  for (int64_t i = 0; i < oc * k; ++i) p.rows.push_back(uniform());
  p.scales = weight_scales(p.rows, k, {}, 1);
  for (int64_t i = 0; i < k; ++i) {
    if (k < 4 || i % 5 != 4) p.moments.live.push_back(static_cast<int32_t>(i));
  }
  const auto n = p.moments.live.size();
  p.moments.size = static_cast<int64_t>(n);
  p.moments.samples = rank;
  for (int64_t g = 0; g < groups; ++g) {
    std::vector<double> c(n * n, 0.0);
    for (int64_t r = 0; r < rank; ++r) {
      std::vector<double> x(n);
      const double common = static_cast<double>(uniform()) * 2;
      for (size_t i = 0; i < n; ++i) {
        x[i] = static_cast<double>(uniform()) + common;
        if (dead > 0 && static_cast<int64_t>(i) % dead == 0) x[i] = 0;
      }
      for (size_t a = 0; a < n; ++a) {
        for (size_t b = 0; b < n; ++b) c[a * n + b] += x[a] * x[b] / static_cast<double>(rank);
      }
    }
    for (const double v : c) p.moments.covariance.push_back(static_cast<float>(v));
    for (size_t i = 0; i < n; ++i) p.moments.mean.push_back(uniform());
  }
  return p;
}

RoundedWeights rounded(const Problem& p, int sweeps = 20) {
  return round_by_least_squares(p.rows, p.k, p.scales, p.groups, p.moments, sweeps);
}

std::vector<Problem> problems() {
  return {random_problem(3, 1, 1, 1),      random_problem(4, 9, 1, 2),
          random_problem(8, 9, 8, 3),      random_problem(6, 27, 2, 4),
          random_problem(16, 64, 1, 5),    random_problem(5, 130, 1, 6, 200),
          random_problem(4, 40, 2, 7, 10), random_problem(6, 30, 1, 8, 24, 3)};
}

TEST(LeastSquares, LevelsAreNeighboursOfTheWeights) {
  for (const Problem& p : problems()) {
    const RoundedWeights out = rounded(p);
    ASSERT_EQ(out.levels.size(), p.rows.size());
    int moved = 0;
    const std::vector<int8_t> nearest = round_to_nearest(p.rows, p.k, p.scales);
    for (size_t i = 0; i < p.rows.size(); ++i) {
      const float w = p.rows[i] / p.scales[i / static_cast<size_t>(p.k)];
      EXPECT_LE(std::abs(out.levels[i]), 127);
      EXPECT_TRUE(out.levels[i] == std::floor(w) || out.levels[i] == std::ceil(w) ||
                  out.levels[i] == nearest[i])
          << w << " " << int{out.levels[i]};
      moved += out.levels[i] != nearest[i];
    }
    if (p.k >= 9) {
      EXPECT_GT(moved, 0);
    }
  }
}

TEST(LeastSquares, NeverWorseThanNearest) {
  for (const Problem& p : problems()) {
    const RoundedWeights out = rounded(p);
    const std::vector<int8_t> nearest = round_to_nearest(p.rows, p.k, p.scales);
    double mean = 0, mean_nearest = 0;
    for (int64_t j = 0; j < p.oc; ++j) {
      const double after = p.objective(out.levels, j), before = p.objective(nearest, j);
      EXPECT_LE(after, before * 1.0001 + 1e-6) << "channel " << j;
      const double square = std::pow(static_cast<double>(p.scales[static_cast<size_t>(j)]), 2);
      mean += after * square / static_cast<double>(p.oc);
      mean_nearest += before * square / static_cast<double>(p.oc);
    }
    EXPECT_NEAR(out.error, mean, 1e-3 * mean_nearest + 1e-12);
    EXPECT_NEAR(out.nearest_error, mean_nearest, 1e-3 * mean_nearest + 1e-12);
    if (p.k >= 27) {
      EXPECT_LT(mean, 0.7 * mean_nearest);
    }
  }
}

TEST(LeastSquares, NoSingleFlipHelps) {
  for (const Problem& p : problems()) {
    const RoundedWeights out = rounded(p, 1000);
    for (int64_t j = 0; j < p.oc; ++j) {
      const std::vector<double> d = p.errors(out.levels, j);
      for (size_t i = 0; i < d.size(); ++i) {
        const double step = d[i] > 0 ? -1 : 1;
        const auto at = static_cast<size_t>(j * p.k + p.moments.live[i]);
        if (std::abs(out.levels[at] + step) > 127) continue;
        double gradient = 0;
        for (size_t b = 0; b < d.size(); ++b) gradient += p.covariance(j, i, b) * d[b];
        const double change = 2 * step * gradient + p.covariance(j, i, i);
        EXPECT_GE(change, -(kLeastGain + 1e-3) * p.covariance(j, i, i)) << "channel " << j << ", input " << i;
      }
    }
  }
}

TEST(LeastSquares, ComesNearTheOptimumOfSmallRows) {
  double found = 0, best = 0, nearest = 0;
  for (uint64_t seed = 20; seed < 60; ++seed) {
    const Problem p = random_problem(1, 9, 1, seed);
    std::vector<int8_t> levels = round_to_nearest(p.rows, p.k, p.scales);
    nearest += p.objective(levels, 0);
    found += p.objective(rounded(p).levels, 0);
    const size_t n = p.moments.live.size();
    double least = std::numeric_limits<double>::infinity();
    for (uint32_t choice = 0; choice < (1u << n); ++choice) {
      for (size_t i = 0; i < n; ++i) {
        const auto at = static_cast<size_t>(p.moments.live[i]);
        const float down = std::floor(p.rows[at] / p.scales[0]);
        const float up = (choice >> i & 1) != 0 ? 1.0f : 0.0f;
        levels[at] = static_cast<int8_t>(std::clamp(down + up, -127.0f, 127.0f));
      }
      least = std::min(least, p.objective(levels, 0));
    }
    best += least;
  }
  EXPECT_GE(found, best * 0.999);
  EXPECT_LE(found, 1.6 * best);
  EXPECT_GT(nearest, 2 * best) << "the problems say little";
}

TEST(LeastSquares, WithoutSweepsOrCovarianceIsNearest) {
  Problem p = random_problem(6, 20, 2, 9);
  const std::vector<int8_t> nearest = round_to_nearest(p.rows, p.k, p.scales);
  RoundedWeights out = rounded(p, 0);
  EXPECT_EQ(out.levels, nearest);
  EXPECT_EQ(out.error, out.nearest_error);
  EXPECT_GT(out.error, 0);
  p.moments.covariance.clear();
  out = rounded(p);
  EXPECT_EQ(out.levels, nearest);
  EXPECT_EQ(out.error, 0);
  EXPECT_EQ(out.nearest_error, 0);
}

TEST(LeastSquares, InputsThatDoNotMatterStayNearest) {
  Problem p = random_problem(6, 20, 1, 10);
  std::vector<int8_t> nearest = round_to_nearest(p.rows, p.k, p.scales);
  std::fill(p.moments.covariance.begin(), p.moments.covariance.end(), 0.0f);
  EXPECT_EQ(rounded(p).levels, nearest);

  p = random_problem(6, 20, 1, 11, 24, 2);  // every other live input is constant
  nearest = round_to_nearest(p.rows, p.k, p.scales);
  const std::vector<int8_t> levels = rounded(p).levels;
  for (int64_t j = 0; j < p.oc; ++j) {
    for (size_t i = 0; i < p.moments.live.size(); i += 2) {
      const auto at = static_cast<size_t>(j * p.k + p.moments.live[i]);
      EXPECT_EQ(levels[at], nearest[at]);
    }
    EXPECT_EQ(levels[static_cast<size_t>(j * p.k + 4)], nearest[static_cast<size_t>(j * p.k + 4)])
        << "not live";
  }
}

TEST(MeanShift, IsTheDifferenceOfTheMeanOutputs) {
  for (const Problem& p : problems()) {
    const RoundedWeights out = rounded(p);
    const std::vector<float> shift = mean_shift(p.rows, out.levels, p.k, p.scales, p.groups, p.moments);
    ASSERT_EQ(shift.size(), static_cast<size_t>(p.oc));
    for (int64_t j = 0; j < p.oc; ++j) {
      const double scale = static_cast<double>(p.scales[static_cast<size_t>(j)]);
      const int64_t group = j / (p.oc / p.groups);
      double exact = 0, rough = 0;
      for (int64_t i = 0; i < p.moments.size; ++i) {
        const auto at = static_cast<size_t>(j * p.k + p.moments.live[static_cast<size_t>(i)]);
        const auto mean =
            static_cast<double>(p.moments.mean[static_cast<size_t>(group * p.moments.size + i)]);
        exact += static_cast<double>(p.rows[at]) * mean;
        rough += out.levels[at] * scale * mean;
      }
      EXPECT_NEAR(shift[static_cast<size_t>(j)], rough - exact, 1e-6);
    }
  }
}

TEST(OutputVariance, IsOfTheOutputs) {
  const Problem p = random_problem(6, 27, 2, 4);
  double sum = 0;
  for (int64_t j = 0; j < p.oc; ++j) {
    for (size_t a = 0; a < p.moments.live.size(); ++a) {
      for (size_t b = 0; b < p.moments.live.size(); ++b) {
        const auto w = [&](size_t i) {
          return static_cast<double>(p.rows[static_cast<size_t>(j * p.k + p.moments.live[i])]);
        };
        sum += w(a) * p.covariance(j, a, b) * w(b);
      }
    }
  }
  EXPECT_NEAR(output_variance(p.rows, p.k, p.oc, p.groups, p.moments), sum / 6, 1e-4 * sum);
}

TEST(WeightScales, AreOfTheLargestWeight) {
  const std::vector<float> rows{1, -2, 0.5f, 127, 3, -126};
  EXPECT_EQ(weight_scales(rows, 3, {}, 0.01f), (std::vector<float>{2.0f / 127, 1}));
  EXPECT_EQ(round_to_nearest(rows, 3, std::vector<float>{2.0f / 127, 1}),
            (std::vector<int8_t>{64, -127, 32, 127, 3, -126}));
}

TEST(WeightScales, OfADeadChannel) {
  const std::vector<float> rows{0, 0, 1, 0, 1e-30f, -1e-44f};
  const std::vector<float> scales = weight_scales(rows, 2, std::vector<float>{0, 0, 0}, 0.02f);
  for (const size_t dead : {size_t{0}, size_t{2}}) EXPECT_EQ(scales[dead], 1.0f / 127);
  EXPECT_EQ(round_to_nearest(rows, 2, scales), (std::vector<int8_t>{0, 0, 127, 0, 0, 0}));
}

TEST(WeightScales, LeaveRoomForTheBias) {
  for (const float x_scale : {1e-6f, 0.01f, 3.0f, 1e-30f}) {
    for (const float bias : {1e-3f, 1.0f, -1e6f, 1e12f}) {
      const std::vector<float> rows{0, 0, 0.5f, 0.1f};
      const std::vector<float> scales = weight_scales(rows, 2, std::vector<float>{bias, bias}, x_scale);
      for (const float scale : scales) {
        const double level =
            static_cast<double>(bias) / (static_cast<double>(scale) * static_cast<double>(x_scale));
        EXPECT_LE(std::abs(level), 0x1.00001p30) << bias << " at " << x_scale;
      }
    }
  }
  // No more than that.
  EXPECT_EQ(weight_scales(std::vector<float>{1}, 1, std::vector<float>{100}, 0.01f)[0], 1.0f / 127);
}

TEST(WeightScales, HaveANormalProductWithTheInputs) {
  for (const float x_scale : {std::numeric_limits<float>::min(), 1e-30f, 1e-20f, 1.0f}) {
    for (const float weight : {0.0f, 1e-44f, 1e-15f, 1e-10f, 1.0f}) {
      const float scale = weight_scales(std::vector<float>{weight}, 1, std::vector<float>{0}, x_scale)[0];
      EXPECT_GE(scale * x_scale, std::numeric_limits<float>::min()) << weight << " at " << x_scale;
      EXPECT_LE(std::abs(weight) / scale, 127.001f);
      EXPECT_TRUE(std::isfinite(scale));
    }
  }
}

}  // namespace
}  // namespace xdn::testing
