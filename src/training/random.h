#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

namespace xdn::training {

/// Random numbers that are a function of (seed, epoch, index) alone: whoever asks, in whatever order, on any
/// number of threads and after any interruption gets the same. SplitMix64 (Steele, Lea, Flood 2014).
class Random {
 public:
  Random(uint64_t seed, uint64_t epoch, uint64_t index) : state_(mix(mix(mix(seed) + epoch) + index)) {}

  uint64_t bits() {
    state_ += 0x9E3779B97F4A7C15u;
    return mix(state_);
  }
  /// Every number of [0, n) equally likely; n >= 1.
  uint64_t below(uint64_t n) {
    const uint64_t first = (0 - n) % n;  // 2^64 mod n: what lies below would favour small numbers
    uint64_t value = bits();
    while (value < first) value = bits();
    return value % n;
  }
  int64_t between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(below(static_cast<uint64_t>(high - low) + 1));
  }
  /// [0, 1), multiples of 2^-53.
  double uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }
  /// Mean 0, deviation 1 (Box, Muller 1958).
  double normal() {
    const double radius = std::sqrt(-2 * std::log(1 - uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
  }

 private:
  static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  uint64_t state_;
};

}  // namespace xdn::training
