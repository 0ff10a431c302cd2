#pragma once

#include <array>
#include <cstdint>

#include "data/generated/dice.h"
#include "data/generated/outlines.h"
#include "data/generated/paint.h"

namespace xdn::generated {

/// A class is a pattern on an outline of any kind, or an outline without a pattern.
struct Class {
  const char* name;
  Outline outline;
  Pattern pattern;  ///< kPlain where the outline is what counts
};

/// In the order of their names, which is the order of folders, too.
inline constexpr std::array<Class, 10> kClasses{{
    {"checks", Outline::kBlob, Pattern::kChecks},
    {"crescent", Outline::kCrescent, Pattern::kPlain},
    {"cross", Outline::kCross, Pattern::kPlain},
    {"disc", Outline::kDisc, Pattern::kPlain},
    {"dots", Outline::kBlob, Pattern::kDots},
    {"ring", Outline::kRing, Pattern::kPlain},
    {"square", Outline::kSquare, Pattern::kPlain},
    {"star", Outline::kStar, Pattern::kPlain},
    {"stripes", Outline::kBlob, Pattern::kStripes},
    {"triangle", Outline::kTriangle, Pattern::kPlain},
}};

/// A picture of that class, kPixels * 3 bytes: background, clutter, a smaller object of another class, the
/// object, what covers part of it, light, blur and noise.
void draw_scene(const Class& what, Dice& dice, uint8_t* dst);

}  // namespace xdn::generated
