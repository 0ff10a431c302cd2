#pragma once

#include <vector>

#include "data/generated/dice.h"
#include "data/generated/raster.h"

namespace xdn::generated {

enum class Outline { kCrescent, kCross, kDisc, kRing, kSquare, kStar, kTriangle, kBlob };

/// How an outline comes to lie in the image.
struct Placement {
  Point centre;
  int32_t radius = 0;                ///< of the circle that the disc fills
  int32_t aspect = 256;              ///< the narrow diameter, in 256ths of the wide one
  int32_t narrow = 0, rotation = 0;  ///< angles: of the narrow diameter in the outline; of the whole
};

/// The outline with a wavy edge and, one time in four, on its way to another outline (at most two fifths of
/// it), so that some are hard to tell. kBlob: a smooth random closed curve.
std::vector<Contour> draw_outline(Outline outline, const Placement& placement, Dice& dice);

}  // namespace xdn::generated
