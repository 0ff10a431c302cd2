#pragma once

#include "data/preprocess.h"
#include "executor/executor.h"

namespace xdn::testing {

/// (pixel * scale - mean) / std of an image in colour, computed apart from the command line's own code: a
/// second opinion.
inline PixelMap pixel_map(const Preprocess& preprocess) {
  PixelMap map;
  for (size_t c = 0; c < 3; ++c) {
    map.scale.push_back(preprocess.scale / preprocess.std[c]);
    map.shift.push_back(-preprocess.mean[c] / preprocess.std[c]);
    map.source_channel.push_back(static_cast<int>(preprocess.bgr ? 2 - c : c));
  }
  return map;
}

}  // namespace xdn::testing
