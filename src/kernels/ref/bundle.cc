// The ref bundle: the slow twins, plain C++ in the vector bundles' order of operations (one fused
// multiply-add per product, max and min keep the second operand where the comparison fails), so that results
// are equal to the bit.
#include <cmath>
#include <cstring>

#include "kernels/kernel_table.h"

#define XDN_BUNDLE ref

namespace xdn::kernels::ref {
namespace {

struct Vec {
  static constexpr int kLanes = 16;
};
struct F32 {
  static constexpr Elem kElem = Elem::kF32;
};
struct Bf16 {
  static constexpr Elem kElem = Elem::kBf16;
};
struct I8 {
  static constexpr Elem kElem = Elem::kU8;
};

float from_bf16(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof(value));
  return value;
}

uint16_t to_bf16(float value) {
  if (std::isnan(value)) return 0x7FC0;
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return static_cast<uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

float maximum_of(float a, float b) { return a > b ? a : b; }
float minimum_of(float a, float b) { return a < b ? a : b; }
float clamp(float x, float lo, float hi) { return minimum_of(maximum_of(x, lo), hi); }

float load(Elem elem, const void* row, int64_t i) {
  switch (elem) {
    case Elem::kF32:
      return static_cast<const float*>(row)[i];
    case Elem::kBf16:
      return from_bf16(static_cast<const uint16_t*>(row)[i]);
    case Elem::kU8:
      break;
  }
  return static_cast<float>(static_cast<const uint8_t*>(row)[i]);
}

/// A u8 is rounded, half to even, and saturated.
void store(Elem elem, void* row, int64_t i, float value) {
  switch (elem) {
    case Elem::kF32:
      static_cast<float*>(row)[i] = value;
      return;
    case Elem::kBf16:
      static_cast<uint16_t*>(row)[i] = to_bf16(value);
      return;
    case Elem::kU8:
      static_cast<uint8_t*>(row)[i] = static_cast<uint8_t>(std::nearbyint(clamp(value, 0, 255)));
  }
}

float activate(const GemmArgs& g, float x) {
  switch (g.act) {
    case GemmAct::kRelu:
      return maximum_of(x, 0);
    case GemmAct::kLeakyRelu:
      return x < 0 ? x * g.lo : x;
    case GemmAct::kClip:
      return clamp(x, g.lo, g.hi);
    case GemmAct::kNone:
      break;
  }
  return x;
}

/// The epilogue of one element, from the value after bias (and scale) on.
void finish(const GemmArgs& g, bool integers, int64_t row, int64_t j, float v) {
  if (g.has_middle) {
    v = std::fmaf(std::nearbyint(clamp(v, g.middle_lo, g.middle_hi)), g.middle_scale, g.middle_shift);
  }
  if (g.residual != nullptr) {
    v = std::fmaf(load(g.residual_elem, static_cast<const char*>(g.residual) + row * g.ldr, j),
                  g.residual_scale, v);
  }
  v = activate(g, v);
  if (g.c_elem == Elem::kU8 && !integers) v = std::fmaf(v, g.c_scale, g.c_shift);
  store(g.c_elem, static_cast<char*>(g.c) + row * g.ldc, j, v);
}

float float_sum(const GemmArgs& g, Elem elem, int64_t row, int64_t j) {
  float sum = g.bias[j];
  const int64_t per_word = 4 / elem_bytes(elem);
  for (int64_t p = 0; p < g.n_pairs; ++p) {
    const GemmPair& pair = g.pairs[p];
    const char* a = static_cast<const char*>(pair.a) + row * pair.lda;
    for (int64_t k = 0; k < pair.k; ++k) {
      for (int64_t i = 0; i < per_word; ++i) {
        sum = std::fmaf(load(elem, a, k * per_word + i),
                        load(elem, pair.b, (k * g.panel_columns + j) * per_word + i), sum);
      }
    }
  }
  return sum;
}

int32_t integer_sum(const GemmArgs& g, int64_t row, int64_t j) {
  int32_t sum = g.start == nullptr ? 0 : g.start[j];
  for (int64_t p = 0; p < g.n_pairs; ++p) {
    const GemmPair& pair = g.pairs[p];
    const uint8_t* a = static_cast<const uint8_t*>(pair.a) + row * pair.lda;
    const auto* b = static_cast<const int8_t*>(pair.b);
    for (int64_t k = 0; k < pair.k; ++k) {
      const int8_t* word = b + (k * g.panel_columns + j) * 4;
      for (int64_t i = 0; i < 4; ++i)
        sum += static_cast<int32_t>(a[k * 4 + i]) * static_cast<int32_t>(word[i]);
    }
  }
  return sum;
}

template <class A, int Rows, int Vectors>
void gemm(const GemmArgs& g, int64_t row0) {
  for (int64_t row = row0; row < row0 + Rows; ++row) {
    for (int64_t j = 0; j < g.store_columns; ++j) {
      if constexpr (A::kElem == Elem::kU8) {
        finish(g, true, row, j, std::fmaf(static_cast<float>(integer_sum(g, row, j)), g.scale[j], g.bias[j]));
      } else {
        finish(g, false, row, j, float_sum(g, A::kElem, row, j));
      }
    }
  }
}

template <class A>
int64_t peak(int64_t rounds) {
  volatile float sum = 0;
  for (int64_t round = 0; round < rounds; ++round) sum = std::fmaf(1.0f, 1.0f, sum);
  return rounds;
}

void maximum(Elem elem, void* dst, const void* const* src, int64_t n_src, int64_t length) {
  for (int64_t i = 0; i < length; ++i) {
    float best = load(elem, src[0], i);
    for (int64_t s = 1; s < n_src; ++s) best = maximum_of(load(elem, src[s], i), best);
    store(elem, dst, i, best);
  }
}

template <class RowOf>
void average_rows(Elem src_elem, Elem dst_elem, void* dst, RowOf row_of, int64_t n_src, float scale,
                  float shift, int64_t length) {
  for (int64_t i = 0; i < length; ++i) {
    float sum = load(src_elem, row_of(0), i);
    for (int64_t s = 1; s < n_src; ++s) sum += load(src_elem, row_of(s), i);
    if (src_elem == Elem::kU8) {
      sum = std::fmaf(sum, scale, shift);
    } else {
      sum *= scale;
      if (shift != 0) sum += shift;
    }
    store(dst_elem, dst, i, sum);
  }
}

void average(Elem src_elem, Elem dst_elem, void* dst, const void* const* src, int64_t n_src, float scale,
             float shift, int64_t length) {
  average_rows(
      src_elem, dst_elem, dst, [src](int64_t s) { return src[s]; }, n_src, scale, shift, length);
}

void average_strided(Elem src_elem, Elem dst_elem, void* dst, const void* src, int64_t stride, int64_t n_src,
                     float scale, float shift, int64_t length) {
  const auto row_of = [=](int64_t s) { return static_cast<const char*>(src) + s * stride; };
  average_rows(src_elem, dst_elem, dst, row_of, n_src, scale, shift, length);
}

float combine(BinaryKind kind, float a, float b) {
  switch (kind) {
    case BinaryKind::kAdd:
      return a + b;
    case BinaryKind::kSub:
      return a - b;
    case BinaryKind::kMul:
      return a * b;
    case BinaryKind::kDiv:
      return a / b;
    case BinaryKind::kMax:
      break;
  }
  return a > b ? a : b;
}

void binary(Elem elem, BinaryKind kind, void* dst, const void* a, const void* b, int64_t length) {
  for (int64_t i = 0; i < length; ++i) store(elem, dst, i, combine(kind, load(elem, a, i), load(elem, b, i)));
}

void binary_channels(BinaryKind kind, bool swapped, float* dst, const float* a, const float* b, int64_t rows,
                     int64_t channels, int64_t ld) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < channels; ++c) {
      const float x = a[r * ld + c];
      dst[r * ld + c] = swapped ? combine(kind, b[c], x) : combine(kind, x, b[c]);
    }
  }
}

