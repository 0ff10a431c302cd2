#include "data/generated/outlines.h"

#include <algorithm>
#include <array>

namespace xdn::generated {
namespace {

constexpr size_t kPoints = 60;   ///< of every contour, so that one can turn into another
constexpr int32_t kUnit = 1024;  ///< the disc's radius, before placement
using Radii = std::array<int32_t, kPoints>;

Point on_circle(int32_t radius, int32_t angle) {
  return {(radius * cosine(angle)) >> 14, (radius * sine(angle)) >> 14};
}

Contour circle(int32_t radius) {
  Contour contour;
  for (int32_t i = 0; i < static_cast<int32_t>(kPoints); ++i) {
    contour.push_back(on_circle(radius, i * kTurn / static_cast<int32_t>(kPoints)));
  }
  return contour;
}

/// kPoints points spread over the edges between corners, whose number divides kPoints.
Contour polygon(const std::vector<Point>& corners) {
  const auto steps = static_cast<int32_t>(kPoints / corners.size());
  Contour contour;
  for (size_t i = 0; i < corners.size(); ++i) {
    const Point from = corners[i], to = corners[(i + 1) % corners.size()];
    for (int32_t step = 0; step < steps; ++step) {
      contour.push_back({from.x + (to.x - from.x) * step / steps, from.y + (to.y - from.y) * step / steps});
    }
  }
  return contour;
}

/// Corners at equal angles, their distances from the centre in turn `far` and `near`.
Contour corners_around(int32_t count, int32_t far, int32_t near) {
  std::vector<Point> corners;
  for (int32_t i = 0; i < count; ++i)
    corners.push_back(on_circle(i % 2 == 0 ? far : near, i * kTurn / count));
  return polygon(corners);
}

Contour cross() {
  constexpr int32_t kLong = 1180, kHalf = 380;
  std::vector<Point> corners;
  for (int32_t quarter = 0; quarter < 4; ++quarter) {
    for (const Point p : {Point{kLong, -kHalf}, Point{kLong, kHalf}, Point{kHalf, kHalf}}) {
      corners.push_back(turned(p, quarter * kTurn / 4));
    }
  }
  return polygon(corners);
}

/// The disc without a smaller one: two arcs between the tips at angles of a sixth of a turn.
Contour crescent() {
  constexpr int32_t kOuter = 40, kInner = static_cast<int32_t>(kPoints) - kOuter;  // points of the arcs
  constexpr int32_t kTip = kTurn / 6;
  constexpr int32_t kOffset = 563, kRadius = 888, kInnerTip = 265;  // of the smaller disc, through the tips
  Contour contour;
  for (int32_t i = 0; i < kOuter; ++i) {
    contour.push_back(on_circle(kUnit * 9 / 8, kTip + (kTurn - 2 * kTip) * i / kOuter));
  }
  for (int32_t i = 0; i < kInner; ++i) {
    Point p = on_circle(kRadius, kTurn - kInnerTip - (kTurn - 2 * kInnerTip) * i / kInner);
    p.x += kOffset;
    contour.push_back({p.x * 9 / 8, p.y * 9 / 8});
  }
  return contour;
}

/// Sizes make the areas alike, so that no outline is told by how much it covers.
Contour plain_contour(Outline outline) {
  switch (outline) {
    case Outline::kCrescent:
      return crescent();
    case Outline::kCross:
      return cross();
    case Outline::kSquare:
      return corners_around(4, 1300, 1300);
    case Outline::kStar:
      return corners_around(10, 1420, 620);
    case Outline::kTriangle:
      return corners_around(3, 1500, 1500);
    case Outline::kDisc:
    case Outline::kRing:
    case Outline::kBlob:
      return circle(kUnit);
  }
  XDN_CHECK(false);
}

/// Smoothly varying numbers around the contour: `knots` random ones in [low, high], joined by half cosines.
Radii wave_around(int32_t knots, int32_t low, int32_t high, Dice& dice) {
  std::vector<int32_t> values;
  for (int32_t i = 0; i < knots; ++i) values.push_back(dice.between(low, high));
  Radii radii;
  for (int32_t i = 0; i < static_cast<int32_t>(kPoints); ++i) {
    const int32_t at = i * knots * 512 / static_cast<int32_t>(kPoints);
    const int32_t from = values[static_cast<size_t>(at / 512)];
    const int32_t to = values[static_cast<size_t>((at / 512 + 1) % knots)];
    const int32_t weight = (16384 - cosine(at % 512)) / 2;  // 0 to 2^14
    radii[static_cast<size_t>(i)] = from + ((to - from) * weight >> 14);
  }
  return radii;
}

void scale_by(Contour& contour, const Radii& radii) {
  for (size_t i = 0; i < contour.size(); ++i) {
    contour[i] = {contour[i].x * radii[i] / kUnit, contour[i].y * radii[i] / kUnit};
  }
}

void move_towards(Contour& contour, const Contour& other, int32_t percent) {
  for (size_t i = 0; i < contour.size(); ++i) {
    contour[i].x += (other[i].x - contour[i].x) * percent / 100;
    contour[i].y += (other[i].y - contour[i].y) * percent / 100;
  }
}

Point placed(Point p, const Placement& placement) {
  p = turned(p, placement.narrow);
  p.y = p.y * placement.aspect / 256;
  p = turned(p, placement.rotation);
  return {placement.centre.x + p.x * placement.radius / kUnit,
          placement.centre.y + p.y * placement.radius / kUnit};
}

Contour hole(Dice& dice) {
  Contour contour = circle(kUnit * dice.between(36, 64) / 100);
  const Point shift{dice.between(-80, 80), dice.between(-80, 80)};
  for (Point& p : contour) p = {p.x + shift.x, p.y + shift.y};
  std::reverse(contour.begin(), contour.end());
  return contour;
}

}  // namespace

std::vector<Contour> draw_outline(Outline outline, const Placement& placement, Dice& dice) {
  std::vector<Contour> contours{plain_contour(outline)};
  if (outline == Outline::kBlob) {
    const int32_t knots = dice.between(5, 9);
    scale_by(contours[0], wave_around(knots, 620, 1300, dice));
  } else {
    if (dice.chance(25)) {
      constexpr std::array kOthers{Outline::kCross, Outline::kDisc, Outline::kSquare, Outline::kStar,
                                   Outline::kTriangle};
      const Outline other = kOthers[static_cast<size_t>(dice.between(0, kOthers.size() - 1))];
      move_towards(contours[0], plain_contour(other), dice.between(5, 40));
    }
    scale_by(contours[0], wave_around(12, 940, 1100, dice));
  }
  if (outline == Outline::kRing) contours.push_back(hole(dice));
  for (Contour& contour : contours) {
    for (Point& p : contour) p = placed(p, placement);
  }
  return contours;
}

}  // namespace xdn::generated
