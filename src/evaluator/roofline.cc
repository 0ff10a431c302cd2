#include "evaluator/roofline.h"

#include "base/error.h"
#include "evaluator/bandwidth.h"
#include "evaluator/peak.h"

namespace xdn {

Peaks measure_peaks(Isa isa, int threads) {
  Peaks peaks;
  for (const char* arith : {"f32", "bf16", "i8"}) {
    const double peak = measure_peak(isa, arith, threads);
    if (peak > 0) peaks.macs_per_second[arith] = peak;
  }
  peaks.bytes_per_second = measure_bandwidth(threads);
  return peaks;
}

RooflinePoint roofline_point(const StepReport& step, int64_t images, int64_t tile, const Peaks& peaks) {
  XDN_CHECK(images >= 1 && tile >= 1);
  const auto macs = static_cast<double>(step.macs);
  const double bytes = static_cast<double>(step.activation_bytes) +
                       static_cast<double>(step.weight_bytes) / static_cast<double>(tile);
  const auto found = peaks.macs_per_second.find(step.arith);
  const double peak = found == peaks.macs_per_second.end() ? 0 : found->second;
  RooflinePoint point;
  if (step.seconds > 0) {
    point.macs_per_second = macs * static_cast<double>(images) / step.seconds;
    point.bytes_per_second = bytes * static_cast<double>(images) / step.seconds;
  }
  if (peak > 0) point.peak_share = point.macs_per_second / peak;
  if (bytes > 0) point.macs_per_byte = macs / bytes;
  const double computing = peak > 0 ? macs / peak : 0;
  point.memory_bound = step.macs == 0 || bytes / peaks.bytes_per_second > computing;
  return point;
}

}  // namespace xdn
