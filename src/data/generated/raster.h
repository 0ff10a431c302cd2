#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace xdn::generated {

/// Side of an image, and of everything drawn, in pixels.
inline constexpr int32_t kSide = 32;
inline constexpr int32_t kPixels = kSide * kSide;
/// Lengths are integers: 256 are a pixel's side. Angles: 1024 are a turn.
inline constexpr int32_t kPixel = 256;
inline constexpr int32_t kTurn = 1024;

/// 2^14 sin(angle), to within 4; cosine likewise.
int32_t sine(int32_t angle);
inline int32_t cosine(int32_t angle) { return sine(angle + kTurn / 4); }

struct Point {
  int32_t x = 0, y = 0;
};
/// `p` turned by `angle`.
Point turned(Point p, int32_t angle);

/// A closed polygon; points may lie outside the image, up to 2^14 from its corner.
using Contour = std::vector<Point>;
/// How much of each pixel is covered, 0 to 256, row by row.
using Mask = std::array<int32_t, kPixels>;

/// What lies inside the contours; a contour that runs the other way round is a hole. Exact along x, eight
/// lines per pixel along y.
Mask coverage(const std::vector<Contour>& contours);

}  // namespace xdn::generated
