#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "data/codecs.h"
#include "data/image.h"

namespace xdn {
namespace {

/// Weights are fractions of 2^kBits and sum to exactly that, so flat areas stay flat. Between the two passes
/// a value carries 8 fractional bits: 255 * 2^8 * 2^16 plus rounding still fits 32 bits.
constexpr int kBits = 16;
constexpr uint32_t kHalf = uint32_t{1} << (kBits + 7);

/// The source pixels one destination pixel is made of.
struct Taps {
  int64_t first = 0;
  std::vector<uint32_t> weights;
};

/// In units of 1 / (2 * dst) source pixels, source pixel s is centred at (2s + 1) * dst, destination pixel d
/// at (2d + 1) * src, and the triangle reaches 2 * max(src, dst) to each side: all integers.
std::vector<Taps> triangle_taps(int64_t src, int64_t dst) {
  const int64_t reach = 2 * std::max(src, dst);
  std::vector<Taps> all(static_cast<size_t>(dst));
  std::vector<int64_t> heights;
  for (int64_t d = 0; d < dst; ++d) {
    const int64_t centre = (2 * d + 1) * src;
    const int64_t low = std::max<int64_t>(0, (centre - reach) / (2 * dst) - 1);
    const int64_t high = std::min(src, (centre + reach) / (2 * dst) + 2);
    Taps& taps = all[static_cast<size_t>(d)];
    heights.clear();
    int64_t total = 0;
    for (int64_t s = low; s < high; ++s) {
      const int64_t height = reach - std::abs((2 * s + 1) * dst - centre);
      if (height <= 0) continue;
      if (heights.empty()) taps.first = s;
      heights.push_back(height);
      total += height;
    }
    // Rounding the running sum instead of each weight makes the sum come out exact.
    int64_t running = 0, given = 0;
    for (const int64_t height : heights) {
      running += height;
      const int64_t upto = ((running << kBits) + total / 2) / total;
      taps.weights.push_back(static_cast<uint32_t>(upto - given));
      given = upto;
    }
  }
  return all;
}

}  // namespace

Image resize_image(const Image& image, int64_t height, int64_t width) {
  if (height == image.height && width == image.width) return image;
  XDN_CHECK(image.height > 0 && image.width > 0);
  Image out = allocate_image(height, width);
  const std::vector<Taps> rows = triangle_taps(image.height, height);
  const std::vector<Taps> columns = triangle_taps(image.width, width);
  const auto src_row = static_cast<size_t>(image.width * 3);
  std::vector<uint32_t> sum(src_row);
  uint8_t* dst = out.rgb.data();
  for (const Taps& row : rows) {
    std::fill(sum.begin(), sum.end(), 0u);
    const uint8_t* src = image.rgb.data() + static_cast<size_t>(row.first) * src_row;
    for (const uint32_t weight : row.weights) {
      for (size_t i = 0; i < src_row; ++i) sum[i] += src[i] * weight;
      src += src_row;
    }
    for (uint32_t& value : sum) value = (value + (1u << (kBits - 9))) >> (kBits - 8);
    for (const Taps& column : columns) {
      uint32_t red = kHalf, green = kHalf, blue = kHalf;
      const uint32_t* pixel = sum.data() + static_cast<size_t>(column.first) * 3;
      for (const uint32_t weight : column.weights) {
        red += pixel[0] * weight;
        green += pixel[1] * weight;
        blue += pixel[2] * weight;
        pixel += 3;
      }
      *dst++ = static_cast<uint8_t>(red >> (kBits + 8));
      *dst++ = static_cast<uint8_t>(green >> (kBits + 8));
      *dst++ = static_cast<uint8_t>(blue >> (kBits + 8));
    }
  }
  return out;
}

}  // namespace xdn
