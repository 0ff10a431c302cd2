#include "evaluator/synthetic.h"

#include <algorithm>
#include <vector>

namespace xdn {
namespace {

constexpr int64_t kGrid = 5;       ///< random colours along a side, between which the others are interpolated
constexpr int64_t kOne = 1 << 12;  ///< of the interpolation, in integers
constexpr int kNoise = 33;         ///< smooth images: this many grey levels, around 0

/// splitmix64.
class Bits {
 public:
  explicit Bits(int64_t seed) : state_(static_cast<uint64_t>(seed) * 0xD1342543DE82EF95u) {}
  uint64_t next() {
    uint64_t z = state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  int64_t below(int64_t limit) { return static_cast<int64_t>(next() >> 33) % limit; }

 private:
  uint64_t state_;
};

struct GridPoint {
  int64_t index, fraction;
};
GridPoint grid_point(int64_t at, int64_t extent) {
  const int64_t scaled = at * (kGrid - 1) * kOne / extent;
  return {scaled / kOne, scaled % kOne};
}

int64_t between(int64_t a, int64_t b, int64_t fraction) {
  return (a * (kOne - fraction) + b * fraction) / kOne;
}

void smooth_image(Bits& bits, int64_t height, int64_t width, int64_t channels, uint8_t* dst) {
  std::vector<int64_t> grid(static_cast<size_t>(kGrid * kGrid * channels));
  for (int64_t& value : grid) value = bits.below(256);
  for (int64_t y = 0; y < height; ++y) {
    const GridPoint row = grid_point(y, height);
    for (int64_t x = 0; x < width; ++x) {
      const GridPoint column = grid_point(x, width);
      for (int64_t c = 0; c < channels; ++c) {
        const auto at = [&](int64_t i, int64_t j) {
          return grid[static_cast<size_t>(((row.index + i) * kGrid + column.index + j) * channels + c)];
        };
        const int64_t value = between(between(at(0, 0), at(0, 1), column.fraction),
                                      between(at(1, 0), at(1, 1), column.fraction), row.fraction);
        *dst++ = static_cast<uint8_t>(std::clamp<int64_t>(value + bits.below(kNoise) - kNoise / 2, 0, 255));
      }
    }
  }
}

}  // namespace

void synthetic_images(int64_t first, int64_t count, int64_t height, int64_t width, int64_t channels,
                      uint8_t* dst) {
  const int64_t bytes = height * width * channels;
  for (int64_t i = first; i < first + count; ++i, dst += bytes) {
    Bits bits(i);
    if (i % 2 == 0) {
      smooth_image(bits, height, width, channels, dst);
    } else {
      std::generate_n(dst, bytes, [&] { return static_cast<uint8_t>(bits.next() >> 56); });
    }
  }
}

}  // namespace xdn
