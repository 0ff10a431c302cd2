#include "quantization/histogram.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"

namespace xdn {
namespace {

constexpr int kLevels = 256;

double clamped_level(double x, const LevelScale& levels) {
  return std::clamp(std::nearbyint(x / static_cast<double>(levels.scale)) + levels.zero_point, 0.0,
                    kLevels - 1.0);
}

/// Sum of squared differences between the numbers and their levels.
double squared_error(const Histogram& histogram, const LevelScale& levels) {
  double sum = 0;
  for (int64_t bin = 0; bin < Histogram::kBins; ++bin) {
    if (histogram.count(bin) == 0) continue;
    const double x = histogram.center(bin);
    const double back = (clamped_level(x, levels) - levels.zero_point) * static_cast<double>(levels.scale);
    sum += static_cast<double>(histogram.count(bin)) * (x - back) * (x - back);
  }
  return sum;
}

/// Divergence of the levels' distribution, spread evenly over the bins that a level stands for and that were
/// seen at all, from the distribution in which clipped numbers count at the outermost levels' bins.
double divergence(const Histogram& histogram, const LevelScale& levels) {
  constexpr auto kBins = static_cast<size_t>(Histogram::kBins);
  std::vector<double> clipped(kBins, 0);
  std::vector<int> level(kBins, 0);
  const double low = -levels.zero_point * static_cast<double>(levels.scale);
  const double high = (kLevels - 1 - levels.zero_point) * static_cast<double>(levels.scale);
  size_t first = kBins, last = 0;
  for (size_t bin = 0; bin < kBins; ++bin) {
    const double x = histogram.center(static_cast<int64_t>(bin));
    level[bin] = static_cast<int>(clamped_level(x, levels));
    if (x < low || x > high) continue;
    first = std::min(first, bin);
    last = std::max(last, bin);
  }
  if (first > last) return std::numeric_limits<double>::infinity();
  std::array<double, kLevels> mass{};
  std::array<int, kLevels> occupied{};
  double total = 0;
  for (size_t bin = 0; bin < kBins; ++bin) {
    const auto count = static_cast<double>(histogram.count(static_cast<int64_t>(bin)));
    clipped[std::clamp(bin, first, last)] += count;
    total += count;
    if (bin < first || bin > last || count == 0) continue;
    // Numbers beyond the range are unknown to the levels: they are what the divergence has to show.
    mass[static_cast<size_t>(level[bin])] += count;
    ++occupied[static_cast<size_t>(level[bin])];
  }
  const double kept = std::accumulate(mass.begin(), mass.end(), 0.0);
  if (kept == 0) return std::numeric_limits<double>::infinity();
  double sum = 0;
  for (size_t bin = first; bin <= last; ++bin) {
    if (clipped[bin] == 0) continue;
    const auto q = static_cast<size_t>(level[bin]);
    const double p = clipped[bin] / total;
    const double seen = histogram.count(static_cast<int64_t>(bin)) > 0 && occupied[q] > 0
                            ? mass[q] / occupied[q] / kept
                            : 1e-12;
    sum += p * std::log(p / seen);
  }
  return sum;
}

/// The shortest range that leaves out at most a share of the numbers at each end that is not 0.
Range percentile_range(const Histogram& histogram, double share) {
  const auto most = static_cast<int64_t>(share * static_cast<double>(histogram.total()));
  const Range seen = histogram.range();
  const double half = (static_cast<double>(seen.high) - static_cast<double>(seen.low)) /
                      static_cast<double>(Histogram::kBins) / 2;
  Range out = seen;
  if (seen.high > 0) {
    int64_t dropped = 0, bin = Histogram::kBins;
    while (bin > 0 && dropped + histogram.count(bin - 1) <= most) dropped += histogram.count(--bin);
    if (bin > 0 && bin < Histogram::kBins)
      out.high = std::max(0.0f, static_cast<float>(histogram.center(bin - 1) + half));
  }
  if (seen.low < 0) {
    int64_t dropped = 0, bin = 0;
    while (bin < Histogram::kBins && dropped + histogram.count(bin) <= most)
      dropped += histogram.count(bin++);
    if (bin > 0 && bin < Histogram::kBins)
      out.low = std::min(0.0f, static_cast<float>(histogram.center(bin) - half));
  }
  return out;
}

template <class Cost>
Range least(const Histogram& histogram, Cost cost) {
  constexpr int kSteps = 100, kFewest = 20;  // down to a fifth of what was seen
  Range best = histogram.range();
  double best_cost = std::numeric_limits<double>::infinity();
  for (int step = kSteps; step >= kFewest; --step) {
    const float factor = static_cast<float>(step) / kSteps;
    const Range range{histogram.range().low * factor, histogram.range().high * factor};
    const double now = cost(histogram, scale_of(range));
    if (now >= best_cost) continue;
    best_cost = now;
    best = range;
  }
  return best;
}

}  // namespace

LevelScale scale_of(Range range) {
  const float low = std::min(range.low, 0.0f), high = std::max(range.high, 0.0f);
  // In double: the extent of a finite range may be beyond float.
  const auto scale =
      static_cast<float>((static_cast<double>(high) - static_cast<double>(low)) / (kLevels - 1));
  // A scale that is no normal number would be flushed to zero.
  if (!(scale >= std::numeric_limits<float>::min()) || !std::isfinite(scale)) return {1.0f / 255, 0};
  return {scale, static_cast<uint8_t>(std::clamp(std::nearbyint(-low / scale), 0.0f, 255.0f))};
}

Histogram::Histogram(Range range) : range_(range) {
  const double width = static_cast<double>(range.high) - static_cast<double>(range.low);
  bins_per_unit_ = width > 0 ? static_cast<double>(kBins) / width : 0;
}

void Histogram::add(const float* values, int64_t count) {
  const auto low = static_cast<double>(range_.low);
  for (int64_t i = 0; i < count; ++i) {
    if (values[i] == 0) {
      ++zeros_;
      continue;
    }
    const double at = (static_cast<double>(values[i]) - low) * bins_per_unit_;
    ++counts_[static_cast<size_t>(std::clamp(at, 0.0, kBins - 1.0))];
  }
}

void Histogram::merge(const Histogram& other) {
  XDN_CHECK(range_ == other.range_);
  zeros_ += other.zeros_;
  for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
}

int64_t Histogram::total() const { return std::accumulate(counts_.begin(), counts_.end(), zeros_); }

double Histogram::center(int64_t bin) const {
  const auto low = static_cast<double>(range_.low), high = static_cast<double>(range_.high);
  return low + (static_cast<double>(bin) + 0.5) * (high - low) / static_cast<double>(kBins);
}

const char* range_method_name(RangeMethod method) { return kRangeMethods[static_cast<size_t>(method)]; }

std::optional<RangeMethod> parse_range_method(const std::string& name) {
  for (size_t i = 0; i < kRangeMethods.size(); ++i) {
    if (name == kRangeMethods[i]) return static_cast<RangeMethod>(i);
  }
  return std::nullopt;
}

Range choose_range(const Histogram& histogram, RangeMethod method) {
  constexpr double kOutside = 1e-4;
  switch (method) {
    case RangeMethod::kPercentile:
      return percentile_range(histogram, kOutside);
    case RangeMethod::kMse:
      return least(histogram, squared_error);
    case RangeMethod::kEntropy:
      return least(histogram, divergence);
    case RangeMethod::kMinMax:
      break;
  }
  return histogram.range();
}

}  // namespace xdn
