#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/image.h"

namespace xdn {

Image decode_jpeg(std::span<const uint8_t> bytes);
Image decode_png(std::span<const uint8_t> bytes);

/// The image as a PNG file: 8-bit RGB, not interlaced.
std::vector<uint8_t> png_bytes(const Image& image);

/// A zero-filled image; input error if a side or the area is beyond the limits.
Image allocate_image(int64_t height, int64_t width);

}  // namespace xdn
