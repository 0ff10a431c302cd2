#pragma once

#include <cstdint>
#include <span>

#include "data/image.h"

namespace xdn {

Image decode_jpeg(std::span<const uint8_t> bytes);
Image decode_png(std::span<const uint8_t> bytes);

/// A zero-filled image; input error if a side or the area is beyond the limits.
Image allocate_image(int64_t height, int64_t width);

}  // namespace xdn
