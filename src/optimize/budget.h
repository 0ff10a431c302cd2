#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>

#include "optimize/stages.h"

namespace xdn::optimize {

inline constexpr double kForever = std::numeric_limits<double>::infinity();

/// Seconds since some moment.
using Clock = std::function<double()>;
/// The machine's, since its own beginning.
Clock steady_clock();

/// What stage costs are estimated from: numbers that the baseline measured, in images and seconds per image.
struct Rates {
  double image_seconds = 0;  ///< of the model as it is, in float32
  int64_t val = 0, test = 0, train = 0, calibration = 0;
  double tune_seconds = 0;  ///< what tuning may take
};

/// Seconds that a stage will take, about: everything but training. 0 for those before it.
double estimate(Stage stage, const Rates& rates);
/// Of all stages behind this one, but quantization-aware training, which is not reserved for.
double reserve_after(Stage stage, const Rates& rates);

/// Seconds of an epoch of a model pruned to this share of the time, teacher included. `correction` is what
/// epochs that were seen took, to what was estimated.
double epoch_estimate(double share, const Rates& rates, double correction);

/// A training that fits: so many epochs, in so many seconds.
struct Allotment {
  int64_t epochs = 0;  ///< 0: none fits
  double seconds = 0;
};
/// `seconds` are for up to `rungs` trainings of `epochs` epochs, an epoch of the next taking
/// `epoch_seconds`. Fewer trainings where epochs would become too few to judge a model by.
Allotment allot(double seconds, int rungs, int64_t epochs, double epoch_seconds);

/// When everything has to be done.
class Deadline {
 public:
  Deadline(std::optional<double> seconds, Clock clock);

  bool set() const { return seconds_.has_value(); }
  double elapsed() const { return clock_() - start_; }
  /// kForever without one; never below 0.
  double left() const;

 private:
  std::optional<double> seconds_;
  Clock clock_;
  double start_;
};

}  // namespace xdn::optimize
