#include "report/png_data.h"

#include <fmt/format.h>

#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "base/error.h"
#include "data/image.h"

namespace xdn::report {
namespace {

constexpr size_t kMostBytes = size_t{512} << 10;
constexpr uint32_t kMostSide = 1024;
constexpr uint8_t kSignature[16] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n',
                                    0,    0,   0,   13,  'I',  'H',  'D',  'R'};

int digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  return c == '/' ? 63 : -1;
}

std::vector<uint8_t> decode_base64(const std::string& text) {
  if (text.size() % 4 != 0) throw input_error("is not base64: its length is no multiple of 4");
  const size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  std::vector<uint8_t> bytes;
  bytes.reserve(text.size() / 4 * 3);
  uint32_t bits = 0;
  int held = 0;
  for (size_t i = 0; i < text.size() - padding; ++i) {
    const int value = digit(text[i]);
    if (value < 0) throw input_error(fmt::format("is not base64: wrong at byte {}", i));
    bits = bits << 6 | static_cast<uint32_t>(value);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    bytes.push_back(static_cast<uint8_t>(bits >> held));
    bits &= (1U << held) - 1;
  }
  if (bits != 0) throw input_error("is not base64: bits are left over");
  return bytes;
}

uint32_t big_endian(const uint8_t* at) {
  return uint32_t{at[0]} << 24 | uint32_t{at[1]} << 16 | uint32_t{at[2]} << 8 | uint32_t{at[3]};
}

}  // namespace

void check_png_base64(const std::string& text) {
  if (text.size() > kMostBytes / 3 * 4) {
    throw input_error(fmt::format("an image may have {} KiB at most", kMostBytes >> 10));
  }
  const std::vector<uint8_t> bytes = decode_base64(text);
  if (bytes.size() < sizeof kSignature + 8 || std::memcmp(bytes.data(), kSignature, sizeof kSignature) != 0) {
    throw input_error("is not a PNG");
  }
  const uint32_t width = big_endian(&bytes[16]), height = big_endian(&bytes[20]);
  if (width > kMostSide || height > kMostSide) {
    throw input_error(fmt::format("is {} x {} pixels, at most {} on a side fit", width, height, kMostSide));
  }
  (void)decode_image(bytes);
}

}  // namespace xdn::report
