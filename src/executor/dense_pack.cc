#include <algorithm>
#include <cstring>

#include "base/dtype.h"
#include "executor/dense_step.h"

namespace xdn {

PackedWeights::PackedWeights(int64_t count, bool huge_pages)
    : bytes(allocate_pages(count + 64, huge_pages)), size(count) {}

namespace {

/// Words are gathered 16 at a time along k, so that the lines read and the lines written both stay in L1.
constexpr int64_t kBlock = 16;

template <class Src, class Dst, int PerWord, class Convert>
void pack(Dst* dst, const Src* src, int64_t rows, int64_t columns, int64_t channels, int64_t taps,
          Convert convert) {
  const int64_t words = (channels + PerWord - 1) / PerWord;
  for (int64_t block = 0; block < words; block += kBlock) {
    const int64_t last = std::min(block + kBlock, words);
    for (int64_t j = 0; j < rows; ++j) {
      const Src* from = src + j * channels * taps;
      for (int64_t k = block; k < last; ++k) {
        Dst* word = dst + (k * columns + j) * PerWord;
        for (int64_t i = 0; i < PerWord; ++i) {
          const int64_t c = k * PerWord + i;
          word[i] = c < channels ? convert(from[c * taps]) : Dst{};
        }
      }
    }
    for (int64_t k = block; k < last && rows < columns; ++k) {
      std::fill(dst + (k * columns + rows) * PerWord, dst + (k + 1) * columns * PerWord, Dst{});
    }
  }
}

}  // namespace

void pack_tap(kernels::Arith arith, std::byte* dst, const void* src, int64_t rows, int64_t columns,
              int64_t channels, int64_t taps) {
  switch (arith) {
    case kernels::Arith::kF32:
      return pack<float, float, 1>(reinterpret_cast<float*>(dst), static_cast<const float*>(src), rows,
                                   columns, channels, taps, [](float x) { return x; });
    case kernels::Arith::kBf16:
      return pack<float, uint16_t, 2>(reinterpret_cast<uint16_t*>(dst), static_cast<const float*>(src), rows,
                                      columns, channels, taps, [](float x) { return BFloat16(x).bits; });
    case kernels::Arith::kI8:
      return pack<int8_t, int8_t, 4>(reinterpret_cast<int8_t*>(dst), static_cast<const int8_t*>(src), rows,
                                     columns, channels, taps, [](int8_t x) { return x; });
  }
}

}  // namespace xdn
