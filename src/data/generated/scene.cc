#include "data/generated/scene.h"

#include <iterator>

namespace xdn::generated {
namespace {

/// How hard the pictures are. A ResNet-20 gets 89 % of them right after eight epochs of 12,000;
/// docs/data.md has the numbers.
constexpr int32_t kLeastContrast = 140;    ///< of object and background, summed over the channels
constexpr int32_t kPatternContrast = 170;  ///< of a pattern's two colours
constexpr int32_t kFaint = 22;             ///< most per channel between two colours that are not a pattern
constexpr int32_t kDecoyPercent = 30;      ///< pictures with a smaller object of another class
constexpr int32_t kMostClutter = 5, kMostCovers = 2;
constexpr int32_t kBlurPercent = 25;
constexpr int32_t kMostNoise = 30;
constexpr int32_t kSmallest = 7 * kPixel, kLargest = 12 * kPixel;  ///< radii

constexpr int32_t kMiddle = kSide * kPixel / 2;

template <class List>
const auto& one_of(const List& list, Dice& dice) {
  return list[static_cast<size_t>(dice.between(0, static_cast<int32_t>(std::size(list)) - 1))];
}

Point point_within(int32_t from_middle, Dice& dice) {
  const int32_t x = kMiddle + dice.between(-from_middle, from_middle);
  const int32_t y = kMiddle + dice.between(-from_middle, from_middle);
  return {x, y};
}

Placement random_placement(Point centre, int32_t radius, Dice& dice) {
  Placement placement;
  placement.centre = centre;
  placement.radius = radius;
  placement.aspect = dice.between(180, 256);
  placement.narrow = dice.between(0, kTurn - 1);
  placement.rotation = dice.between(0, kTurn - 1);
  return placement;
}

/// An object of that class; colours of no pattern lie near each other.
void draw_object(Canvas& canvas, const Class& what, const Placement& placement, const Color& background,
                 Dice& dice) {
  Outline outline = what.outline;
  Pattern pattern = what.pattern;
  const Color ground = color_unlike(background, kLeastContrast, dice);
  Color figure;
  if (pattern == Pattern::kPlain) {
    constexpr Pattern kFills[]{Pattern::kPlain, Pattern::kGradient, Pattern::kSpeckle};
    pattern = one_of(kFills, dice);
    figure = color_near(ground, pattern == Pattern::kGradient ? 2 * kFaint : kFaint, dice);
  } else {
    figure = color_unlike(ground, kPatternContrast, dice);
    // A pattern makes the class whatever the outline is.
    if (dice.chance(40)) outline = one_of(kClasses, dice).outline;
  }
  const std::vector<Contour> contours = draw_outline(outline, placement, dice);
  canvas.draw(coverage(contours), random_paint(pattern, ground, figure, dice));
}

void draw_background(Canvas& canvas, const Color& color, Dice& dice) {
  constexpr Pattern kPatterns[]{Pattern::kPlain,   Pattern::kGradient, Pattern::kSpeckle,
                                Pattern::kStripes, Pattern::kChecks,   Pattern::kDots};
  const Pattern pattern = one_of(kPatterns, dice);
  const Color other = color_near(color, pattern == Pattern::kGradient ? 3 * kFaint : kFaint, dice);
  canvas.fill(random_paint(pattern, color, other, dice));
  const int32_t cells = dice.between(2, 6);
  const int32_t most = dice.between(0, 32);
  canvas.add_clouds(cells, most, dice);
}

/// A triangle or quadrangle of random corners, or a bar.
void draw_shard(Canvas& canvas, Point centre, int32_t size, Dice& dice) {
  Contour contour;
  if (dice.chance(40)) {
    const int32_t angle = dice.between(0, kTurn - 1);
    const int32_t width = dice.between(kPixel / 3, kPixel);
    for (const Point corner :
         {Point{-size, -width}, Point{size, -width}, Point{size, width}, Point{-size, width}}) {
      contour.push_back(turned(corner, angle));
    }
  } else {
    const int32_t corners = dice.between(3, 4);
    for (int32_t i = 0; i < corners; ++i) {
      const int32_t distance = dice.between(size / 3, size);
      contour.push_back(turned({distance, 0}, (i * kTurn + dice.between(0, kTurn / 2)) / corners));
    }
  }
  for (Point& p : contour) p = {p.x + centre.x, p.y + centre.y};
  const Color color = random_color(dice);
  canvas.draw(coverage({contour}), random_paint(Pattern::kPlain, color, color, dice));
}

/// A band across the picture that hides part of the object but not its middle.
void draw_band(Canvas& canvas, const Placement& object, const Color& background, Dice& dice) {
  const int32_t angle = dice.between(0, kTurn - 1);
  const int32_t near = object.radius * dice.between(35, 90) / 100;
  const int32_t far = near + dice.between(kPixel, 5 * kPixel);
  constexpr int32_t kLong = 2 * kSide * kPixel / 2;
  Contour contour;
  for (const Point corner :
       {Point{near, -kLong}, Point{far, -kLong}, Point{far, kLong}, Point{near, kLong}}) {
    const Point p = turned(corner, angle);
    contour.push_back({p.x + object.centre.x, p.y + object.centre.y});
  }
  const Color color = dice.chance(50) ? color_near(background, 60, dice) : random_color(dice);
  canvas.draw(coverage({contour}), random_paint(Pattern::kPlain, color, color, dice));
}

}  // namespace

void draw_scene(const Class& what, Dice& dice, uint8_t* dst) {
  Canvas canvas;
  const Color background = random_color(dice);
  draw_background(canvas, background, dice);

  const int32_t clutter = dice.between(1, kMostClutter);
  for (int32_t i = 0; i < clutter; ++i) {
    const Point centre = point_within(kMiddle, dice);
    const int32_t size = dice.between(kPixel, 4 * kPixel);
    draw_shard(canvas, centre, size, dice);
  }

  const int32_t radius = dice.between(kSmallest, kLargest);
  const Placement object = random_placement(point_within(kMiddle - radius * 7 / 8, dice), radius, dice);
  if (dice.chance(kDecoyPercent)) {
    const Class& decoy = one_of(kClasses, dice);
    const Point centre = point_within(kMiddle - 2 * kPixel, dice);
    const int32_t size = radius * dice.between(30, 50) / 100;
    draw_object(canvas, decoy, random_placement(centre, size, dice), background, dice);
  }
  draw_object(canvas, what, object, background, dice);

  const int32_t covers = dice.between(0, kMostCovers);
  for (int32_t i = 0; i < covers; ++i) {
    if (dice.chance(40)) {
      draw_band(canvas, object, background, dice);
    } else {
      const Point centre = point_within(kMiddle * 3 / 4, dice);
      const int32_t size = dice.between(kPixel, 4 * kPixel);
      draw_shard(canvas, centre, size, dice);
    }
  }

  const int32_t light = dice.between(0, kTurn - 1);
  const int32_t strength = dice.between(0, 45);
  canvas.shade(light, strength);
  if (dice.chance(kBlurPercent)) canvas.blur();
  const int32_t noise = dice.between(4, kMostNoise);
  canvas.add_noise(noise, dice);
  canvas.bytes(dst);
}

}  // namespace xdn::generated
