#include "optimize/ladder.h"

#include <algorithm>
#include <cmath>

namespace xdn::optimize {
namespace {

constexpr double kStronger = 0.64;  // 0.25, 0.16, 0.10: steps that a ResNet-50's accuracy tells apart
constexpr double kNarrow =
    1.1;                       // what is this close to a share that was tried would not pay for its training
constexpr double kMost = 0.9;  // milder than this is within what a table mispredicts
constexpr double kAboveTheLeast = 1.02;  // the last widths cost most and save least

}  // namespace

Ladder::Ladder(double first, double least, int rungs)
    : first_(first), least_(least * kAboveTheLeast), rungs_(rungs) {}

std::optional<double> Ladder::next() const {
  if (rungs_ <= 0 || least_ > kMost) return std::nullopt;
  const bool tried = failed_ > 0 || good_ < 1;
  double share = failed_ > 0 ? std::sqrt(failed_ * good_) : tried ? good_ * kStronger : first_;
  share = std::clamp(share, least_, kMost);
  if (tried && (good_ < share * kNarrow || share < failed_ * kNarrow)) return std::nullopt;
  return share;
}

void Ladder::add(double share, bool good) {
  --rungs_;
  if (good) {
    good_ = std::min(good_, share);
  } else {
    failed_ = std::max(failed_, share);
  }
}

}  // namespace xdn::optimize
