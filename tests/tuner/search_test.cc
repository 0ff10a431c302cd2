// Searches on surfaces of which everything is known.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <set>

#include "tuner/search.h"

namespace xdn::tuner {
namespace {

/// Settings' times as a tuner meets them: a factor for each value of each axis, a little more for each
/// combination, and measured with noise of some percent, of which one slice in twenty is held up by something
/// else and takes up to three times as long. Candidate 0 are the defaults.
class Surface {
 public:
  explicit Surface(uint64_t seed) : bits_(seed) {
    const int kAxes[] = {3, 10, 2};
    std::vector<std::vector<double>> factors;
    for (const int values : kAxes) {
      factors.emplace_back();
      for (int v = 0; v < values; ++v) factors.back().push_back(std::exp(0.9 * uniform()));
    }
    seconds_.push_back(0);
    for (const double a : factors[0]) {
      for (const double b : factors[1]) {
        for (const double c : factors[2])
          seconds_.push_back(a * b * std::pow(c, 0.2) * std::exp(0.1 * uniform()));
      }
    }
    seconds_[0] = seconds_[1 + bits_() % (seconds_.size() - 1)];
  }

  size_t size() const { return seconds_.size(); }
  double seconds(size_t candidate) const { return seconds_[candidate]; }
  double least() const { return *std::min_element(seconds_.begin(), seconds_.end()); }
  double cost() const { return cost_; }

  Measure measure() {
    return [this](const Request& request) {
      std::vector<Trial> trials(request.candidates.size());
      for (int round = 0; round < request.rounds; ++round) {
        const double reference = slice(0);
        for (size_t i = 0; i < trials.size(); ++i) {
          if (trials[i].ok() && trials[i].ratio() > request.give_up) continue;
          trials[i].seconds.push_back(slice(request.candidates[i]));
          trials[i].reference.push_back(reference);
        }
      }
      return trials;
    };
  }

 private:
  double uniform() { return static_cast<double>(bits_() >> 11) * 0x1p-53; }
  double slice(size_t candidate) {
    double seconds = seconds_[candidate] * (1 + 0.03 * std::fabs(normal_(bits_)));
    if (uniform() < 0.05) seconds *= 1 + 2 * uniform();
    cost_ += seconds;
    return seconds;
  }

