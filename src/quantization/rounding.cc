#include "quantization/rounding.h"

#include <algorithm>
#include <cmath>

#include "quantization/matrix.h"

namespace xdn {
namespace {

constexpr float kMostLevel = 127;

int8_t nearest(float x) {
  return static_cast<int8_t>(std::clamp(std::nearbyint(x), -kMostLevel, kMostLevel));
}

/// One output channel's rounding errors on the live inputs, in steps of its scale, and the products of the
/// covariance with them.
struct Row {
  float* error;
  float* gradient;
  const float* covariance;
  size_t n;

  double objective() const {
    double sum = 0;
    for (size_t i = 0; i < n; ++i) sum += static_cast<double>(error[i]) * static_cast<double>(gradient[i]);
    return sum;
  }

  /// Moves levels to their weight's other neighbour where that lowers the objective; how many moved.
  int sweep(int8_t* levels, const std::vector<int32_t>& live) {
    // Gains in the noise of float sums would flip for ever.
    constexpr float kLeastGain = 1e-3f;
    int flips = 0;
    for (size_t i = 0; i < n; ++i) {
      const float step = error[i] > 0 ? -1.0f : 1.0f;
      const float* row = covariance + i * n;
      if (error[i] == 0 || 2 * step * gradient[i] + row[i] >= -kLeastGain * row[i]) continue;
      int8_t& level = levels[live[i]];
      const float moved = static_cast<float>(level) + step;
      if (std::abs(moved) > kMostLevel) continue;
      level = static_cast<int8_t>(moved);
      error[i] += step;
      for (size_t j = 0; j < n; ++j) gradient[j] += step * row[j];
      ++flips;
    }
    return flips;
  }
};

}  // namespace

std::vector<float> weight_scales(std::span<const float> rows, int64_t k, std::span<const float> bias,
                                 float x_scale) {
  const size_t oc = rows.size() / static_cast<size_t>(k);
  std::vector<float> scales(oc, 0);
  for (size_t j = 0; j < oc; ++j) {
    for (const float w : rows.subspan(j * static_cast<size_t>(k), static_cast<size_t>(k)))
      scales[j] = std::max(scales[j], std::abs(w) / kMostLevel);
    constexpr float kMostBias = 0x1p30f;
    if (!bias.empty()) scales[j] = std::max(scales[j], std::abs(bias[j]) / (x_scale * kMostBias));
    if (!(scales[j] > 0x1p-60f)) scales[j] = 1.0f / kMostLevel;
    // Below, the bias's scale would be denormal or zero.
    constexpr float kLeastProduct = 0x1p-120f;
    scales[j] = std::max(scales[j], kLeastProduct / x_scale);
  }
  return scales;
}

std::vector<int8_t> round_to_nearest(std::span<const float> rows, int64_t k, std::span<const float> scales) {
  std::vector<int8_t> levels(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) levels[i] = nearest(rows[i] / scales[i / static_cast<size_t>(k)]);
  return levels;
}

RoundedWeights round_by_least_squares(std::span<const float> rows, int64_t k, std::span<const float> scales,
                                      int64_t groups, const InputMoments& moments, int sweeps) {
  RoundedWeights out{round_to_nearest(rows, k, scales), 0, 0};
  if (moments.covariance.empty()) return out;
  const auto oc = static_cast<int64_t>(scales.size());
  const int64_t n = moments.size, per_group = oc / groups;
  std::vector<float> errors(static_cast<size_t>(per_group * n)), gradients, scratch;
  for (int64_t g = 0; g < groups; ++g) {
    for (int64_t j = 0; j < per_group; ++j) {
      const int64_t first = (g * per_group + j) * k;
      const float scale = scales[static_cast<size_t>(g * per_group + j)];
      for (int64_t i = 0; i < n; ++i) {
        const auto at = static_cast<size_t>(first + moments.live[static_cast<size_t>(i)]);
        errors[static_cast<size_t>(j * n + i)] = static_cast<float>(out.levels[at]) - rows[at] / scale;
      }
    }
    const float* covariance = moments.covariance.data() + g * n * n;
    gradients.assign(errors.size(), 0.0f);
    add_product(gradients.data(), n, {errors.data(), per_group, n, n}, {covariance, n, n, n}, false, scratch);
    for (int64_t j = 0; j < per_group; ++j) {
      const auto channel = static_cast<size_t>(g * per_group + j);
      Row row{errors.data() + j * n, gradients.data() + j * n, covariance, static_cast<size_t>(n)};
      const double square = static_cast<double>(scales[channel]) * static_cast<double>(scales[channel]);
      out.nearest_error += row.objective() * square / static_cast<double>(oc);
      int8_t* levels = out.levels.data() + channel * static_cast<size_t>(k);
      for (int sweep = 0; sweep < sweeps && row.sweep(levels, moments.live) > 0; ++sweep) {
      }
      out.error += row.objective() * square / static_cast<double>(oc);
    }
  }
  return out;
}

std::vector<float> mean_shift(std::span<const float> rows, std::span<const int8_t> levels, int64_t k,
                              std::span<const float> scales, int64_t groups, const InputMoments& moments) {
  const auto oc = static_cast<int64_t>(scales.size());
  std::vector<float> shift(scales.size());
  for (int64_t j = 0; j < oc; ++j) {
    const float* mean = moments.mean.data() + j * groups / oc * moments.size;
    const auto scale = static_cast<double>(scales[static_cast<size_t>(j)]);
    double sum = 0;
    for (int64_t i = 0; i < moments.size; ++i) {
      const auto at = static_cast<size_t>(j * k + moments.live[static_cast<size_t>(i)]);
      sum += (levels[at] * scale - static_cast<double>(rows[at])) * static_cast<double>(mean[i]);
    }
    shift[static_cast<size_t>(j)] = static_cast<float>(sum);
  }
  return shift;
}

double output_variance(std::span<const float> rows, int64_t k, int64_t oc, int64_t groups,
                       const InputMoments& moments) {
  if (moments.covariance.empty()) return 0;
  const int64_t n = moments.size, channels = std::min<int64_t>(oc, 16);
  double sum = 0;
  for (int64_t c = 0; c < channels; ++c) {
    const int64_t j = c * oc / channels;
    const float* covariance = moments.covariance.data() + j * groups / oc * n * n;
    const auto weight = [&](int64_t i) {
      return rows[static_cast<size_t>(j * k + moments.live[static_cast<size_t>(i)])];
    };
    for (int64_t i = 0; i < n; ++i) {
      float product = 0;
      for (int64_t l = 0; l < n; ++l) product += covariance[i * n + l] * weight(l);
      sum += static_cast<double>(product) * static_cast<double>(weight(i));
    }
  }
  return sum / static_cast<double>(channels);
}

}  // namespace xdn
