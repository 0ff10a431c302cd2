// Everything that is not a matrix product, for inclusion inside an ISA's own namespace after gemm.inl.

/// f(first element, count): whole vectors with a constant count, so that the compiler drops the masks, then the rest.
template <class F>
[[gnu::always_inline]] inline void for_vectors(int64_t length, F&& f) {
  constexpr int64_t kLanes = Vec::kLanes;
  int64_t i = 0;
  for (; i + kLanes <= length; i += kLanes) f(i, kLanes);
  if (i < length) f(i, length - i);
}

/// Calls f(constant) with the element type as a template argument.
template <class F>
[[gnu::always_inline]] inline void with_elem(Elem elem, F&& f) {
  switch (elem) {
    case Elem::kF32:
      return f(Index<static_cast<int>(Elem::kF32)>{});
    case Elem::kBf16:
      return f(Index<static_cast<int>(Elem::kBf16)>{});
    case Elem::kU8:
      return f(Index<static_cast<int>(Elem::kU8)>{});
  }
}
#define XDN_WITH_ELEM(e) [&](auto e) __attribute__((always_inline))

inline void maximum_u8(uint8_t* dst, const void* const* src, int64_t n_src, int64_t length) {
  constexpr int64_t kBytes = sizeof(Vec::Bits);
  int64_t i = 0;
  for (; i + kBytes <= length; i += kBytes) {
    Vec::Bits best = Vec::load_bits(static_cast<const uint8_t*>(src[0]) + i);
    for (int64_t s = 1; s < n_src; ++s) {
      best = Vec::max_u8(best, Vec::load_bits(static_cast<const uint8_t*>(src[s]) + i));
    }
    Vec::store_bits(dst + i, best);
  }
  for (; i < length; ++i) {
    uint8_t best = static_cast<const uint8_t*>(src[0])[i];
    for (int64_t s = 1; s < n_src; ++s) {
      const uint8_t x = static_cast<const uint8_t*>(src[s])[i];
      best = x > best ? x : best;
    }
    dst[i] = best;
  }
}

inline void maximum(Elem elem, void* dst, const void* const* src, int64_t n_src, int64_t length) {
  if (elem == Elem::kU8) return maximum_u8(static_cast<uint8_t*>(dst), src, n_src, length);
  with_elem(elem, XDN_WITH_ELEM(e) {
    constexpr auto kE = static_cast<Elem>(e.value);
    for_vectors(length, XDN_UNROLLED(i, auto count) {
      Vec::Type best = load_row(kE, src[0], i, count);
      for (int64_t s = 1; s < n_src; ++s) best = Vec::max(load_row(kE, src[s], i, count), best);
      store_row(kE, dst, i, count, best);
    });
  });
}

/// Sums of u8 as floats are exact below 2^24 / 255.
template <class RowOf>
[[gnu::always_inline]] inline void average_rows(Elem src_elem, Elem dst_elem, void* dst, RowOf&& row_of, int64_t n_src,
                                                float scale, float shift, int64_t length) {
  with_elem(src_elem, XDN_WITH_ELEM(e) {
    constexpr auto kE = static_cast<Elem>(e.value);
    for_vectors(length, XDN_UNROLLED(i, auto count) {
      Vec::Type sum = load_row(kE, row_of(0), i, count);
      for (int64_t s = 1; s < n_src; ++s) sum = Vec::add(sum, load_row(kE, row_of(s), i, count));
      if constexpr (kE == Elem::kU8) {
        sum = Vec::fma(sum, Vec::set(scale), Vec::set(shift));
      } else {
        sum = Vec::mul(sum, Vec::set(scale));
        if (shift != 0) sum = Vec::add(sum, Vec::set(shift));
      }
      if (dst_elem == Elem::kU8) sum = clamp(sum, 0, 255);
      store_row(dst_elem, dst, i, count, sum);
    });
  });
}

inline void average(Elem src_elem, Elem dst_elem, void* dst, const void* const* src, int64_t n_src, float scale,
                    float shift, int64_t length) {
  average_rows(src_elem, dst_elem, dst, [src](int64_t s) { return src[s]; }, n_src, scale, shift, length);
}