  std::mt19937_64 bits_;
  std::normal_distribution<double> normal_;
  std::vector<double> seconds_;
  double cost_ = 0;
};

TEST(Searches, HalvingFindsWhatGridFindsInLessThanASixthOfItsTime) {
  constexpr uint64_t kSurfaces = 50;
  for (uint64_t seed = 1; seed <= kSurfaces; ++seed) {
    Surface for_grid(seed), for_halving(seed);
    const SearchResult grid = grid_search(for_grid.size(), {}, for_grid.measure());
    const SearchResult halving = halving_search(for_halving.size(), {}, for_halving.measure());
    EXPECT_TRUE(grid.complete && halving.complete);
    EXPECT_LE(for_grid.seconds(grid.best), for_grid.least() / 0.98) << "surface " << seed;
    EXPECT_LE(for_halving.seconds(halving.best), for_grid.seconds(grid.best) / 0.98) << "surface " << seed;
    EXPECT_LE(for_halving.cost(), 0.15 * for_grid.cost()) << "surface " << seed;
  }
}

TEST(Searches, GridMeasuresEveryCandidateAlike) {
  Surface surface(1);
  const SearchResult result = grid_search(surface.size(), {}, surface.measure());
  ASSERT_EQ(result.trials.size(), surface.size());
  for (size_t c = 1; c < result.trials.size(); ++c) EXPECT_EQ(result.trials[c].seconds.size(), 40u);
}

TEST(Searches, KeepTheDefaultsWhereNothingBeatsThem) {
  const Measure slower = [](const Request& request) {
    std::vector<Trial> trials;
    for (size_t i = 0; i < request.candidates.size(); ++i) {
      const auto n = static_cast<size_t>(request.rounds);
      trials.push_back({Status::kOk, {}, std::vector<double>(n, 1.1), std::vector<double>(n, 1.0)});
    }
    return trials;
  };
  EXPECT_EQ(grid_search(20, {}, slower).best, 0u);
  EXPECT_EQ(halving_search(20, {}, slower).best, 0u);
  EXPECT_EQ(halving_search(1, {}, slower).best, 0u) << "a space of the defaults alone";
}

TEST(Searches, PassOverWhatFails) {
  for (const bool grid : {true, false}) {
    std::multiset<size_t> asked;
    const Measure measure = [&](const Request& request) {
      std::vector<Trial> trials;
      for (const size_t c : request.candidates) {
        asked.insert(c);
        const auto n = static_cast<size_t>(request.rounds);
        if (c % 3 == 0) {
          trials.push_back({c % 2 == 0 ? Status::kTimeout : Status::kMemory, "gone", {}, {}});
        } else {
          trials.push_back({Status::kOk,
                            {},
                            std::vector<double>(n, 1.0 + static_cast<double>(c) / 100),
                            std::vector<double>(n, 2.0)});
        }
      }
      return trials;
    };
    const SearchResult result = grid ? grid_search(31, {}, measure) : halving_search(31, {}, measure);
    EXPECT_EQ(result.best, 1u);
    for (size_t c = 3; c < 31; c += 3) {
      EXPECT_EQ(asked.count(c), 1u) << "candidate " << c;
      EXPECT_EQ(result.trials[c].status, c % 2 == 0 ? Status::kTimeout : Status::kMemory);
      EXPECT_EQ(result.trials[c].reason, "gone");
    }
  }
}

TEST(Searches, StopWithTheBestSoFar) {
  for (const bool grid : {true, false}) {
    Surface surface(3);
    int requests = 0;
    SearchOptions options;
    options.stopped = [&] { return requests >= 4; };
    const Measure inner = surface.measure();
    const Measure measure = [&](const Request& request) {
      ++requests;
      return inner(request);
    };
    const SearchResult result = grid ? grid_search(surface.size(), options, measure)
                                     : halving_search(surface.size(), options, measure);
    EXPECT_FALSE(result.complete);
    EXPECT_EQ(requests, 4);
    for (size_t c = 1; c < surface.size(); ++c) {
      if (!result.trials[c].ok()) continue;
      EXPECT_LE(result.trials[result.best].ratio(), result.trials[c].ratio());
    }
  }
}

TEST(Searches, ScoresDecide) {
  Surface surface(5);
  SearchOptions options;
  options.score = [](size_t candidate, double ratio) { return candidate == 17 ? ratio / 100 : ratio; };
  EXPECT_EQ(grid_search(surface.size(), options, surface.measure()).best, 17u);
  EXPECT_EQ(halving_search(surface.size(), options, surface.measure()).best, 17u);
}

TEST(Trials, OneSlowSliceDoesNotCount) {
  Trial trial{Status::kOk, {}, {1.0, 9.0, 1.1, 1.0}, {2.0, 2.0, 30.0, 2.1}};
  EXPECT_DOUBLE_EQ(trial.ratio(), 0.5);
  trial.append({Status::kFailed, "x", {}, {}});
  EXPECT_FALSE(trial.ok());
  EXPECT_EQ(trial.ratio(), std::numeric_limits<double>::infinity());
}

TEST(PairedRatios, KnowTheirNoise) {
  std::mt19937_64 bits(1);
  std::normal_distribution<double> normal;
  int outside = 0;
  for (int run = 0; run < 200; ++run) {
    std::vector<double> a, b;
    for (int i = 0; i < 15; ++i) {
      a.push_back(0.9 * (1 + 0.02 * normal(bits)));
      b.push_back(1 + 0.02 * normal(bits));
    }
    a[static_cast<size_t>(run % 15)] *= 5;  // an outlier
    const PairedRatio paired = paired_ratio(a, b);
    EXPECT_NEAR(paired.ratio, 0.9, 0.04);
    outside += std::fabs(paired.ratio - 0.9) > paired.noise;
  }
  EXPECT_LT(outside, 40) << "two standard errors hold most of them";
}

}  // namespace
}  // namespace xdn::tuner
