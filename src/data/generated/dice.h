#pragma once

#include <cstdint>

#include "base/error.h"

namespace xdn::generated {

/// Random integers that are a function of (seed, stream, index) alone, by integer arithmetic alone: the same
/// on every machine and for every compiler. SplitMix64 (Steele, Lea, Flood 2014). Callers throw in an order
/// that the language fixes: one throw per statement, or inside braces.
class Dice {
 public:
  Dice(uint64_t seed, uint64_t stream, uint64_t index) : state_(mix(mix(mix(seed) + stream) + index)) {}

  uint64_t bits() {
    state_ += 0x9E3779B97F4A7C15u;
    return mix(state_);
  }
  /// A number of [low, high]; high - low < 2^16, so that none is likelier than another by more than 2^-16.
  int32_t between(int32_t low, int32_t high) {
    XDN_CHECK(low <= high && high - low < 0x10000);
    const auto count = static_cast<uint64_t>(high - low) + 1;
    return low + static_cast<int32_t>(((bits() >> 32) * count) >> 32);
  }
  bool chance(int32_t percent) { return between(1, 100) <= percent; }

  static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }

 private:
  uint64_t state_;
};

}  // namespace xdn::generated
