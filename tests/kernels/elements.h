#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>

#include "kernels/gemm.h"

namespace xdn::testing {

using kernels::Arith;
using kernels::Elem;

inline const char* name(Arith arith) {
  return arith == Arith::kF32 ? "f32" : arith == Arith::kBf16 ? "bf16" : "i8";
}
inline const char* name(Elem elem) {
  return elem == Elem::kF32 ? "f32" : elem == Elem::kBf16 ? "bf16" : "u8";
}

/// The elements an arithmetic multiplies.
inline Elem elem_of(Arith arith) {
  return arith == Arith::kF32 ? Elem::kF32 : arith == Arith::kBf16 ? Elem::kBf16 : Elem::kU8;
}

inline float bf16_to_float(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof(value));
  return value;
}

/// To nearest, half to even, of finite values: by way of the two neighbours, not of the usual bit trick.
inline uint16_t float_to_bf16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  const auto toward_zero = static_cast<uint16_t>(bits >> 16);
  const auto away = static_cast<uint16_t>(toward_zero + 1);
  const uint32_t rest = bits & 0xFFFFu;
  if (rest != 0x8000u) return rest < 0x8000u ? toward_zero : away;
  return toward_zero % 2 == 0 ? toward_zero : away;
}

/// To the nearest integer, half to even, whatever the thread's rounding mode; |value| < 2^51.
inline double round_half_even(double value) {
  const double below = std::floor(value), rest = value - below;
  if (rest != 0.5) return rest < 0.5 ? below : below + 1;
  return std::fmod(below, 2) == 0 ? below : below + 1;
}
inline bool is_tie(double value) { return value - std::floor(value) == 0.5; }

inline float load_elem(Elem elem, const void* row, int64_t i) {
  const char* p = static_cast<const char*>(row) + i * kernels::elem_bytes(elem);
  if (elem == Elem::kU8) return static_cast<float>(*reinterpret_cast<const uint8_t*>(p));
  if (elem == Elem::kBf16) {
    uint16_t bits;
    std::memcpy(&bits, p, sizeof(bits));
    return bf16_to_float(bits);
  }
  float value;
  std::memcpy(&value, p, sizeof(value));
  return value;
}

/// A u8 is rounded and saturated.
inline void store_elem(Elem elem, void* row, int64_t i, float value) {
  char* p = static_cast<char*>(row) + i * kernels::elem_bytes(elem);
  if (elem == Elem::kU8) {
    const float kept = value < 0 ? 0 : value > 255 ? 255 : value;
    *reinterpret_cast<uint8_t*>(p) = static_cast<uint8_t>(round_half_even(static_cast<double>(kept)));
  } else if (elem == Elem::kBf16) {
    const uint16_t bits = float_to_bf16(value);
    std::memcpy(p, &bits, sizeof(bits));
  } else {
    std::memcpy(p, &value, sizeof(value));
  }
}

}  // namespace xdn::testing
