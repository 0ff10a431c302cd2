// Everything that is not a matrix product, for inclusion inside an ISA's own namespace after its Vec is
// defined. Plain loops: rows are long and contiguous, the compiler's vectors are as good as ours.

inline void maximum(float* dst, const float* const* src, int64_t n_src, int64_t length) {
  constexpr int kLanes = Vec::kLanes;
  int64_t i = 0;
  for (; i + kLanes <= length; i += kLanes) {
    Vec::Type best = Vec::load(src[0] + i);
    for (int64_t s = 1; s < n_src; ++s) best = Vec::max(Vec::load(src[s] + i), best);
    Vec::store(dst + i, best);
  }
  for (; i < length; ++i) {
    float best = src[0][i];
    for (int64_t s = 1; s < n_src; ++s) best = src[s][i] > best ? src[s][i] : best;
    dst[i] = best;
  }
}

inline void average(float* dst, const float* const* src, int64_t n_src, float scale, int64_t length) {
  constexpr int kLanes = Vec::kLanes;
  int64_t i = 0;
  for (; i + kLanes <= length; i += kLanes) {
    Vec::Type sum = Vec::load(src[0] + i);
    for (int64_t s = 1; s < n_src; ++s) sum = Vec::add(sum, Vec::load(src[s] + i));
    Vec::store(dst + i, Vec::mul(sum, Vec::set(scale)));
  }
  for (; i < length; ++i) {
    float sum = src[0][i];
    for (int64_t s = 1; s < n_src; ++s) sum += src[s][i];
    dst[i] = sum * scale;
  }
}

inline float apply_binary(BinaryKind kind, float a, float b) {
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

template <BinaryKind Kind>
inline void binary_loop(float* dst, const float* a, const float* b, int64_t length) {
  for (int64_t i = 0; i < length; ++i) dst[i] = apply_binary(Kind, a[i], b[i]);
}

inline void binary(BinaryKind kind, float* dst, const float* a, const float* b, int64_t length) {
  switch (kind) {
    case BinaryKind::kAdd:
      return binary_loop<BinaryKind::kAdd>(dst, a, b, length);
    case BinaryKind::kSub:
      return binary_loop<BinaryKind::kSub>(dst, a, b, length);
    case BinaryKind::kMul:
      return binary_loop<BinaryKind::kMul>(dst, a, b, length);
    case BinaryKind::kDiv:
      return binary_loop<BinaryKind::kDiv>(dst, a, b, length);
    case BinaryKind::kMax:
      return binary_loop<BinaryKind::kMax>(dst, a, b, length);
  }
}

inline void binary_channels(BinaryKind kind, bool swapped, float* dst, const float* a, const float* b,
                            int64_t rows, int64_t channels, int64_t ld) {
  for (int64_t r = 0; r < rows; ++r) {
    if (swapped) {
      binary(kind, dst + r * ld, b, a + r * ld, channels);
    } else {
      binary(kind, dst + r * ld, a + r * ld, b, channels);
    }
  }
}

inline void unary(UnaryKind kind, float a, float b, float* dst, const float* src, int64_t length) {
  switch (kind) {
    case UnaryKind::kRelu:
      for (int64_t i = 0; i < length; ++i) dst[i] = src[i] > 0 ? src[i] : 0;
      return;
    case UnaryKind::kLeakyRelu:
      for (int64_t i = 0; i < length; ++i) dst[i] = src[i] < 0 ? src[i] * a : src[i];
      return;
    case UnaryKind::kClip:
      for (int64_t i = 0; i < length; ++i) {
        const float x = src[i] < a ? a : src[i];
        dst[i] = x > b ? b : x;
      }
      return;
    case UnaryKind::kSigmoid:
      for (int64_t i = 0; i < length; ++i) dst[i] = 1.0f / (1.0f + __builtin_expf(-src[i]));
      return;
    case UnaryKind::kHardSigmoid:
      for (int64_t i = 0; i < length; ++i) {
        const float x = src[i] * a + b;
        const float low = x < 0 ? 0 : x;
        dst[i] = low > 1 ? 1 : low;
      }
      return;
    case UnaryKind::kHardSwish:
      for (int64_t i = 0; i < length; ++i) {
        const float x = src[i] * (1.0f / 6.0f) + 0.5f;
        const float low = x < 0 ? 0 : x;
        dst[i] = src[i] * (low > 1 ? 1 : low);
      }
      return;
  }
}

inline float apply_act(GemmAct act, float lo, float hi, float x) {
  switch (act) {
    case GemmAct::kRelu:
      return x > 0 ? x : 0;
    case GemmAct::kLeakyRelu:
      return x < 0 ? x * lo : x;
    case GemmAct::kClip:
      return (x < lo ? lo : x) > hi ? hi : (x < lo ? lo : x);
    case GemmAct::kNone:
      break;
  }
  return x;
}

inline void depthwise(float* dst, const float* const* src, const float* const* weights, int64_t n_taps,
                      const float* bias, const float* residual, GemmAct act, float lo, float hi, int64_t rows,
                      int64_t channels, int64_t ld_src, int64_t ld_dst) {
  constexpr int kLanes = Vec::kLanes;
  for (int64_t r = 0; r < rows; ++r) {
    float* d = dst + r * ld_dst;
    const float* res = residual == nullptr ? nullptr : residual + r * ld_dst;
    int64_t c = 0;
    for (; c + kLanes <= channels; c += kLanes) {
      Vec::Type sum = Vec::load(bias + c);
      for (int64_t t = 0; t < n_taps; ++t) {
        sum = Vec::fma(Vec::load(src[t] + r * ld_src + c), Vec::load(weights[t] + c), sum);
      }
      if (res != nullptr) sum = Vec::add(sum, Vec::load(res + c));
      switch (act) {
        case GemmAct::kRelu:
          sum = Vec::max(sum, Vec::zero());
          break;
        case GemmAct::kClip:
          sum = Vec::min(Vec::max(sum, Vec::set(lo)), Vec::set(hi));
          break;
        case GemmAct::kLeakyRelu:
          sum = Vec::blend_negative(sum, Vec::mul(sum, Vec::set(lo)));
          break;
        case GemmAct::kNone:
          break;
      }
      Vec::store(d + c, sum);
    }
    for (; c < channels; ++c) {
      float sum = bias[c];
      for (int64_t t = 0; t < n_taps; ++t) sum = __builtin_fmaf(src[t][r * ld_src + c], weights[t][c], sum);
      if (res != nullptr) sum += res[c];
      d[c] = apply_act(act, lo, hi, sum);
    }
  }
}

inline void u8_to_f32(float* dst, const uint8_t* src, int64_t length) {
  for (int64_t i = 0; i < length; ++i) dst[i] = static_cast<float>(src[i]);
}
