// The ref bundle: the slow twins, plain C++ in the vector bundles' order of operations (one fused
// multiply-add per product, max and min keep the second operand where the comparison fails), so that results
// are equal to the bit.
#include <cmath>

#include "kernels/kernel_table.h"

#define XDN_BUNDLE ref

namespace xdn::kernels::ref {
namespace {

struct Vec {
  static constexpr int kLanes = 16;
};

float activate(GemmAct act, float lo, float hi, float x) {
  switch (act) {
    case GemmAct::kRelu:
      return x > 0 ? x : 0;
    case GemmAct::kLeakyRelu:
      return x < 0 ? x * lo : x;
    case GemmAct::kClip: {
      const float raised = x > lo ? x : lo;
      return raised < hi ? raised : hi;
    }
    case GemmAct::kNone:
      break;
  }
  return x;
}

void gemm_plain(const GemmF32Args& g, int64_t row0, int64_t rows) {
  for (int64_t row = row0; row < row0 + rows; ++row) {
    for (int64_t j = 0; j < g.store_columns; ++j) {
      float sum = g.bias[j];
      for (int64_t p = 0; p < g.n_pairs; ++p) {
        const GemmPair& pair = g.pairs[p];
        for (int64_t k = 0; k < pair.k; ++k) {
          sum = std::fmaf(pair.a[row * pair.lda + k], pair.b[k * g.panel_columns + j], sum);
        }
      }
      if (g.residual != nullptr) sum += g.residual[row * g.ldr + j];
      g.c[row * g.ldc + j] = activate(g.act, g.lo, g.hi, sum);
    }
  }
}

template <int Rows, int Vectors>
void gemm_f32(const GemmF32Args& g, int64_t row0) {
  gemm_plain(g, row0, Rows);
}

void maximum(float* dst, const float* const* src, int64_t n_src, int64_t length) {
  for (int64_t i = 0; i < length; ++i) {
    dst[i] = src[0][i];
    for (int64_t s = 1; s < n_src; ++s) dst[i] = src[s][i] > dst[i] ? src[s][i] : dst[i];
  }
}

void average(float* dst, const float* const* src, int64_t n_src, float scale, int64_t length) {
  for (int64_t i = 0; i < length; ++i) {
    float sum = src[0][i];
    for (int64_t s = 1; s < n_src; ++s) sum += src[s][i];
    dst[i] = sum * scale;
  }
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

void binary(BinaryKind kind, float* dst, const float* a, const float* b, int64_t length) {
  for (int64_t i = 0; i < length; ++i) dst[i] = combine(kind, a[i], b[i]);
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

void depthwise(float* dst, const float* const* src, const float* const* weights, int64_t n_taps,
               const float* bias, const float* residual, GemmAct act, float lo, float hi, int64_t rows,
               int64_t channels, int64_t ld_src, int64_t ld_dst) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < channels; ++c) {
      float sum = bias[c];
      for (int64_t t = 0; t < n_taps; ++t) sum = std::fmaf(src[t][r * ld_src + c], weights[t][c], sum);
      if (residual != nullptr) sum += residual[r * ld_dst + c];
      dst[r * ld_dst + c] = activate(act, lo, hi, sum);
    }
  }
}

void u8_to_f32(float* dst, const uint8_t* src, int64_t length) {
  for (int64_t i = 0; i < length; ++i) dst[i] = static_cast<float>(src[i]);
}

}  // namespace

#include "kernels/table.inl"

}  // namespace xdn::kernels::ref
