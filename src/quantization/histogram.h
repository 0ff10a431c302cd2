#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace xdn {

/// An interval of real numbers: what a value was seen to hold, or what its 256 levels shall span.
struct Range {
  float low = 0, high = 0;
  bool operator==(const Range&) const = default;
};

/// Scale and zero point of u8 levels: (q - zero_point) * scale.
struct LevelScale {
  float scale = 1;
  uint8_t zero_point = 0;
  bool operator==(const LevelScale&) const = default;
};
/// The 256 levels that span the range and 0, which is a level itself, so that padding is exact.
LevelScale scale_of(Range range);

/// How numbers spread over a range that is known: counts in kBins equal bins, exact zeros apart (most of what
/// a ReLU lets through; every choice of levels represents them exactly).
class Histogram {
 public:
  static constexpr int64_t kBins = 2048;

  Histogram() = default;
  explicit Histogram(Range range);
  /// Numbers outside the range count at its ends; NaN must not occur.
  void add(const float* values, int64_t count);
  void merge(const Histogram& other);

  Range range() const { return range_; }
  int64_t zeros() const { return zeros_; }
  int64_t count(int64_t bin) const { return counts_[static_cast<size_t>(bin)]; }
  /// All numbers, zeros included.
  int64_t total() const;
  double center(int64_t bin) const;

 private:
  Range range_;
  double bins_per_unit_ = 0;
  int64_t zeros_ = 0;
  std::vector<int64_t> counts_ = std::vector<int64_t>(kBins, 0);
};

/// How the range of an activation's levels follows from what was seen.
///   minmax      all of it
///   percentile  all but one in 10,000 numbers at each end that is not 0
///   mse         the one whose levels have the least mean squared error, clipping included
///   entropy     the one whose levels' distribution has the least Kullback-Leibler divergence from what was
///               seen (Migacz, "8-bit inference with TensorRT", 2017)
/// The last two try the seen range and shorter ones, both ends being drawn in by the same factor.
enum class RangeMethod : uint8_t { kMinMax, kPercentile, kMse, kEntropy };
inline constexpr std::array kRangeMethods{"minmax", "percentile", "mse", "entropy"};
const char* range_method_name(RangeMethod method);
std::optional<RangeMethod> parse_range_method(const std::string& name);

Range choose_range(const Histogram& histogram, RangeMethod method);

}  // namespace xdn
