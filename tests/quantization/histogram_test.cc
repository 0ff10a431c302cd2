// Levels of a range, what is counted, and the range that each method makes of it.

#include "quantization/histogram.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "support/guarded.h"

namespace xdn::testing {
namespace {

constexpr float kMost = std::numeric_limits<float>::max();
constexpr float kTiniest = std::numeric_limits<float>::denorm_min();

double number_of(const LevelScale& levels, int level) {
  return (level - static_cast<int>(levels.zero_point)) * static_cast<double>(levels.scale);
}

TEST(LevelScales, SpanTheRangeAndZero) {
  EXPECT_EQ(scale_of({0, 255}), (LevelScale{1, 0}));
  EXPECT_EQ(scale_of({-255, 0}), (LevelScale{1, 255}));
  EXPECT_EQ(scale_of({-100, 155}), (LevelScale{1, 100}));
  // Ranges on one side of 0 are widened to it.
  EXPECT_EQ(scale_of({3, 510}), (LevelScale{2, 0}));
  EXPECT_EQ(scale_of({-510, -3}), (LevelScale{2, 255}));
  Uniform uniform(1);
  for (int i = 0; i < 1000; ++i) {
    const float a = uniform() * 10, b = uniform() * 10;
    const Range range{std::min(a, b), std::max(a, b)};
    const LevelScale levels = scale_of(range);
    // The ends are at most half a level away: the zero point was rounded.
    EXPECT_NEAR(number_of(levels, 0), std::min(range.low, 0.0f), 0.501 * static_cast<double>(levels.scale));
    EXPECT_NEAR(number_of(levels, 255), std::max(range.high, 0.0f),
                0.501 * static_cast<double>(levels.scale));
  }
}

TEST(LevelScales, OfRangesWithoutExtent) {
  for (const Range range : {Range{0, 0}, Range{-0.0f, 0}, Range{0, kTiniest}, Range{-kTiniest, kTiniest},
                            Range{0, 1e-38f}, Range{-1e-40f, 0}}) {
    const LevelScale levels = scale_of(range);
    EXPECT_EQ(levels.scale, 1.0f / 255) << range.low << " " << range.high;
    EXPECT_EQ(levels.zero_point, 0);
  }
  // The last that are normal.
  const LevelScale small = scale_of({0, 255 * std::numeric_limits<float>::min()});
  EXPECT_EQ(small.scale, std::numeric_limits<float>::min());
}

TEST(LevelScales, OfHugeRanges) {
  for (const Range range : {Range{0, kMost}, Range{-kMost, 0}, Range{-kMost, kMost}, Range{-3e38f, 1e38f}}) {
    const LevelScale levels = scale_of(range);
    EXPECT_TRUE(std::isfinite(levels.scale));
    const double step = static_cast<double>(levels.scale);
    EXPECT_NEAR(number_of(levels, 0), static_cast<double>(range.low), 0.51 * step);
    EXPECT_NEAR(number_of(levels, 255), static_cast<double>(range.high), 0.51 * step);
  }
}

TEST(Counts, FallIntoTheirBins) {
  Histogram histogram(Range{-1, 1});
  // Both ends, one below each border, the middle, what lies outside, and two kinds of zero.
  const float width = 2.0f / Histogram::kBins;
  const std::vector<float> values{-1,    -1 + 0.5f * width, -1 + width, 1, 1 - width, 5, -5, 0,
                                  -0.0f, 0.5f * width};
  histogram.add(values.data(), static_cast<int64_t>(values.size()));
  EXPECT_EQ(histogram.count(0), 3);
  EXPECT_EQ(histogram.count(1), 1);
  EXPECT_EQ(histogram.count(Histogram::kBins - 1), 3);
  EXPECT_EQ(histogram.count(Histogram::kBins / 2), 1);
  EXPECT_EQ(histogram.zeros(), 2);
  EXPECT_EQ(histogram.total(), 10);
  EXPECT_NEAR(histogram.center(0), -1 + 1.0 / Histogram::kBins, 1e-12);
  EXPECT_NEAR(histogram.center(Histogram::kBins - 1), 1 - 1.0 / Histogram::kBins, 1e-12);
}

TEST(Counts, OfExtremeRanges) {
  Histogram point(Range{3, 3});
  const std::vector<float> threes(7, 3.0f);
  point.add(threes.data(), 7);
  EXPECT_EQ(point.count(0), 7);

  Histogram huge(Range{-kMost, kMost});
  const std::vector<float> ends{-kMost, kMost, kMost / 2};
  huge.add(ends.data(), 3);
  EXPECT_EQ(huge.count(0), 1);
  EXPECT_EQ(huge.count(Histogram::kBins - 1), 1);
  EXPECT_EQ(huge.count(Histogram::kBins * 3 / 4), 1);

  Histogram tiny(Range{0, kTiniest});
  tiny.add(&kTiniest, 1);
  EXPECT_EQ(tiny.count(Histogram::kBins - 1), 1);
}

TEST(Counts, MergeIsTheSum) {
  Uniform uniform(3);
  std::vector<float> values(3000);
  for (float& x : values) x = uniform.bits() % 5 == 0 ? 0.0f : uniform();
  const Range range{-1, 1};
  Histogram all(range), first(range), rest(range);
  all.add(values.data(), 3000);
  first.add(values.data(), 1234);
  rest.add(values.data() + 1234, 3000 - 1234);
  first.merge(rest);
  EXPECT_EQ(first.zeros(), all.zeros());
  EXPECT_EQ(first.total(), 3000);
  for (int64_t bin = 0; bin < Histogram::kBins; ++bin) ASSERT_EQ(first.count(bin), all.count(bin)) << bin;
}

Histogram histogram_of(const std::vector<float>& values) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  Histogram histogram(Range{*low, *high});
  histogram.add(values.data(), static_cast<int64_t>(values.size()));
  return histogram;
}

std::vector<float> uniform_numbers(size_t count, float low, float high, uint64_t seed) {
  Uniform uniform(seed);
  std::vector<float> out(count);
  for (float& x : out) x = low + (high - low) * (uniform() + 1) / 2;
  return out;
}

/// Most near 0, a few far away: a ratio of sums of uniform numbers.
std::vector<float> heavy_tailed(size_t count, uint64_t seed) {
  Uniform uniform(seed);
  std::vector<float> out(count);
  for (float& x : out) {
    const float u = uniform();
    x = u / (1.02f - std::fabs(u)) * 0.1f;
    x = x * x * x;
  }
  return out;
}

constexpr RangeMethod kMethods[] = {RangeMethod::kMinMax, RangeMethod::kPercentile, RangeMethod::kMse,
                                    RangeMethod::kEntropy};

TEST(Methods, HaveNames) {
  for (const RangeMethod method : kMethods) EXPECT_EQ(parse_range_method(range_method_name(method)), method);
  EXPECT_EQ(parse_range_method("maxmin"), std::nullopt);
  EXPECT_EQ(parse_range_method(""), std::nullopt);
}

TEST(MinMax, IsWhatWasSeen) {
  const Histogram histogram = histogram_of({-3.25f, 0, 1, 8.5f});
  EXPECT_EQ(choose_range(histogram, RangeMethod::kMinMax), (Range{-3.25f, 8.5f}));
}

TEST(Percentile, DropsTheOutliersAndNoMore) {
  // Of 100,000 numbers at each end at most 10 may go.
  std::vector<float> values = uniform_numbers(99985, -1, 1, 5);
  values.insert(values.end(), 9, 100.0f);
  values.insert(values.end(), 6, -50.0f);
  const Range range = choose_range(histogram_of(values), RangeMethod::kPercentile);
  const float bin = 150.0f / Histogram::kBins;
  EXPECT_LE(range.high, 1 + bin);
  EXPECT_GE(range.high, 0.9f);
  EXPECT_GE(range.low, -1 - bin);
  EXPECT_LE(range.low, -0.9f);

  values.insert(values.end(), 2, 100.0f);  // eleven: one too many
  const Range kept = choose_range(histogram_of(values), RangeMethod::kPercentile);
  EXPECT_EQ(kept.high, 100);
  EXPECT_LE(kept.low, -0.9f);
  EXPECT_GE(kept.low, -1 - bin);
}

TEST(Percentile, ZerosCountAmongTheNumbers) {
  std::vector<float> values(99990, 0.0f);
  values.insert(values.end(), 10, 1.0f);
  values.push_back(0.25f);
  // The ten largest may go; 0.25 is then the largest.
  const Range range = choose_range(histogram_of(values), RangeMethod::kPercentile);
  EXPECT_NEAR(range.high, 0.25f, 1.0f / Histogram::kBins);
  EXPECT_EQ(range.low, 0);
}

/// The mean squared error of the numbers themselves, not of their bins.
double true_error(const std::vector<float>& values, Range range) {
  const LevelScale levels = scale_of(range);
  double sum = 0;
  for (const float x : values) {
    const double q = std::clamp(
        std::nearbyint(static_cast<double>(x) / static_cast<double>(levels.scale)) + levels.zero_point, 0.0,
        255.0);
    const double back = (q - levels.zero_point) * static_cast<double>(levels.scale);
    sum += (static_cast<double>(x) - back) * (static_cast<double>(x) - back);
  }
  return sum / static_cast<double>(values.size());
}

std::vector<std::vector<float>> distributions() {
  std::vector<std::vector<float>> out{uniform_numbers(20000, -1, 1, 1), uniform_numbers(20000, 0, 6, 2),
                                      uniform_numbers(20000, 4, 9, 3), uniform_numbers(20000, -3, -1, 4),
                                      heavy_tailed(20000, 5)};
  std::vector<float> rectified = heavy_tailed(20000, 6);
  for (float& x : rectified) x = std::max(x, 0.0f);
  out.push_back(std::move(rectified));
  std::vector<float> outlier = uniform_numbers(20000, -0.3f, 1, 7);
  outlier.push_back(7);
  out.push_back(std::move(outlier));
  return out;
}

TEST(Mse, HasTheLeastErrorOfTheCandidates) {
  for (const std::vector<float>& values : distributions()) {
    const Histogram histogram = histogram_of(values);
    const Range seen = histogram.range(), chosen = choose_range(histogram, RangeMethod::kMse);
    double least = std::numeric_limits<double>::infinity();
    bool candidate = false;
    for (int step = 100; step >= 20; --step) {
      const float factor = static_cast<float>(step) / 100;
      const Range range{seen.low * factor, seen.high * factor};
      candidate = candidate || range == chosen;
      least = std::min(least, true_error(values, range));
    }
    EXPECT_TRUE(candidate) << chosen.low << " " << chosen.high;
    // Numbers stand half a bin beside its centre at most; there are 8 bins to a level.
    EXPECT_LE(true_error(values, chosen), 1.03 * least + 1e-12) << seen.low << " " << seen.high;
  }
}

TEST(Mse, ShortensForAnOutlierOnly) {
  std::vector<float> values = uniform_numbers(1000000, 0, 1, 1);
  EXPECT_GE(choose_range(histogram_of(values), RangeMethod::kMse).high, 0.98f);
  values.push_back(2);  // costs a millionth, half the step saves four
  EXPECT_LE(choose_range(histogram_of(values), RangeMethod::kMse).high, 1.1f);
}

TEST(Entropy, ShortensHeavyTailsAndNotTheUniform) {
  const std::vector<float> even = uniform_numbers(200000, -1, 1, 9);
  const Histogram uniform = histogram_of(even);
  EXPECT_GE(choose_range(uniform, RangeMethod::kEntropy).high, 0.98f * uniform.range().high);
  const Histogram heavy = histogram_of(heavy_tailed(200000, 10));
  EXPECT_LE(choose_range(heavy, RangeMethod::kEntropy).high, 0.7f * heavy.range().high);
}

TEST(Methods, KeepZeroAndStayInsideWhatWasSeen) {
  std::vector<std::vector<float>> all = distributions();
  all.push_back({0, 0, 0});
  all.push_back({5});
  all.push_back({-5});
  all.push_back({kTiniest, 0});
  all.push_back({-kMost, kMost, 1});
  for (const std::vector<float>& values : all) {
    const Histogram histogram = histogram_of(values);
    for (const RangeMethod method : kMethods) {
      const Range range = choose_range(histogram, method);
      EXPECT_TRUE(std::isfinite(range.low) && std::isfinite(range.high)) << range_method_name(method);
      EXPECT_LE(range.low, range.high) << range_method_name(method);
      EXPECT_GE(range.low, std::min(histogram.range().low, 0.0f)) << range_method_name(method);
      EXPECT_LE(range.high, std::max(histogram.range().high, 0.0f)) << range_method_name(method);
      const LevelScale levels = scale_of(range);
      EXPECT_EQ(number_of(levels, levels.zero_point), 0);
      EXPECT_LE(number_of(levels, 0), 0);
      EXPECT_GE(number_of(levels, 255), 0);
    }
  }
}

}  // namespace
}  // namespace xdn::testing
