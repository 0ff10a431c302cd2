#pragma once

#include <array>
#include <cstdint>

#include "data/generated/dice.h"
#include "data/generated/raster.h"

namespace xdn::generated {

/// Red, green, blue; 0 to 255.
using Color = std::array<int32_t, 3>;

Color random_color(Dice& dice);
/// A random colour that differs from `other` by at least `least` (at most 380), summed over the channels.
Color color_unlike(const Color& other, int32_t least, Dice& dice);
/// `color`, each channel moved by up to `most`.
Color color_near(const Color& color, int32_t most, Dice& dice);

enum class Pattern { kPlain, kGradient, kSpeckle, kStripes, kChecks, kDots };

/// Two colours, and where which: the pattern is turned by `angle` and begins at `origin`.
struct Paint {
  Pattern pattern = Pattern::kPlain;
  Color ground{}, figure{};
  int32_t angle = 0, period = kPixel;
  Point origin;
};
/// A paint of that pattern, with random angle, period and origin.
Paint random_paint(Pattern pattern, const Color& ground, const Color& figure, Dice& dice);

/// An image in the making: rows of pixels; channels may leave 0 to 255 until bytes() is called.
class Canvas {
 public:
  void fill(const Paint& paint);
  void draw(const Mask& mask, const Paint& paint);
  /// Adds slow random variation of up to `most` to each channel: a lattice of (cells + 1)^2, bilinear
  /// between.
  void add_clouds(int32_t cells, int32_t most, Dice& dice);
  /// Multiplies by a ramp across the image, from 1 - percent/100 to 1 + percent/100.
  void shade(int32_t angle, int32_t percent);
  /// Weighs each pixel and its neighbours by 1 2 1 along both axes.
  void blur();
  /// Adds noise of a triangular distribution, up to `most` in size, to each channel of each pixel.
  void add_noise(int32_t most, Dice& dice);
  /// kPixels * 3 bytes, red first.
  void bytes(uint8_t* dst) const;

 private:
  std::array<Color, kPixels> pixels_{};
};

}  // namespace xdn::generated
