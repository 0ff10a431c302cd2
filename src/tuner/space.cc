#include "tuner/space.h"

#include <algorithm>
#include <array>

namespace xdn::tuner {
namespace {

/// Images of a tile. Kernels take 6 to 24 rows at once: multiples of 12 leave no short blocks; below that
/// what counts is the memory of large images. Above 96 nothing is gained.
constexpr std::array kTiles{1, 2, 4, 8, 12, 16, 24, 32, 48, 96};

}  // namespace

std::vector<std::pair<int, int>> thread_splits(int threads) {
  constexpr int kAll = 4;
  std::vector<std::pair<int, int>> splits;
  for (int d = 1; d <= threads; ++d) {
    for (int m = 1; d * m <= threads; ++m) {
      if (threads <= kAll || d * m * 2 > threads || d * m == 1) splits.emplace_back(d, m);
    }
  }
  return splits;
}

std::vector<Settings> make_space(const SpaceOptions& options) {
  std::vector<Settings> space;
  const bool single = options.scenario == Scenario::kSingleStream;
  for (const auto& precision : options.precisions) {
    for (const auto& [d, m] : thread_splits(options.threads)) {
      if (single && d > 1) continue;
      for (const int tile : kTiles) {
        if (tile > 1 && (single || tile > options.most_tile)) continue;
        for (const bool huge : {true, false}) space.push_back({precision, d, m, tile, huge, {}});
      }
    }
  }
  return space;
}

std::vector<LayerLayout> panel_variants() {
  std::vector<LayerLayout> variants;
  for (int vectors = 1; vectors <= 4; ++vectors) variants.push_back({vectors, LoopOrder::kChosen});
  return variants;
}

std::vector<LoopOrder> order_variants() { return {LoopOrder::kRowsOuter, LoopOrder::kPanelsOuter}; }

}  // namespace xdn::tuner
