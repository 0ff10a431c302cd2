#include "data/image.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/atomic_file.h"
#include "base/error.h"
#include "data/codecs.h"

namespace xdn {
namespace {

constexpr size_t kMaxFileBytes = size_t{1} << 28;
constexpr std::array<uint8_t, 3> kJpegMagic = {0xFF, 0xD8, 0xFF};
constexpr std::array<uint8_t, 8> kPngMagic = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};

template <size_t n>
bool starts_with(std::span<const uint8_t> bytes, const std::array<uint8_t, n>& magic) {
  return bytes.size() >= n && std::equal(magic.begin(), magic.end(), bytes.begin());
}

std::string size_text(int64_t height, int64_t width) {
  return std::to_string(height) + "x" + std::to_string(width);
}

}  // namespace

Image allocate_image(int64_t height, int64_t width) {
  if (height < 1 || width < 1 || height > kMaxImageSide || width > kMaxImageSide ||
      height * width > kMaxImagePixels) {
    throw input_error("image is " + size_text(height, width) + " (height x width), beyond the limit of " +
                      std::to_string(kMaxImageSide) + " a side and " +
                      std::to_string(kMaxImagePixels / 1'000'000) + " megapixels");
  }
  Image image;
  image.height = height;
  image.width = width;
  image.rgb.resize(static_cast<size_t>(height * width * 3));
  return image;
}

Image decode_image(std::span<const uint8_t> bytes) {
  if (bytes.empty()) throw input_error("is empty, expected a JPEG or PNG image");
  if (starts_with(bytes, kJpegMagic)) return decode_jpeg(bytes);
  if (starts_with(bytes, kPngMagic)) return decode_png(bytes);
  throw input_error("is neither a JPEG nor a PNG image");
}

Image decode_image(const std::string& path) {
  try {
    const std::string file = read_file(path, kMaxFileBytes);
    return decode_image(std::span(reinterpret_cast<const uint8_t*>(file.data()), file.size()));
  } catch (Error& error) {
    throw error.in_file(path);
  }
}

Image centre_crop(const Image& image, int64_t height, int64_t width) {
  if (height > image.height || width > image.width) {
    throw input_error("image is " + size_text(image.height, image.width) + ", smaller than the crop of " +
                      size_text(height, width));
  }
  Image out = allocate_image(height, width);
  const int64_t top = (image.height - height) / 2, left = (image.width - width) / 2;
  const auto row_bytes = static_cast<size_t>(width * 3);
  for (int64_t y = 0; y < height; ++y) {
    std::memcpy(out.rgb.data() + static_cast<size_t>(y) * row_bytes,
                image.rgb.data() + static_cast<size_t>(((top + y) * image.width + left) * 3), row_bytes);
  }
  return out;
}

void check_geometry(const Geometry& g) {
  for (const int64_t value : {g.resize, g.crop, g.height, g.width}) {
    if (value < 0 || value > kMaxImageSide) {
      throw input_error("image size " + std::to_string(value) + " is not from 0 to " +
                        std::to_string(kMaxImageSide));
    }
  }
  if ((g.height == 0) != (g.width == 0)) throw input_error("an image size needs both height and width");
  if (g.resize != 0 && g.crop > g.resize) {
    throw input_error("crop " + std::to_string(g.crop) + " is larger than resize " +
                      std::to_string(g.resize));
  }
  if (g.crop != 0 && g.height != 0 && (g.height != g.crop || g.width != g.crop)) {
    throw input_error("crop " + std::to_string(g.crop) + " does not give the expected size " +
                      size_text(g.height, g.width));
  }
}

Image fit_image(Image image, const Geometry& g) {
  if (g.resize != 0) {
    // The longer side is cut to whole pixels, as torchvision's Resize does.
    const int64_t shorter = std::min(image.height, image.width);
    image = resize_image(image, image.height * g.resize / shorter, image.width * g.resize / shorter);
  } else if (g.crop == 0 && g.height != 0) {
    image = resize_image(image, g.height, g.width);
  }
  if (g.crop != 0) image = centre_crop(image, g.crop, g.crop);
  if (g.height != 0 && (image.height != g.height || image.width != g.width)) {
    throw input_error("image is " + size_text(image.height, image.width) +
                      " after resize and crop, expected " + size_text(g.height, g.width));
  }
  return image;
}

}  // namespace xdn
