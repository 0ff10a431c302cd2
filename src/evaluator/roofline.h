#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "executor/executor.h"

namespace xdn {

/// What bounds the steps of a plan on this machine, of all its threads together.
struct Peaks {
  std::map<std::string, double> macs_per_second;  ///< by arithmetic (StepReport::arith)
  double bytes_per_second = 0;                    ///< read from memory
};

/// Measures both, of all arithmetics that the instruction set has, as measure_peak and measure_bandwidth do:
/// in about half a second. Takes a buffer larger than the last cache meanwhile.
Peaks measure_peaks(Isa isa, int threads);

/// Where a profiled step stands under the roofline (Williams, Waterman, Patterson: "Roofline", 2009). Bytes
/// are counted as if all came from memory: activations read and written, and the weights once per tile.
/// Caches may hold them, so that a step stands above the roof that memory is; never above the other.
struct RooflinePoint {
  double macs_per_second = 0, peak_share = 0;  ///< 0 for a step without multiply-accumulates
  double macs_per_byte = 0;
  double bytes_per_second = 0;
  bool memory_bound = false;  ///< moving its bytes takes longer than computing at the peak
};

/// The step's time is that of `images` images, which went through in tiles of `tile`.
RooflinePoint roofline_point(const StepReport& step, int64_t images, int64_t tile, const Peaks& peaks);

}  // namespace xdn
