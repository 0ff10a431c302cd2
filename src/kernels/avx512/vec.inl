// Vectors of 16 lanes, for inclusion inside the namespace of every bundle that builds on avx512.

#define XDN_VECTOR_REGISTER "v"

struct Vec {
  using Type = __m512;
  using Bits = __m512i;
  static constexpr int kLanes = 16;
  static __mmask16 first(int64_t n) { return static_cast<__mmask16>((1u << n) - 1u); }
  static Type zero() { return _mm512_setzero_ps(); }
  static Type set(float x) { return _mm512_set1_ps(x); }
  static Type load(const float* p) { return _mm512_loadu_ps(p); }
  static Type load_some(const float* p, int64_t n) { return _mm512_maskz_loadu_ps(first(n), p); }
  static Type fma(Type a, Type b, Type c) { return _mm512_fmadd_ps(a, b, c); }
  static Type add(Type a, Type b) { return _mm512_add_ps(a, b); }
  static Type mul(Type a, Type b) { return _mm512_mul_ps(a, b); }
  static Type div(Type a, Type b) { return _mm512_div_ps(a, b); }
  static Type max(Type a, Type b) { return _mm512_max_ps(a, b); }
  static Type min(Type a, Type b) { return _mm512_min_ps(a, b); }
  static Type round(Type v) { return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  static Type blend_negative(Type v, Type w) {
    return _mm512_mask_mov_ps(v, _mm512_cmp_ps_mask(v, zero(), _CMP_LT_OQ), w);
  }
  static void store(float* p, Type v) { _mm512_storeu_ps(p, v); }
  static void store_some(float* p, Type v, int64_t n) { _mm512_mask_storeu_ps(p, first(n), v); }

  static Type from_bf16(__m256i b) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(b), 16));
  }
  static Type load_bf16(const uint16_t* p) {
    return from_bf16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static Type load_bf16_some(const uint16_t* p, int64_t n) {
    return from_bf16(_mm256_maskz_loadu_epi16(first(n), p));
  }
#if defined(__AVX512BF16__)
  static __m256i to_bf16(Type v) {
    const __m256bh rounded = _mm512_cvtneps_pbh(v);
    __m256i bits;
    __builtin_memcpy(&bits, &rounded, sizeof(bits));
    return bits;
  }
#else
  static __m256i to_bf16(Type v) {
    const Bits bits = _mm512_castps_si512(v);
    const Bits odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const Bits half = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF));
    const Bits rounded = _mm512_srli_epi32(_mm512_add_epi32(bits, half), 16);
    const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    return _mm512_cvtepi32_epi16(_mm512_mask_mov_epi32(rounded, nan, _mm512_set1_epi32(0x7FC0)));
  }
#endif
  static void store_bf16(uint16_t* p, Type v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), to_bf16(v)); }
  static void store_bf16_some(uint16_t* p, Type v, int64_t n) { _mm256_mask_storeu_epi16(p, first(n), to_bf16(v)); }

  static Type from_u8(__m128i b) { return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(b)); }
  static Type load_u8(const uint8_t* p) { return from_u8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
  static Type load_u8_some(const uint8_t* p, int64_t n) { return from_u8(_mm_maskz_loadu_epi8(first(n), p)); }
  static __m128i to_u8(Type v) { return _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v)); }
  static void store_u8(uint8_t* p, Type v) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), to_u8(v)); }
  static void store_u8_some(uint8_t* p, Type v, int64_t n) { _mm_mask_storeu_epi8(p, first(n), to_u8(v)); }

  template <int Vectors>
  static void store_packed(uint8_t* p, const Type (&v)[Vectors]) {
    const Bits zero = _mm512_setzero_si512();
    const Bits a = _mm512_cvtps_epi32(v[0]);
    const Bits b = Vectors > 1 ? _mm512_cvtps_epi32(v[Vectors > 1 ? 1 : 0]) : zero;
    const Bits c = Vectors > 2 ? _mm512_cvtps_epi32(v[Vectors > 2 ? 2 : 0]) : zero;
    const Bits d = Vectors > 3 ? _mm512_cvtps_epi32(v[Vectors > 3 ? 3 : 0]) : zero;
    const Bits high = Vectors > 2 ? _mm512_packs_epi32(c, d) : zero;
    // Each 128-bit lane holds four elements of a, b, c, d in turn.
    const Bits mixed = _mm512_packus_epi16(_mm512_packs_epi32(a, b), high);
    const Bits order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const Bits bytes = _mm512_permutexvar_epi32(order, mixed);
    if constexpr (Vectors == 4) {
      _mm512_storeu_si512(p, bytes);
    } else if constexpr (Vectors == 1) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_castsi512_si128(bytes));
    } else {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_castsi512_si256(bytes));
      if constexpr (Vectors == 3) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 32), _mm512_extracti32x4_epi32(bytes, 2));
      }
    }
  }

  static Bits max_u8(Bits a, Bits b) { return _mm512_max_epu8(a, b); }
  static void store_bits(void* p, Bits v) { _mm512_storeu_si512(p, v); }
  static Bits load_bits(const void* p) { return _mm512_loadu_si512(p); }
  static Bits zero_bits() { return _mm512_setzero_si512(); }
  static Bits set_word(const char* p) {
    int32_t word;
    __builtin_memcpy(&word, p, sizeof(word));
    return _mm512_set1_epi32(word);
  }
  static Bits even_u8(Bits b) { return _mm512_and_si512(b, _mm512_set1_epi32(0x00FF00FF)); }
  static Bits odd_u8(Bits b) { return _mm512_srli_epi16(b, 8); }
  static Bits even_s8(Bits b) { return _mm512_srai_epi16(_mm512_slli_epi16(b, 8), 8); }
  static Bits odd_s8(Bits b) { return _mm512_srai_epi16(b, 8); }
  static Bits madd_s16(Bits a, Bits b) { return _mm512_madd_epi16(a, b); }
  static Bits add_s32(Bits a, Bits b) { return _mm512_add_epi32(a, b); }
  static Type to_float(Bits b) { return _mm512_cvtepi32_ps(b); }
  static Type even_bf16(Bits b) { return _mm512_castsi512_ps(_mm512_slli_epi32(b, 16)); }
  static Type odd_bf16(Bits b) {
    return _mm512_castsi512_ps(_mm512_and_si512(b, _mm512_set1_epi32(static_cast<int>(0xFFFF0000u))));
  }
};