inline void average_strided(Elem src_elem, Elem dst_elem, void* dst, const void* src, int64_t stride, int64_t n_src,
                            float scale, float shift, int64_t length) {
  average_rows(
      src_elem, dst_elem, dst, [=](int64_t s) { return static_cast<const char*>(src) + s * stride; }, n_src, scale,
      shift, length);
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

inline void binary_f32(BinaryKind kind, float* dst, const float* a, const float* b, int64_t length) {
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

inline void binary(Elem elem, BinaryKind kind, void* dst, const void* a, const void* b, int64_t length) {
  if (elem == Elem::kF32) {
    return binary_f32(kind, static_cast<float*>(dst), static_cast<const float*>(a), static_cast<const float*>(b),
                      length);
  }
  for_vectors(length, XDN_UNROLLED(i, auto count) {
    float x[Vec::kLanes], y[Vec::kLanes];
    Vec::store(x, load_row(elem, a, i, count));
    Vec::store(y, load_row(elem, b, i, count));
    binary_f32(kind, x, x, y, Vec::kLanes);
    store_row(elem, dst, i, count, Vec::load(x));
  });
}

inline void binary_channels(BinaryKind kind, bool swapped, float* dst, const float* a, const float* b,
                            int64_t rows, int64_t channels, int64_t ld) {
  for (int64_t r = 0; r < rows; ++r) {
    if (swapped) {
      binary_f32(kind, dst + r * ld, b, a + r * ld, channels);
    } else {
      binary_f32(kind, dst + r * ld, a + r * ld, b, channels);
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

/// One vector of channels down all rows: its weights stay in registers where there are at most kMostHeld taps.
inline constexpr int kMostHeld = 9;

template <Elem E, int Held>
[[gnu::always_inline]] inline void depthwise_column(const GemmArgs& g, const void* const* src,
                                                    const float* const* weights, int64_t n_taps,
                                                    const float* start_sums, int64_t rows, int64_t ld_src,
                                                    int64_t i, int64_t count) {
  Vec::Type held[Held > 0 ? Held : 1];
  const char* x[Held > 0 ? Held : 1];
  unroll<Held>(XDN_UNROLLED(t) {
    held[t.value] = load_row(Elem::kF32, weights[t.value], i, count);
    x[t.value] = static_cast<const char*>(src[t.value]) + i * elem_bytes(E);
  });
  const float* from = E == Elem::kU8 ? start_sums : g.bias;
  const Vec::Type start = from == nullptr ? Vec::zero() : load_row(Elem::kF32, from, i, count);
  const Vec::Type scale = E == Elem::kU8 ? load_row(Elem::kF32, g.scale, i, count) : Vec::zero();
  const Vec::Type bias = E == Elem::kU8 ? load_row(Elem::kF32, g.bias, i, count) : Vec::zero();
  char* c = static_cast<char*>(g.c);
  const char* residual = static_cast<const char*>(g.residual);
  for (int64_t r = 0; r < rows; ++r, c += g.ldc, residual += g.ldr) {
    Vec::Type sum = start;
    if constexpr (Held > 0) {
      unroll<Held>(XDN_UNROLLED(t) {
        sum = Vec::fma(load_row(E, x[t.value] + r * ld_src, 0, count), held[t.value], sum);
      });
    } else {
      for (int64_t t = 0; t < n_taps; ++t) {
        const Vec::Type value = load_row(E, static_cast<const char*>(src[t]) + r * ld_src, i, count);
        sum = Vec::fma(value, load_row(Elem::kF32, weights[t], i, count), sum);
      }
    }
    if constexpr (E == Elem::kU8) sum = Vec::fma(sum, scale, bias);
    if (g.has_middle) sum = pass_middle(g, sum);
    if (g.residual != nullptr) {
      sum = Vec::fma(load_row(g.residual_elem, residual, i, count), Vec::set(g.residual_scale), sum);
    }
    sum = activate(g, sum);
    if (g.c_elem == Elem::kU8) {
      if constexpr (E != Elem::kU8) sum = Vec::fma(sum, Vec::set(g.c_scale), Vec::set(g.c_shift));
      sum = clamp(sum, 0, 255);
    }
    store_row(g.c_elem, c, i, count, sum);
  }
}

/// Taps of a 3x3 window: inside (9), at an edge (6), in a corner (4); any other number goes unheld.
template <Elem E>
inline void depthwise_rows(const GemmArgs& g, const void* const* src, const float* const* weights, int64_t n_taps,
                           const float* start_sums, int64_t rows, int64_t ld_src) {
  const auto columns = [&](auto held) __attribute__((always_inline)) {
    for_vectors(g.store_columns, XDN_UNROLLED(i, auto count) {
      depthwise_column<E, held.value>(g, src, weights, n_taps, start_sums, rows, ld_src, i, count);
    });
  };
  if (n_taps == kMostHeld) {
    columns(Index<kMostHeld>{});
  } else if (n_taps == 6) {
    columns(Index<6>{});
  } else if (n_taps == 4) {
    columns(Index<4>{});
  } else {
    columns(Index<0>{});
  }
}

inline void depthwise(Elem elem, const GemmArgs& g, const void* const* src, const float* const* weights,
                      int64_t n_taps, const float* start_sums, int64_t rows, int64_t ld_src) {
  with_elem(elem, XDN_WITH_ELEM(e) {
    depthwise_rows<static_cast<Elem>(e.value)>(g, src, weights, n_taps, start_sums, rows, ld_src);
  });
}

inline void add_u8(uint8_t* dst, const uint8_t* a, const uint8_t* b, float scale_a, float scale_b, float shift,
                   float lo, float hi, int64_t length) {
  for_vectors(length, XDN_UNROLLED(i, auto count) {
    const Vec::Type y = Vec::fma(load_row(Elem::kU8, b, i, count), Vec::set(scale_b), Vec::set(shift));
    const Vec::Type sum = Vec::fma(load_row(Elem::kU8, a, i, count), Vec::set(scale_a), y);
    store_row(Elem::kU8, dst, i, count, clamp(sum, lo, hi));
  });
}

inline void convert(Elem dst_elem, void* dst, Elem src_elem, const void* src, QuantScale quant, int64_t length) {
  const auto zero = static_cast<float>(quant.zero);
  for_vectors(length, XDN_UNROLLED(i, auto count) {
    Vec::Type v = load_row(src_elem, src, i, count);
    if (src_elem == Elem::kU8) v = Vec::mul(Vec::add(v, Vec::set(-zero)), Vec::set(quant.scale));
    if (dst_elem == Elem::kU8) {
      v = Vec::add(Vec::round(Vec::div(v, Vec::set(quant.scale))), Vec::set(zero));
      v = clamp(v, 0, 255);
    }
    store_row(dst_elem, dst, i, count, v);
  });
}
