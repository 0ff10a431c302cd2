#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace xdn {

inline constexpr int64_t kMaxImageSide = 65535;
inline constexpr int64_t kMaxImagePixels = 100'000'000;

/// Decoded pixels: rgb[(y * width + x) * 3 + c], c = red, green, blue.
struct Image {
  int64_t height = 0, width = 0;
  std::vector<uint8_t> rgb;
};

/// A JPEG (gray, YCbCr or RGB, 8 bits) or PNG (any kind; alpha is dropped, 16 bits are scaled to 8), told
/// apart by their first bytes. Anything a decoder complains about - damage, a cut file - is an input error,
/// and so is an image larger than the limits above, before memory is taken.
Image decode_image(std::span<const uint8_t> bytes);
Image decode_image(const std::string& path);

/// The image as an 8-bit RGB PNG file. The image must hold a pixel at least, within the limits above.
std::vector<uint8_t> to_png(const Image& image);

/// Bilinear with antialiasing: a triangle filter, as wide as two source pixels when enlarging and as two
/// destination pixels when shrinking, normalised at the borders. Integer arithmetic: equal results on every
/// machine.
Image resize_image(const Image& image, int64_t height, int64_t width);

/// The middle height x width; odd margins leave the extra row or column below and to the right. The image
/// must be at least as large.
Image centre_crop(const Image& image, int64_t height, int64_t width);

/// How an image gets the size a model takes. 0 means: not given.
struct Geometry {
  int64_t resize = 0;             ///< first, the shorter side becomes this long; the aspect is kept
  int64_t crop = 0;               ///< then the centre crop x crop is taken
  int64_t height = 0, width = 0;  ///< the result; without resize and crop the image is resized straight to it
};

/// Input error where the values contradict each other or are out of range.
void check_geometry(const Geometry& geometry);
/// Input error where the image is smaller than the crop, or the result is not height x width.
Image fit_image(Image image, const Geometry& geometry);

}  // namespace xdn
