#pragma once

#include <cstdint>
#include <memory>

#include "data/dataset.h"

namespace xdn {

/// Made-up labelled pictures, for where no data set is at hand: 32 x 32 RGB, ten classes (a crescent, cross,
/// disc, ring, square, star or triangle without a pattern, or any outline with checks, dots or stripes), in
/// front of a background and clutter, partly covered, under uneven light, with noise. Some are hard to tell,
/// as in photographs. Image i has label i mod 10 and follows from (seed, half, i) alone, by integer
/// arithmetic alone: the same bytes on every machine, and a longer data set begins with the shorter one. The
/// halves have no random number in common. read() draws.
std::unique_ptr<Dataset> generate_dataset(Split half, int64_t images, uint64_t seed);

}  // namespace xdn
