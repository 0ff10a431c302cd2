#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace xdn::training {

enum class ScheduleKind : uint8_t { kCosine, kOneCycle };
std::optional<ScheduleKind> parse_schedule(const std::string& name);

/// The learning rate over a run.
///   cosine:    0 -> peak, linear, over the warm-up; then peak -> 0 along half a cosine (Loshchilov, Hutter
///   2016) one-cycle: peak / 25 -> peak -> peak / 250,000, each along half a cosine; the first part is the
///   warm-up, or 30 %
///              of the run where there is none (Smith, Topin 2017)
struct Schedule {
  ScheduleKind kind = ScheduleKind::kCosine;
  double peak = 0.1;
  int64_t steps = 1, warmup_steps = 0;

  /// For step 0 ... steps - 1.
  double rate(int64_t step) const;
};

}  // namespace xdn::training
