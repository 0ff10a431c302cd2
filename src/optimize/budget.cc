#include "optimize/budget.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace xdn::optimize {
namespace {

constexpr double kStart = 1.5;       // of a process: loading, planning, verifying packs
constexpr double kMeasured = 4;      // seconds of runs in turn, and the original's logits
constexpr double kCalibration = 10;  // passes that a calibration image costs (ResNet-50: 6.9 s per 1,000)
constexpr double kTrials = 4;        // choices of layers that are usually judged
constexpr double kTrainedPass = 7, kTeacher = 1;  // of an inference in float32 (ResNet-50, pruned and whole)
constexpr double kTableImages = 90'000;           // 25 networks, 7 turns of 512 images
constexpr double kTableShare = 0.15;              // their widths, in 8 bits, to the whole in float32
constexpr double kCautious = 0.9;                 // an epoch's time drifts by a tenth
constexpr int64_t kFewestEpochs = 8;              // fewer say little about what a pruned model can reach

}  // namespace

Clock steady_clock() {
  return [] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  };
}

double estimate(Stage stage, const Rates& rates) {
  const auto passes = [&](double images) { return images * rates.image_seconds; };
  const auto val = static_cast<double>(rates.val), test = static_cast<double>(rates.test);
  const double judged = kStart + kMeasured + passes(2 * val);
  switch (stage) {
    case Stage::kBaseline:
    case Stage::kPrune:
    case Stage::kQat:
      return 0;
    case Stage::kTable:
      return kStart + passes(kTableImages * kTableShare);
    case Stage::kFuse:
      return judged;
    case Stage::kQuantize:
      return judged + passes(static_cast<double>(rates.calibration) * kCalibration + kTrials * val);
    case Stage::kModel:
      return kStart;
    case Stage::kTune:
      return kStart + rates.tune_seconds;
    case Stage::kTest:
      return judged + passes(2 * test);
    case Stage::kReport:
      return 2 * kStart + kMeasured + passes(2 * std::max(test, val));
  }
  return 0;
}

double reserve_after(Stage stage, const Rates& rates) {
  double sum = 0;
  for (auto k = static_cast<int>(stage) + 1; k <= static_cast<int>(Stage::kReport); ++k)
    sum += estimate(static_cast<Stage>(k), rates);
  return sum;
}

double epoch_estimate(double share, const Rates& rates, double correction) {
  return correction * static_cast<double>(rates.train) * rates.image_seconds *
         (kTrainedPass * share + kTeacher);
}

Allotment allot(double seconds, int rungs, int64_t epochs, double epoch_seconds) {
  if (!std::isfinite(seconds)) return {epochs, kForever};
  const int64_t enough = std::min(epochs, kFewestEpochs);
  for (int parts = std::max(rungs, 1); parts >= 1; --parts) {
    const double part = std::max(seconds, 0.0) / parts;
    const double fit = kCautious * part / std::max(epoch_seconds, 1e-9);
    const int64_t whole = fit >= static_cast<double>(epochs) ? epochs : static_cast<int64_t>(fit);
    if (whole >= enough || parts == 1) return {whole, part};
  }
  return {};
}

Deadline::Deadline(std::optional<double> seconds, Clock clock)
    : seconds_(seconds), clock_(std::move(clock)), start_(clock_()) {}

double Deadline::left() const { return seconds_ ? std::max(0.0, *seconds_ - elapsed()) : kForever; }

}  // namespace xdn::optimize
