#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace xdn::pruning {

struct LatencyShape;

/// Where an output width lies on a line along which a layer's time is straight. Kernels compute outputs in
/// panels of 64 channels; what is left over runs in a narrower panel, whose time is more than its share, most
/// of all in int8, where a few channels cost almost what 64 do.
class PanelScale {
 public:
  /// The width itself.
  PanelScale() = default;
  /// By the medians of what layers measured at 64 and 128 outputs, and at 16, 32, 48 or 64 more than these,
  /// say. Widths that no layer has stay in proportion.
  explicit PanelScale(const std::vector<LatencyShape>& shapes);

  double position(int64_t width) const;

 private:
  static constexpr int64_t kPanel = 64, kVector = 16;
  /// Of 0, 16, 32, 48 and 64 channels; ascending.
  std::array<double, kPanel / kVector + 1> rests_{0, 16, 32, 48, 64};
};

}  // namespace xdn::pruning
