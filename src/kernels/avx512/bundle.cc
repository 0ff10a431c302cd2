// The avx512 bundle: f, bw, vl, dq.
#include <immintrin.h>

#include "kernels/kernel_table.h"

#define XDN_BUNDLE avx512

namespace xdn::kernels::avx512 {
namespace {

struct Vec {
  using Type = __m512;
  static constexpr int kLanes = 16;
  static __mmask16 first(int64_t n) { return static_cast<__mmask16>((1u << n) - 1u); }
  static Type zero() { return _mm512_setzero_ps(); }
  static Type set(float x) { return _mm512_set1_ps(x); }
  static Type load(const float* p) { return _mm512_loadu_ps(p); }
  static Type load_some(const float* p, int64_t n) { return _mm512_maskz_loadu_ps(first(n), p); }
  static Type broadcast(const float* p) { return _mm512_set1_ps(*p); }
  static Type fma(Type a, Type b, Type c) { return _mm512_fmadd_ps(a, b, c); }
  static Type add(Type a, Type b) { return _mm512_add_ps(a, b); }
  static Type mul(Type a, Type b) { return _mm512_mul_ps(a, b); }
  static Type max(Type a, Type b) { return _mm512_max_ps(a, b); }
  static Type min(Type a, Type b) { return _mm512_min_ps(a, b); }
  static Type blend_negative(Type v, Type w) {
    return _mm512_mask_mov_ps(v, _mm512_cmp_ps_mask(v, zero(), _CMP_LT_OQ), w);
  }
  static void store(float* p, Type v) { _mm512_storeu_ps(p, v); }
  static void store_some(float* p, Type v, int64_t n) { _mm512_mask_storeu_ps(p, first(n), v); }
};

#include "kernels/elementwise.inl"
#include "kernels/gemm_f32.inl"

}  // namespace

#include "kernels/table.inl"

}  // namespace xdn::kernels::avx512
