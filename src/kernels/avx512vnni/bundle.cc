// The avx512vnni bundle: avx512's vectors, and u8 by s8 products in one instruction.
#include <immintrin.h>

#include <utility>

#include "kernels/kernel_table.h"

#define XDN_BUNDLE avx512vnni

namespace xdn::kernels::avx512vnni {
namespace {

#include "kernels/avx512/vec.inl"

#include "kernels/gemm.inl"

#include "kernels/gemm_widened.inl"

struct I8 : IntegerSums {
  static constexpr bool kSplit = false;
  using Panel = Vec::Bits;
  using Row = Vec::Bits;
  static Panel panel(const char* p) { return Vec::load_bits(p); }
  static Row row(const char* p) { return Vec::set_word(p); }
  static Acc dot(Row row, Panel panel, Acc acc) { return _mm512_dpbusd_epi32(acc, row, panel); }
};

}  // namespace

#include "kernels/family.inl"

const GemmFamily& family_i8() {
  static constexpr GemmFamily kFamily = make_family<I8>();
  return kFamily;
}

}  // namespace xdn::kernels::avx512vnni
