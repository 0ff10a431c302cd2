#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace xdn {

/// RFC 4648, padded, without line breaks.
std::string base64(std::span<const uint8_t> bytes);

}  // namespace xdn
