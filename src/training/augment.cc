#include "training/augment.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/error.h"

namespace xdn::training {
namespace {

constexpr int64_t kChannels = 3;

void put(float value, float* dst) { *dst = value; }

/// As BFloat16's own conversion, for numbers that are no NaN; without branches, so that loops become vectors.
void put(float value, BFloat16* dst) {
  const auto bits = std::bit_cast<uint32_t>(value);
  dst->bits = static_cast<uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

template <class Element>
void convert(const uint8_t* __restrict src, const float* __restrict scale, const float* __restrict shift,
             int64_t count, Element* __restrict dst) {
  for (int64_t i = 0; i < count; ++i) put(static_cast<float>(src[i]) * scale[i] + shift[i], dst + i);
}

}  // namespace

PixelTransform::PixelTransform(const Preprocess& preprocess, int64_t width)
    : width_(width),
      bgr_(preprocess.bgr),
      scale_(static_cast<size_t>(width * kChannels)),
      shift_(scale_.size()) {
  for (size_t i = 0; i < scale_.size(); ++i) {
    const size_t c = i % kChannels;
    const double std = preprocess.std[c];
    scale_[i] = static_cast<float>(preprocess.scale / std);
    shift_[i] = static_cast<float>(-preprocess.mean[c] / std);
  }
}

const uint8_t* PixelTransform::row(const uint8_t* src, bool flip, uint8_t* scratch) const {
  if (!flip && !bgr_) return src;
  const size_t red = bgr_ ? 2 : 0, blue = 2 - red;
  for (int64_t x = 0; x < width_; ++x) {
    const uint8_t* pixel = src + kChannels * (flip ? width_ - 1 - x : x);
    uint8_t* out = scratch + kChannels * x;
    out[0] = pixel[red];
    out[1] = pixel[1];
    out[2] = pixel[blue];
  }
  return scratch;
}

template <class Element>
void PixelTransform::apply(const ImageSet& images, int64_t index, Element* dst) const {
  apply(images, index, Augmentation{}, Random(0, 0, 0), dst);
}

template <class Element>
void PixelTransform::apply(const ImageSet& images, int64_t index, const Augmentation& augmentation,
                           Random random, Element* dst) const {
  XDN_CHECK(images.width == width_);
  const int64_t height = images.height, stride = width_ * kChannels;
  const bool flip = augmentation.flip && (random.bits() >> 63) != 0;
  const int64_t dy = augmentation.crop == 0 ? 0 : random.between(-augmentation.crop, augmentation.crop);
  const int64_t dx = augmentation.crop == 0 ? 0 : random.between(-augmentation.crop, augmentation.crop);
  const int64_t left = std::clamp<int64_t>(-dx, 0, width_),
                right = std::clamp<int64_t>(width_ - dx, left, width_);
  thread_local std::vector<uint8_t> scratch;
  scratch.resize(static_cast<size_t>(stride));
  const uint8_t* src = images.image(index);
  for (int64_t y = 0; y < height; ++y) {
    Element* out = dst + y * stride;
    if (y + dy < 0 || y + dy >= height) {
      std::fill_n(out, stride, Element{});
      continue;
    }
    const uint8_t* bytes = row(src + (y + dy) * stride, flip, scratch.data());
    std::fill_n(out, left * kChannels, Element{});
    convert(bytes + (left + dx) * kChannels, scale_.data(), shift_.data(), (right - left) * kChannels,
            out + left * kChannels);
    std::fill_n(out + right * kChannels, (width_ - right) * kChannels, Element{});
  }
  if (augmentation.cutout == 0) return;
  const int64_t y0 = random.between(0, height - 1) - augmentation.cutout / 2;
  const int64_t x0 = random.between(0, width_ - 1) - augmentation.cutout / 2;
  const int64_t first = std::max<int64_t>(x0, 0), last = std::min(x0 + augmentation.cutout, width_);
  for (int64_t y = std::max<int64_t>(y0, 0); y < std::min(y0 + augmentation.cutout, height) && first < last;
       ++y) {
    std::fill_n(dst + y * stride + first * kChannels, (last - first) * kChannels, Element{});
  }
}

template void PixelTransform::apply(const ImageSet&, int64_t, float*) const;
template void PixelTransform::apply(const ImageSet&, int64_t, BFloat16*) const;
template void PixelTransform::apply(const ImageSet&, int64_t, const Augmentation&, Random, float*) const;
template void PixelTransform::apply(const ImageSet&, int64_t, const Augmentation&, Random, BFloat16*) const;

PixelStatistics pixel_statistics(const ImageSet& images) {
  std::array<uint64_t, 3> sum{}, squares{};
  const int64_t pixels = images.size() * images.height * images.width;
  const uint8_t* p = images.pixels;
  for (int64_t i = 0; i < pixels; ++i) {
    for (size_t c = 0; c < 3; ++c, ++p) {
      sum[c] += *p;
      squares[c] += static_cast<uint64_t>(*p) * *p;
    }
  }
  PixelStatistics statistics;
  for (size_t c = 0; c < 3; ++c) {
    const double n = static_cast<double>(std::max<int64_t>(pixels, 1));
    const double mean = static_cast<double>(sum[c]) / n;
    const double variance = static_cast<double>(squares[c]) / n - mean * mean;
    statistics.mean[c] = static_cast<float>(mean / 255);
    statistics.std[c] = static_cast<float>(std::sqrt(std::max(variance, 1.0)) / 255);
  }
  return statistics;
}

}  // namespace xdn::training
