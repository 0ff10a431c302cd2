// The avx2 bundle: avx2, fma, f16c.
#include <immintrin.h>

#include "kernels/kernel_table.h"

#define XDN_BUNDLE avx2

namespace xdn::kernels::avx2 {
namespace {

struct Vec {
  using Type = __m256;
  static constexpr int kLanes = 8;
  static __m256i first(int64_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static Type zero() { return _mm256_setzero_ps(); }
  static Type set(float x) { return _mm256_set1_ps(x); }
  static Type load(const float* p) { return _mm256_loadu_ps(p); }
  static Type load_some(const float* p, int64_t n) { return _mm256_maskload_ps(p, first(n)); }
  static Type broadcast(const float* p) { return _mm256_broadcast_ss(p); }
  static Type fma(Type a, Type b, Type c) { return _mm256_fmadd_ps(a, b, c); }
  static Type add(Type a, Type b) { return _mm256_add_ps(a, b); }
  static Type mul(Type a, Type b) { return _mm256_mul_ps(a, b); }
  static Type max(Type a, Type b) { return _mm256_max_ps(a, b); }
  static Type min(Type a, Type b) { return _mm256_min_ps(a, b); }
  static Type blend_negative(Type v, Type w) {
    return _mm256_blendv_ps(v, w, _mm256_cmp_ps(v, zero(), _CMP_LT_OQ));
  }
  static void store(float* p, Type v) { _mm256_storeu_ps(p, v); }
  static void store_some(float* p, Type v, int64_t n) { _mm256_maskstore_ps(p, first(n), v); }
};

#include "kernels/elementwise.inl"
#include "kernels/gemm_f32.inl"

}  // namespace

#include "kernels/table.inl"

}  // namespace xdn::kernels::avx2
