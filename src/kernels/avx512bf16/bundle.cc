// The avx512bf16 bundle: avx512's vectors, and products of pairs of bf16 in one instruction.
#include <immintrin.h>

#include <utility>

#include "kernels/kernel_table.h"

#define XDN_BUNDLE avx512bf16

namespace xdn::kernels::avx512bf16 {
namespace {

#include "kernels/avx512/vec.inl"

#include "kernels/gemm.inl"

struct Bf16 {
  static constexpr Elem kElem = Elem::kBf16;
  static constexpr bool kSplit = false;
  using Acc = Vec::Type;
  using Panel = __m512bh;
  using Row = __m512bh;
  static __m512bh pairs(Vec::Bits bits) {
    __m512bh out;
    __builtin_memcpy(&out, &bits, sizeof(out));
    return out;
  }
  static Panel panel(const char* p) { return pairs(Vec::load_bits(p)); }
  static Row row(const char* p) { return pairs(Vec::set_word(p)); }
  static Acc dot(Row row, Panel panel, Acc acc) { return _mm512_dpbf16_ps(acc, row, panel); }
  static Acc start(const GemmArgs& g, int v) { return Vec::load(g.bias + v * Vec::kLanes); }
  static Vec::Type finish(const GemmArgs&, Acc acc, int) { return acc; }
};

}  // namespace

#include "kernels/family.inl"

const GemmFamily& family_bf16() {
  static constexpr GemmFamily kFamily = make_family<Bf16>();
  return kFamily;
}

}  // namespace xdn::kernels::avx512bf16
