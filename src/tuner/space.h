#pragma once

#include <optional>
#include <vector>

#include "tuner/settings.h"

namespace xdn::tuner {

/// Of the axes and their values below; a record of another version is out of date.
inline constexpr int kSpaceVersion = 1;

struct SpaceOptions {
  Scenario scenario = Scenario::kOffline;
  int threads = 1;                                                 ///< d * m is at most this
  int most_tile = 96;                                              ///< larger tiles are left out
  std::vector<std::optional<Precision>> precisions{std::nullopt};  ///< empty: the file's own
};

/// Data-parallel workers d and threads inside each, m, with d * m <= threads: all pairs of up to four
/// threads; beyond that those that leave less than half of the threads idle, and one thread.
std::vector<std::pair<int, int>> thread_splits(int threads);

/// All global settings: precision x (d, m) x tile x huge pages. A single stream has one worker and tiles of
/// one image.
std::vector<Settings> make_space(const SpaceOptions& options);

/// Widths of panels, in vectors, and loop orders that a dense layer may have.
std::vector<LayerLayout> panel_variants();
std::vector<LoopOrder> order_variants();

}  // namespace xdn::tuner
