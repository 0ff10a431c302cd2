#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "data/npy.h"
#include "data/preprocess.h"

namespace xdn::testing {

// Unoptimized and sanitized builds take the reference executor half a second and more per ResNet-50 image.
#ifdef NDEBUG
inline constexpr int64_t kGoldenImages = 64;
#else
inline constexpr int64_t kGoldenImages = 4;
#endif

/// The first `count` golden images as the input, n c h w, of a model with this preprocessing.
inline Tensor golden_input(const std::filesystem::path& models, const Preprocess& preprocess, int64_t count) {
  const Tensor images = read_npy((models / "resnet50-cifar10" / "golden_images.npy").string());
  const int64_t h = images.dim(1), w = images.dim(2), c = images.dim(3);
  Tensor out(DType::kF32, {count, c, h, w});
  const auto src = images.data<uint8_t>();
  const auto dst = out.mutable_data<float>();
  for (int64_t n = 0; n < count; ++n) {
    for (int64_t k = 0; k < c; ++k) {
      const auto channel = static_cast<size_t>(preprocess.bgr ? c - 1 - k : k);
      for (int64_t p = 0; p < h * w; ++p) {
        const auto from = static_cast<size_t>((n * h * w + p) * c) + channel;
        const auto to = static_cast<size_t>((n * c + k) * h * w + p);
        dst[to] =
            (static_cast<float>(src[from]) * preprocess.scale - preprocess.mean[static_cast<size_t>(k)]) /
            preprocess.std[static_cast<size_t>(k)];
      }
    }
  }
  return out;
}

/// Every element of `found` is within tolerance * max|expected| of the one at its place; `expected` may hold
/// more rows.
inline void expect_close_to_largest(const Tensor& found, const Tensor& expected, double tolerance) {
  ASSERT_LE(found.size(), expected.size());
  double most = 0, worst = 0;
  for (int64_t i = 0; i < expected.size(); ++i) most = std::max(most, std::abs(expected.as_double(i)));
  for (int64_t i = 0; i < found.size(); ++i) {
    const double difference = std::abs(found.as_double(i) - expected.as_double(i));
    worst = std::isnan(difference) ? difference : std::max(worst, difference);
    if (std::isnan(worst)) break;
  }
  EXPECT_LE(worst, tolerance * most) << "largest difference, of values up to " << most;
}

}  // namespace xdn::testing
