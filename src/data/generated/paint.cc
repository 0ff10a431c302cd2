#include "data/generated/paint.h"

#include <algorithm>
#include <cstdlib>
#include <vector>

namespace xdn::generated {
namespace {

constexpr int32_t kOpaque = 256;  ///< weights of colours run from 0 to here

/// a % n, never negative.
int32_t modulo(int32_t a, int32_t n) {
  const int32_t rest = a % n;
  return rest < 0 ? rest + n : rest;
}

/// From a signed distance to an edge, a weight that changes over one pixel.
int32_t edge(int32_t distance) { return std::clamp(kOpaque / 2 + distance, 0, kOpaque); }

/// One half of each period is figure.
int32_t bars(int32_t at, int32_t period) {
  return edge(period / 4 - std::abs(modulo(at, period) - period / 2));
}

int32_t dots(int32_t u, int32_t v, int32_t period) {
  const int32_t radius = period * 36 / 100;
  const int32_t x = modulo(u, period) - period / 2, y = modulo(v, period) - period / 2;
  return edge((radius * radius - x * x - y * y) / (2 * radius));
}

/// The figure's weight at a point.
int32_t weight_at(const Paint& paint, Point p) {
  const Point q = turned({p.x - paint.origin.x, p.y - paint.origin.y}, paint.angle);
  switch (paint.pattern) {
    case Pattern::kPlain:
      return 0;
    case Pattern::kGradient:
      return std::clamp(kOpaque / 2 + q.x / 24, 0, kOpaque);
    case Pattern::kSpeckle: {
      const auto cell = static_cast<uint64_t>(modulo(q.x, 1 << 16) / paint.period * 4096 +
                                              modulo(q.y, 1 << 16) / paint.period);
      return static_cast<int32_t>(Dice::mix(cell + 1) >> 56);
    }
    case Pattern::kStripes:
      return bars(q.x, paint.period);
    case Pattern::kChecks: {
      const int32_t u = bars(q.x, paint.period) - kOpaque / 2, v = bars(q.y, paint.period) - kOpaque / 2;
      return kOpaque / 2 + u * v / (kOpaque / 2);
    }
    case Pattern::kDots:
      return dots(q.x, q.y, paint.period);
  }
  XDN_CHECK(false);
}

Color color_at(const Paint& paint, size_t pixel) {
  const auto x = static_cast<int32_t>(pixel % kSide), y = static_cast<int32_t>(pixel / kSide);
  const int32_t weight = weight_at(paint, {x * kPixel + kPixel / 2, y * kPixel + kPixel / 2});
  Color color;
  for (size_t c = 0; c < 3; ++c) {
    color[c] = paint.ground[c] + ((paint.figure[c] - paint.ground[c]) * weight >> 8);
  }
  return color;
}

}  // namespace

Color random_color(Dice& dice) { return {dice.between(0, 255), dice.between(0, 255), dice.between(0, 255)}; }

Color color_unlike(const Color& other, int32_t least, Dice& dice) {
  XDN_CHECK(least <= 380);  // from every colour there is one that far away: three channels can move by 128
  while (true) {
    const Color color = random_color(dice);
    int32_t difference = 0;
    for (size_t c = 0; c < 3; ++c) difference += std::abs(color[c] - other[c]);
    if (difference >= least) return color;
  }
}

Color color_near(const Color& color, int32_t most, Dice& dice) {
  Color near;
  for (size_t c = 0; c < 3; ++c) near[c] = std::clamp(color[c] + dice.between(-most, most), 0, 255);
  return near;
}

Paint random_paint(Pattern pattern, const Color& ground, const Color& figure, Dice& dice) {
  Paint paint;
  paint.pattern = pattern;
  paint.ground = ground;
  paint.figure = figure;
  paint.angle = dice.between(0, kTurn - 1);
  paint.origin = {dice.between(12 * kPixel, 20 * kPixel), dice.between(12 * kPixel, 20 * kPixel)};
  // In pixels: stripes 3.5 to 7 from one to the next, checks of 2.5 to 4.5, dots 4 to 7 apart, speckles of 1
  // to 3.
  switch (pattern) {
    case Pattern::kStripes:
      paint.period = dice.between(900, 1800);
      break;
    case Pattern::kChecks:
      paint.period = dice.between(1280, 2300);
      break;
    case Pattern::kDots:
      paint.period = dice.between(1024, 1800);
      break;
    case Pattern::kSpeckle:
      paint.period = dice.between(256, 768);
      break;
    case Pattern::kPlain:
    case Pattern::kGradient:
      break;
  }
  return paint;
}

void Canvas::fill(const Paint& paint) {
  for (size_t i = 0; i < pixels_.size(); ++i) pixels_[i] = color_at(paint, i);
}

void Canvas::draw(const Mask& mask, const Paint& paint) {
  for (size_t i = 0; i < pixels_.size(); ++i) {
    if (mask[i] == 0) continue;
    const Color color = color_at(paint, i);
    for (size_t c = 0; c < 3; ++c) pixels_[i][c] += (color[c] - pixels_[i][c]) * mask[i] >> 8;
  }
}

void Canvas::add_clouds(int32_t cells, int32_t most, Dice& dice) {
  const int32_t nodes = cells + 1;
  std::vector<Color> lattice(static_cast<size_t>(nodes * nodes));
  for (Color& node : lattice) {
    for (int32_t& channel : node) channel = dice.between(-most, most);
  }
  const auto node = [&](int32_t x, int32_t y) -> const Color& {
    return lattice[static_cast<size_t>(y * nodes + x)];
  };
  for (int32_t y = 0; y < kSide; ++y) {
    const int32_t v = y * cells * 256 / kSide, below = v % 256;
    for (int32_t x = 0; x < kSide; ++x) {
      const int32_t u = x * cells * 256 / kSide, right = u % 256;
      const int32_t column = u / 256, row = v / 256;
      for (size_t c = 0; c < 3; ++c) {
        const int32_t upper = node(column, row)[c] * (256 - right) + node(column + 1, row)[c] * right;
        const int32_t lower = node(column, row + 1)[c] * (256 - right) + node(column + 1, row + 1)[c] * right;
        pixels_[static_cast<size_t>(y * kSide + x)][c] += (upper * (256 - below) + lower * below) >> 16;
      }
    }
  }
}

void Canvas::shade(int32_t angle, int32_t percent) {
  for (int32_t y = 0; y < kSide; ++y) {
    for (int32_t x = 0; x < kSide; ++x) {
      const Point p = turned({(2 * x - kSide) * kPixel / 2, (2 * y - kSide) * kPixel / 2}, angle);
      const int32_t factor = 256 + p.x * percent * 256 / (100 * kSide / 2 * kPixel);
      for (int32_t& channel : pixels_[static_cast<size_t>(y * kSide + x)]) channel = channel * factor >> 8;
    }
  }
}

void Canvas::blur() {
  const auto along = [](std::array<Color, kPixels>& pixels, size_t step, size_t stride) {
    for (size_t line = 0; line < kSide; ++line) {
      std::array<Color, kSide> old;
      for (size_t i = 0; i < kSide; ++i) old[i] = pixels[line * stride + i * step];
      for (size_t i = 0; i < kSide; ++i) {
        const Color &before = old[i == 0 ? 0 : i - 1], &after = old[i + 1 == kSide ? i : i + 1];
        for (size_t c = 0; c < 3; ++c) {
          pixels[line * stride + i * step][c] = (before[c] + 2 * old[i][c] + after[c] + 2) >> 2;
        }
      }
    }
  };
  along(pixels_, 1, kSide);
  along(pixels_, kSide, 1);
}

void Canvas::add_noise(int32_t most, Dice& dice) {
  for (Color& pixel : pixels_) {
    uint64_t random = dice.bits();
    for (int32_t& channel : pixel) {
      const auto sum = static_cast<int32_t>(random % 256 + random / 256 % 256);  // 0 to 510
      channel += (sum - 255) * most >> 8;
      random >>= 16;
    }
  }
}

void Canvas::bytes(uint8_t* dst) const {
  for (const Color& pixel : pixels_) {
    for (const int32_t channel : pixel) *dst++ = static_cast<uint8_t>(std::clamp(channel, 0, 255));
  }
}

}  // namespace xdn::generated
