#include "training/augment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "support/guarded.h"

namespace xdn::testing {
namespace {

using training::Augmentation;
using training::ImageSet;
using training::PixelTransform;
using training::Random;

constexpr int64_t kHeight = 6, kWidth = 5, kBytes = kHeight * kWidth * 3;

struct Image {
  Guarded<uint8_t> pixels{kBytes};
  int64_t label = 0;
  Image() {
    for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(10 + 7 * i % 240);
  }
  ImageSet set() { return {pixels.data(), std::span<const int64_t>(&label, 1), kHeight, kWidth}; }
  float value(const Preprocess& p, int64_t y, int64_t x, size_t c) {
    const auto byte = pixels[static_cast<size_t>((y * kWidth + x) * 3) + (p.bgr ? 2 - c : c)];
    return (static_cast<float>(byte) * p.scale - p.mean[c]) / p.std[c];
  }
};

Preprocess some_preprocess(bool bgr) {
  Preprocess p;
  p.bgr = bgr;
  p.scale = 1.0f / 255;
  p.mean = {0.5f, 0.4f, 0.3f};
  p.std = {0.2f, 0.25f, 0.3f};
  return p;
}

TEST(PixelTransform, NormalisesInTheModelsChannelOrder) {
  for (const bool bgr : {false, true}) {
    Image image;
    const Preprocess p = some_preprocess(bgr);
    GuardedFloats out(kBytes);
    PixelTransform(p, kWidth).apply(image.set(), 0, out.data());
    for (int64_t y = 0; y < kHeight; ++y) {
      for (int64_t x = 0; x < kWidth; ++x) {
        for (size_t c = 0; c < 3; ++c) {
          EXPECT_NEAR(out[static_cast<size_t>((y * kWidth + x) * 3) + c], image.value(p, y, x, c), 2e-6);
        }
      }
    }
  }
}

TEST(PixelTransform, Bf16IsTheRoundedF32) {
  Image image;
  const PixelTransform transform(some_preprocess(false), kWidth);
  GuardedFloats wide(kBytes);
  Guarded<BFloat16> narrow(kBytes);
  transform.apply(image.set(), 0, wide.data());
  transform.apply(image.set(), 0, narrow.data());
  for (size_t i = 0; i < wide.size(); ++i) EXPECT_EQ(narrow[i].bits, BFloat16(wide[i]).bits);
}

/// Every augmented image is one of those that crop, flip and cutout can make, found by trying all of them.
TEST(PixelTransform, AugmentationsAreShiftsMirrorsAndSquares) {
  Image image;
  const Preprocess p = some_preprocess(true);
  const PixelTransform transform(p, kWidth);
  const Augmentation augmentation{.crop = 2, .flip = true, .cutout = 3};
  std::set<std::tuple<bool, int64_t, int64_t>> seen;
  for (uint64_t epoch = 0; epoch < 400; ++epoch) {
    GuardedFloats out(kBytes);
    transform.apply(image.set(), 0, augmentation, Random(1, epoch, 0), out.data());
    int matches = 0;
    for (const bool flip : {false, true}) {
      for (int64_t dy = -2; dy <= 2; ++dy) {
        for (int64_t dx = -2; dx <= 2; ++dx) {
          int64_t differences = 0, top = kHeight, bottom = -1, left = kWidth, right = -1;
          bool zeros = true;
          for (int64_t y = 0; y < kHeight; ++y) {
            for (int64_t x = 0; x < kWidth; ++x) {
              const int64_t sy = y + dy, sx = x + dx;
              const bool inside = sy >= 0 && sy < kHeight && sx >= 0 && sx < kWidth;
              bool same = true, zero = true;
              for (size_t c = 0; c < 3; ++c) {
                const float got = out[static_cast<size_t>((y * kWidth + x) * 3) + c];
                const float expected = inside ? image.value(p, sy, flip ? kWidth - 1 - sx : sx, c) : 0.0f;
                same = same && std::abs(got - expected) < 2e-6f;
                zero = zero && got == 0;
              }
              if (same) continue;
              ++differences;
              zeros = zeros && zero;
              top = std::min(top, y);
              bottom = std::max(bottom, y);
              left = std::min(left, x);
              right = std::max(right, x);
            }
          }
          if (zeros && (differences == 0 || (bottom - top < 3 && right - left < 3))) {
            ++matches;
            if (matches == 1) seen.insert({flip, dy, dx});
          }
        }
      }
    }
    ASSERT_GE(matches, 1) << "epoch " << epoch;
  }
  EXPECT_EQ(seen.size(), 50u);  // both mirrors times 5 x 5 shifts
}

TEST(PixelTransform, EqualKeysGiveEqualImages) {
  Image image;
  const PixelTransform transform(some_preprocess(false), kWidth);
  const Augmentation augmentation{.crop = 2, .flip = true, .cutout = 2};
  const auto make = [&](uint64_t seed, uint64_t epoch, uint64_t index) {
    std::vector<float> out(kBytes);
    transform.apply(image.set(), 0, augmentation, Random(seed, epoch, index), out.data());
    return out;
  };
  EXPECT_EQ(make(1, 2, 3), make(1, 2, 3));
  int different = 0;
  for (uint64_t i = 0; i < 20; ++i) {
    different += (make(1, 2, i) != make(1, 3, i)) + (make(1, 2, i) != make(2, 2, i)) +
                 (make(1, 2, i) != make(1, 2, i + 1));
  }
  EXPECT_GT(different, 50);
}

TEST(Random, BelowIsEven) {
  Random random(5, 0, 0);
  std::vector<int> counts(3);
  for (int i = 0; i < 30000; ++i) ++counts[random.below(3)];
  for (const int count : counts) EXPECT_NEAR(count, 10000, 400);
}

TEST(PixelStatistics, AreThoseOfAllPixels) {
  std::vector<uint8_t> pixels{0, 51, 10, 255, 51, 20, 0, 51, 30, 255, 51, 40};
  const std::vector<int64_t> labels{0};
  const auto s = training::pixel_statistics({pixels.data(), labels, 2, 2});
  EXPECT_NEAR(s.mean[0], 0.5, 1e-6);
  EXPECT_NEAR(s.mean[1], 0.2, 1e-6);
  EXPECT_NEAR(s.mean[2], 25.0 / 255, 1e-6);
  EXPECT_NEAR(s.std[0], 0.5, 1e-6);
  EXPECT_NEAR(s.std[1], 1.0 / 255, 1e-6);  // a channel of one value is not divided by zero
  EXPECT_NEAR(s.std[2], std::sqrt(125.0) / 255, 1e-6);
}

}  // namespace
}  // namespace xdn::testing
