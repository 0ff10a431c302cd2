#pragma once

#include <cstdint>

namespace xdn {

/// Images first ... first + count - 1 of an endless series, the same on every machine, as height x width x
/// channels bytes. Even ones are smooth colours with some noise, as in pictures, odd ones noise alone.
void synthetic_images(int64_t first, int64_t count, int64_t height, int64_t width, int64_t channels,
                      uint8_t* dst);

}  // namespace xdn
