#include "pruning/panel_scale.h"

#include <gtest/gtest.h>

#include "pruning/latency_table.h"

namespace xdn::testing {
namespace {

using pruning::LatencyShape;
using pruning::PanelScale;

/// Of 16, 32 and 48 channels over whole panels.
double true_position(int64_t width) {
  const double rests[] = {0, 40, 50, 61};
  return static_cast<double>(width / 64 * 64) + rests[width % 64 / 16];
}

LatencyShape layer(const std::vector<int64_t>& outputs, double constant, double slope) {
  LatencyShape shape;
  for (const int64_t in : {32, 96}) {
    for (const int64_t out : outputs)
      shape.points.push_back({in, out, constant + slope * static_cast<double>(in) * true_position(out)});
  }
  return shape;
}

TEST(PanelScale, IsTheWidthWhereNothingIsMeasured) {
  for (const int64_t width : {1, 7, 16, 63, 64, 144, 150})
    EXPECT_EQ(PanelScale().position(width), static_cast<double>(width));
  EXPECT_EQ(PanelScale({layer({64, 128}, 1, 1)}).position(80), 80);
}

TEST(PanelScale, FindsWhatNarrowPanelsTake) {
  const PanelScale scale({layer({16, 32, 64, 96, 128}, 5, 0.1), layer({16, 32, 48, 64}, 2, 0.3)});
  for (const int64_t width : {16, 32, 48, 64, 80, 96, 112, 128, 144, 336})
    EXPECT_NEAR(scale.position(width), true_position(width), 1e-6) << width;
  EXPECT_NEAR(scale.position(8), 20, 1e-6);
}

TEST(PanelScale, StaysBetweenTheShareAndAPanelWhateverWasMeasured) {
  LatencyShape noisy;
  for (const auto& [out, seconds] : {std::pair{16, 9.0}, {32, 0.1}, {64, 5.0}, {128, 6.0}})
    noisy.points.push_back({32, out, seconds});
  const PanelScale scale({noisy});
  double last = 0;
  for (int64_t width = 16; width <= 256; width += 16) {
    EXPECT_GE(scale.position(width), last);
    EXPECT_GE(scale.position(width), static_cast<double>(width));
    EXPECT_LE(scale.position(width), static_cast<double>((width + 63) / 64 * 64));
    last = scale.position(width);
  }
}

}  // namespace
}  // namespace xdn::testing
