// The avx2 bundle: avx2, fma, f16c.
#include <immintrin.h>

#include <utility>

#include "kernels/kernel_table.h"

#define XDN_BUNDLE avx2
#define XDN_VECTOR_REGISTER "x"

namespace xdn::kernels::avx2 {
namespace {

struct Vec {
  using Type = __m256;
  using Bits = __m256i;
  static constexpr int kLanes = 8;
  static __m256i first(int64_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static Type zero() { return _mm256_setzero_ps(); }
  static Type set(float x) { return _mm256_set1_ps(x); }
  static Type load(const float* p) { return _mm256_loadu_ps(p); }
  static Type load_some(const float* p, int64_t n) { return _mm256_maskload_ps(p, first(n)); }
  static Type fma(Type a, Type b, Type c) { return _mm256_fmadd_ps(a, b, c); }
  static Type add(Type a, Type b) { return _mm256_add_ps(a, b); }
  static Type mul(Type a, Type b) { return _mm256_mul_ps(a, b); }
  static Type div(Type a, Type b) { return _mm256_div_ps(a, b); }
  static Type max(Type a, Type b) { return _mm256_max_ps(a, b); }
  static Type min(Type a, Type b) { return _mm256_min_ps(a, b); }
  static Type round(Type v) { return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  static Type blend_negative(Type v, Type w) {
    return _mm256_blendv_ps(v, w, _mm256_cmp_ps(v, zero(), _CMP_LT_OQ));
  }
  static void store(float* p, Type v) { _mm256_storeu_ps(p, v); }
  static void store_some(float* p, Type v, int64_t n) { _mm256_maskstore_ps(p, first(n), v); }

  static Type from_bf16(__m128i b) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(b), 16));
  }
  static Type load_bf16(const uint16_t* p) {
    return from_bf16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static Type load_bf16_some(const uint16_t* p, int64_t n) {
    uint16_t some[kLanes] = {};
    __builtin_memcpy(some, p, static_cast<size_t>(n) * sizeof(uint16_t));
    return load_bf16(some);
  }
  static void store_bf16(uint16_t* p, Type v) {
    const Bits bits = _mm256_castps_si256(v);
    const Bits odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const Bits half = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF));
    const Bits rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, half), 16);
    const Bits nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    const Bits words = _mm256_blendv_epi8(rounded, _mm256_set1_epi32(0x7FC0), nan);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                     _mm_packus_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
  }
  static void store_bf16_some(uint16_t* p, Type v, int64_t n) {
    uint16_t some[kLanes];
    store_bf16(some, v);
    __builtin_memcpy(p, some, static_cast<size_t>(n) * sizeof(uint16_t));
  }

  static Type load_u8(const uint8_t* p) {
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
  }
  static Type load_u8_some(const uint8_t* p, int64_t n) {
    uint8_t some[kLanes] = {};
    __builtin_memcpy(some, p, static_cast<size_t>(n));
    return load_u8(some);
  }
  static void store_u8(uint8_t* p, Type v) {
    const Bits words = _mm256_cvtps_epi32(v);
    const __m128i halves = _mm_packs_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(halves, halves));
  }
  static void store_u8_some(uint8_t* p, Type v, int64_t n) {
    uint8_t some[kLanes];
    store_u8(some, v);
    __builtin_memcpy(p, some, static_cast<size_t>(n));
  }

  template <int Vectors>
  static void store_packed(uint8_t* p, const Type (&v)[Vectors]) {
    for (int i = 0; i < Vectors; ++i) store_u8(p + i * kLanes, v[i]);
  }

  static Bits max_u8(Bits a, Bits b) { return _mm256_max_epu8(a, b); }
  static void store_bits(void* p, Bits v) { _mm256_storeu_si256(static_cast<__m256i*>(p), v); }
  static Bits load_bits(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
  static Bits zero_bits() { return _mm256_setzero_si256(); }
  static Bits set_word(const char* p) {
    int32_t word;
    __builtin_memcpy(&word, p, sizeof(word));
    return _mm256_set1_epi32(word);
  }
  static Bits even_u8(Bits b) { return _mm256_and_si256(b, _mm256_set1_epi32(0x00FF00FF)); }
  static Bits odd_u8(Bits b) { return _mm256_srli_epi16(b, 8); }
  static Bits even_s8(Bits b) { return _mm256_srai_epi16(_mm256_slli_epi16(b, 8), 8); }
  static Bits odd_s8(Bits b) { return _mm256_srai_epi16(b, 8); }
  static Bits madd_s16(Bits a, Bits b) { return _mm256_madd_epi16(a, b); }
  static Bits add_s32(Bits a, Bits b) { return _mm256_add_epi32(a, b); }
  static Type to_float(Bits b) { return _mm256_cvtepi32_ps(b); }
  static Type even_bf16(Bits b) { return _mm256_castsi256_ps(_mm256_slli_epi32(b, 16)); }
  static Type odd_bf16(Bits b) {
    return _mm256_castsi256_ps(_mm256_and_si256(b, _mm256_set1_epi32(static_cast<int>(0xFFFF0000u))));
  }
};

#include "kernels/gemm.inl"

#include "kernels/gemm_widened.inl"

#include "kernels/elementwise.inl"

using Bf16 = WidenedBf16;
using I8 = WidenedI8;

}  // namespace

#include "kernels/family.inl"

#include "kernels/table.inl"

}  // namespace xdn::kernels::avx2
