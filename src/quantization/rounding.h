#pragma once

#include <span>
#include <vector>

#include "quantization/insert_qdq.h"
#include "quantization/moments.h"

namespace xdn {

/// Scales of 127 levels to the largest weight of each row of k; a floor keeps rows of (almost) zeros and
/// biases that would not fit into 31 bits of x_scale * scale representable.
std::vector<float> weight_scales(std::span<const float> rows, int64_t k, std::span<const float> bias,
                                 float x_scale);

/// Rounds each weight to its nearest level.
std::vector<int8_t> round_to_nearest(std::span<const float> rows, int64_t k, std::span<const float> scales);

/// What rounding did.
struct RoundedWeights {
  std::vector<int8_t> levels;
  /// Mean over the samples and output channels of the squared error in the outputs, means apart, with
  /// round_to_nearest and with these levels; 0 without a covariance.
  double nearest_error = 0, error = 0;
};

/// Rounds each weight up or down so that the layer's outputs change least: the quadratic objective of
/// AdaRound (Nagel et al., "Up or Down? Adaptive Rounding for Post-Training Quantization", ICML 2020, eq.
/// 12),
///   minimise d' C d for each row, d = levels - weights / scale, C the inputs' covariance,
/// by coordinate descent from the nearest levels until no single flip helps (`sweeps` 0: those). The mean's
/// share is left to mean_shift(). Without a covariance it is round_to_nearest. `rows` are oc x k.
RoundedWeights round_by_least_squares(std::span<const float> rows, int64_t k, std::span<const float> scales,
                                      int64_t groups, const InputMoments& moments, int sweeps = 20);

/// What the levels' outputs exceed the weights' by, on average; to be subtracted from the bias (Nagel et al.,
/// "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019, eq. 17, with the mean
/// input as measured).
std::vector<float> mean_shift(std::span<const float> rows, std::span<const int8_t> levels, int64_t k,
                              std::span<const float> scales, int64_t groups, const InputMoments& moments);

/// Variance over the samples of the layer's outputs, mean over at most 16 of its channels; 0 without a
/// covariance.
double output_variance(std::span<const float> rows, int64_t k, int64_t oc, int64_t groups,
                       const InputMoments& moments);

}  // namespace xdn
