#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/dtype.h"
#include "data/preprocess.h"
#include "training/random.h"

namespace xdn::training {

/// Labelled images that lie in memory, RGB bytes, n h w c.
struct ImageSet {
  const uint8_t* pixels = nullptr;
  std::span<const int64_t> labels;
  int64_t height = 0, width = 0;

  int64_t size() const { return static_cast<int64_t>(labels.size()); }
  int64_t image_bytes() const { return height * width * 3; }
  const uint8_t* image(int64_t i) const { return pixels + i * image_bytes(); }
};

/// What becomes of a training image, chosen anew in every epoch.
struct Augmentation {
  int64_t crop =
      0;  ///< shifted by up to so many pixels each way; what comes in from outside is 0, the mean colour
  bool flip = false;   ///< mirrored left to right, every second one
  int64_t cutout = 0;  ///< side of a square of zeros, its centre anywhere in the image (DeVries, Taylor 2017)

  bool none() const { return crop == 0 && !flip && cutout == 0; }
};

/// Bytes to a model's input: (byte * scale - mean[c]) / std[c] in the model's channel order, n h w c.
class PixelTransform {
 public:
  /// For images of this width.
  PixelTransform(const Preprocess& preprocess, int64_t width);

  /// dst is f32 or, as Element, BFloat16 (rounded to nearest, ties to even).
  template <class Element>
  void apply(const ImageSet& images, int64_t index, Element* dst) const;
  /// The same, changed as `random` says.
  template <class Element>
  void apply(const ImageSet& images, int64_t index, const Augmentation& augmentation, Random random,
             Element* dst) const;

 private:
  /// Row y of the source, mirrored and with its channels in the model's order where asked.
  const uint8_t* row(const uint8_t* src, bool flip, uint8_t* scratch) const;

  int64_t width_;
  bool bgr_;
  std::vector<float> scale_, shift_;  ///< per byte of a row, in the model's channel order
};

/// Mean and standard deviation of byte / 255 per channel, over all pixels of all images.
struct PixelStatistics {
  std::array<float, 3> mean{}, std{};
};
PixelStatistics pixel_statistics(const ImageSet& images);

}  // namespace xdn::training
