#include "data/generated/raster.h"

#include <algorithm>
#include <cstdlib>

namespace xdn::generated {
namespace {

constexpr int32_t kLines = 8;  ///< per pixel
constexpr int32_t kLineStep = kPixel / kLines;

/// The first line at or below y; lines lie at (i + 1/2) * kLineStep.
int32_t first_line(int32_t y) {
  const int32_t shifted = y + kLineStep / 2 - 1;
  return shifted < 0 ? 0 : shifted / kLineStep;
}

/// What an edge that crosses a line at x adds to the pixels of its row: sum[i] is what pixel i has more than
/// the one before it.
void add_crossing(int32_t* row, int32_t x, int32_t direction) {
  if (x >= kSide * kPixel) return;
  x = std::max(x, 0);
  const int32_t inside = x % kPixel;
  int32_t* pixel = row + x / kPixel;
  pixel[0] += direction * (kPixel - inside);
  pixel[1] += direction * inside;
}

}  // namespace

int32_t sine(int32_t angle) {
  const int32_t turn = angle & (kTurn - 1);
  const int32_t quarter = turn / 256;
  const int32_t x = quarter % 2 == 0 ? turn % 256 : 256 - turn % 256;
  // x (pi - x^2 (2 pi - 5 - x^2 (pi - 3))) / 2: exact in value and slope at both ends of the quarter.
  constexpr int32_t kPi = 51472, kTwoPiLess5 = 21024, kPiLess3 = 2320;  // times 2^14
  const int32_t square = x * x;
  const int32_t inner = kTwoPiLess5 - ((square * kPiLess3) >> 16);
  const int32_t outer = kPi - static_cast<int32_t>((int64_t{square} * inner) >> 16);
  const int32_t value = (x * outer) >> 9;
  return quarter < 2 ? value : -value;
}

Point turned(Point p, int32_t angle) {
  const int32_t s = sine(angle), c = cosine(angle);
  return {(p.x * c - p.y * s) >> 14, (p.x * s + p.y * c) >> 14};
}

Mask coverage(const std::vector<Contour>& contours) {
  // One column more than the image takes what the last pixel passes on.
  std::array<std::array<int32_t, kSide + 1>, kSide> sums{};
  for (const Contour& contour : contours) {
    for (size_t i = 0; i < contour.size(); ++i) {
      Point from = contour[i], to = contour[(i + 1) % contour.size()];
      const int32_t direction = from.y < to.y ? 1 : -1;
      if (direction < 0) std::swap(from, to);
      const int32_t last = std::min(first_line(to.y), kSide * kLines);
      for (int32_t line = first_line(from.y); line < last; ++line) {
        const int32_t y = line * kLineStep + kLineStep / 2;
        const int64_t along = int64_t{to.x - from.x} * (y - from.y) / (to.y - from.y);
        add_crossing(sums[static_cast<size_t>(line / kLines)].data(), from.x + static_cast<int32_t>(along),
                     direction);
      }
    }
  }
  Mask mask;
  for (int32_t y = 0; y < kSide; ++y) {
    int32_t covered = 0;
    for (int32_t x = 0; x < kSide; ++x) {
      covered += sums[static_cast<size_t>(y)][static_cast<size_t>(x)];
      mask[static_cast<size_t>(y * kSide + x)] = std::min(std::abs(covered) / kLines, 256);
    }
  }
  return mask;
}

}  // namespace xdn::generated