void unary(UnaryKind kind, float a, float b, float* dst, const float* src, int64_t length) {
  const auto clip = [](float x, float low, float high) {
    const float raised = x < low ? low : x;
    return raised > high ? high : raised;
  };
  for (int64_t i = 0; i < length; ++i) {
    const float x = src[i];
    switch (kind) {
      case UnaryKind::kRelu:
        dst[i] = x > 0 ? x : 0;
        break;
      case UnaryKind::kLeakyRelu:
        dst[i] = x < 0 ? x * a : x;
        break;
      case UnaryKind::kClip:
        dst[i] = clip(x, a, b);
        break;
      case UnaryKind::kSigmoid:
        dst[i] = 1.0f / (1.0f + std::exp(-x));
        break;
      case UnaryKind::kHardSigmoid:
        dst[i] = clip(x * a + b, 0, 1);
        break;
      case UnaryKind::kHardSwish:
        dst[i] = x * clip(x * (1.0f / 6.0f) + 0.5f, 0, 1);
        break;
    }
  }
}

void depthwise(Elem elem, const GemmArgs& g, const void* const* src, const float* const* weights,
               int64_t n_taps, const float* start_sums, int64_t rows, int64_t ld_src) {
  const bool integers = elem == Elem::kU8;
  const float* start = integers ? start_sums : g.bias;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < g.store_columns; ++c) {
      float sum = start == nullptr ? 0 : start[c];
      for (int64_t t = 0; t < n_taps; ++t) {
        sum = std::fmaf(load(elem, static_cast<const char*>(src[t]) + r * ld_src, c), weights[t][c], sum);
      }
      finish(g, integers, r, c, integers ? std::fmaf(sum, g.scale[c], g.bias[c]) : sum);
    }
  }
}

void add_u8(uint8_t* dst, const uint8_t* a, const uint8_t* b, float scale_a, float scale_b, float shift,
            float lo, float hi, int64_t length) {
  for (int64_t i = 0; i < length; ++i) {
    const float sum =
        std::fmaf(static_cast<float>(a[i]), scale_a, std::fmaf(static_cast<float>(b[i]), scale_b, shift));
    store(Elem::kU8, dst, i, clamp(sum, lo, hi));
  }
}

void convert(Elem dst_elem, void* dst, Elem src_elem, const void* src, QuantScale quant, int64_t length) {
  const auto zero = static_cast<float>(quant.zero);
  for (int64_t i = 0; i < length; ++i) {
    float v = load(src_elem, src, i);
    if (src_elem == Elem::kU8) v = (v - zero) * quant.scale;
    if (dst_elem == Elem::kU8) v = std::nearbyint(v / quant.scale) + zero;
    store(dst_elem, dst, i, v);
  }
}

}  // namespace

#include "kernels/family.inl"

#include "kernels/table.inl"

}  // namespace xdn::kernels::ref
