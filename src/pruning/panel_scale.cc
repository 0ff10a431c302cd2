#include "pruning/panel_scale.h"

#include <algorithm>
#include <map>
#include <optional>

#include "pruning/latency_table.h"

namespace xdn::pruning {
namespace {

constexpr double kWhole = 64;

/// Seconds by output width, at one input width.
using Curve = std::map<int64_t, double>;

std::vector<Curve> curves_of(const std::vector<LatencyShape>& shapes) {
  std::vector<Curve> out;
  for (const LatencyShape& shape : shapes) {
    if (!shape.dense) continue;
    std::map<int64_t, Curve> by_input;
    for (const LatencyShape::Point& point : shape.points) by_input[point.in][point.out] = point.seconds;
    for (auto& [in, curve] : by_input) out.push_back(std::move(curve));
  }
  return out;
}

std::optional<double> at(const Curve& curve, int64_t width) {
  const auto found = curve.find(width);
  return found == curve.end() ? std::nullopt : std::optional(found->second);
}

std::optional<double> median(std::vector<double> values) {
  if (values.empty()) return std::nullopt;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// What `rest` channels take, in channels of a whole panel, by layers whose time for a panel is known.
std::optional<double> measured_rest(const std::vector<Curve>& curves, int64_t rest) {
  std::vector<double> values;
  for (const Curve& curve : curves) {
    const auto one = at(curve, 64), two = at(curve, 128);
    if (!one || !two || *two <= *one) continue;
    const double per_channel = (*two - *one) / kWhole;
    if (const auto less = at(curve, rest)) values.push_back(kWhole - (*one - *less) / per_channel);
    if (const auto more = at(curve, 64 + rest)) values.push_back((*more - *one) / per_channel);
  }
  return median(std::move(values));
}

/// The same for 48 channels, by layers of 64 at most: what 32 take is known.
std::optional<double> measured_48(const std::vector<Curve>& curves, double of_32) {
  std::vector<double> values;
  for (const Curve& curve : curves) {
    const auto half = at(curve, 32), most = at(curve, 48), one = at(curve, 64);
    if (!half || !most || !one || *one <= *half || of_32 >= kWhole) continue;
    values.push_back(kWhole - (*one - *most) * (kWhole - of_32) / (*one - *half));
  }
  return median(std::move(values));
}

}  // namespace

PanelScale::PanelScale(const std::vector<LatencyShape>& shapes) {
  const std::vector<Curve> curves = curves_of(shapes);
  rests_[1] = measured_rest(curves, 16).value_or(rests_[1]);
  rests_[2] = measured_rest(curves, 32).value_or(rests_[2]);
  const auto of_48 = measured_rest(curves, 48);
  rests_[3] = of_48 ? *of_48 : measured_48(curves, rests_[2]).value_or(rests_[3]);
  // Never less than in proportion, nor more than a panel, whatever noise says.
  for (size_t i = 1; i + 1 < rests_.size(); ++i) {
    const double share = static_cast<double>(i) * kVector;
    rests_[i] = std::clamp(rests_[i], std::max(share, rests_[i - 1]), kWhole);
  }
}

double PanelScale::position(int64_t width) const {
  const int64_t rest = width % kPanel;
  const auto vectors = static_cast<size_t>(rest / kVector);
  const double part = static_cast<double>(rest % kVector) / kVector;
  return static_cast<double>(width - rest) + rests_[vectors] + part * (rests_[vectors + 1] - rests_[vectors]);
}

}  // namespace xdn::pruning
