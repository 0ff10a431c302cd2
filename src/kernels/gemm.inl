// Batch-reduce GEMM over a vector type, for inclusion inside an ISA's own namespace after its Vec is defined.
//
// Vec: kLanes; Type (floats): zero, set, load, load_some, add, mul, max, min, fma(a, b, c) = a*b+c, round,
// blend_negative(v, w): w where v < 0, store, store_some; rows of other elements as floats: load_bf16, load_u8 and
// their _some, store_bf16, store_u8 (of values within 0 ... 255) and their _some;
// store_packed<n>(p, v): n vectors as u8, saturated if within +-2^31.
//
// An arithmetic: Acc, Panel, Row; panel(p), row(p), dot(row, panel, acc); start(args, v) and finish(args, acc, v);
// kSplit: panels and rows take two registers. XDN_VECTOR_REGISTER: inline assembly's constraint.
//
// Rows x Vectors accumulators stay in registers over the whole list of pairs;
// tests/kernels/disassembly_test.cc sees to that. Rows are addressed as a[3i] + {0, 1, 2} * lda so that
// twelve rows need four pointers and one stride, not twelve pointers.

template <int N>
struct Index {
  static constexpr int value = N;
};

template <class F, int... I>
[[gnu::always_inline]] inline void unroll(F&& f, std::integer_sequence<int, I...>) {
  (f(Index<I>{}), ...);
}
/// f(Index<0>), ..., f(Index<N-1>), unrolled by the front end: clang 14 unrolls loops too late to take the
/// array of accumulators apart. A fold, not a recursion: compilation is three times as fast.
template <int N, class F>
[[gnu::always_inline]] inline void unroll(F&& f) {
  unroll(f, std::make_integer_sequence<int, N>{});
}
#define XDN_UNROLLED(...) [&](auto __VA_ARGS__) __attribute__((always_inline))

struct F32 {
  static constexpr Elem kElem = Elem::kF32;
  static constexpr bool kSplit = false;
  using Acc = Vec::Type;
  using Panel = Vec::Type;
  using Row = Vec::Type;
  static Panel panel(const char* p) { return Vec::load(reinterpret_cast<const float*>(p)); }
  static Row row(const char* p) { return Vec::set(*reinterpret_cast<const float*>(p)); }
  static Acc dot(Row row, Panel panel, Acc acc) { return Vec::fma(row, panel, acc); }
  static Acc start(const GemmArgs& g, int v) { return Vec::load(g.bias + v * Vec::kLanes); }
  static Vec::Type finish(const GemmArgs&, Acc acc, int) { return acc; }
};

inline Vec::Type load_row(Elem elem, const void* row, int64_t column, int64_t count) {
  switch (elem) {
    case Elem::kF32: {
      const float* p = static_cast<const float*>(row) + column;
      return count == Vec::kLanes ? Vec::load(p) : Vec::load_some(p, count);
    }
    case Elem::kBf16: {
      const uint16_t* p = static_cast<const uint16_t*>(row) + column;
      return count == Vec::kLanes ? Vec::load_bf16(p) : Vec::load_bf16_some(p, count);
    }
    case Elem::kU8:
      break;
  }
  const uint8_t* p = static_cast<const uint8_t*>(row) + column;
  return count == Vec::kLanes ? Vec::load_u8(p) : Vec::load_u8_some(p, count);
}

inline void store_row(Elem elem, void* row, int64_t column, int64_t count, Vec::Type v) {
  switch (elem) {
    case Elem::kF32: {
      float* p = static_cast<float*>(row) + column;
      return count == Vec::kLanes ? Vec::store(p, v) : Vec::store_some(p, v, count);
    }
    case Elem::kBf16: {
      uint16_t* p = static_cast<uint16_t*>(row) + column;
      return count == Vec::kLanes ? Vec::store_bf16(p, v) : Vec::store_bf16_some(p, v, count);
    }
    case Elem::kU8:
      break;
  }
  uint8_t* p = static_cast<uint8_t*>(row) + column;
  return count == Vec::kLanes ? Vec::store_u8(p, v) : Vec::store_u8_some(p, v, count);
}

[[gnu::always_inline]] inline Vec::Type clamp(Vec::Type v, float lo, float hi) {
  return Vec::min(Vec::max(v, Vec::set(lo)), Vec::set(hi));
}

[[gnu::always_inline]] inline Vec::Type pass_middle(const GemmArgs& g, Vec::Type v) {
  return Vec::fma(Vec::round(clamp(v, g.middle_lo, g.middle_hi)), Vec::set(g.middle_scale),
                  Vec::set(g.middle_shift));
}

[[gnu::always_inline]] inline Vec::Type activate(const GemmArgs& g, Vec::Type v) {
  switch (g.act) {
    case GemmAct::kRelu:
      return Vec::max(v, Vec::zero());
    case GemmAct::kClip:
      return clamp(v, g.lo, g.hi);
    case GemmAct::kLeakyRelu:
      return Vec::blend_negative(v, Vec::mul(v, Vec::set(g.lo)));
    case GemmAct::kNone:
      break;
  }
  return v;
}

/// Any epilogue, over sums that were put into memory: the rare ones, so that the kernels stay small.
template <class A, int Vectors>
[[gnu::noinline]] void finish_any(const GemmArgs& g, const typename A::Acc* sums, int64_t row0, int64_t rows) {
  constexpr int kLanes = Vec::kLanes;
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t row = row0 + r;
    char* c = static_cast<char*>(g.c) + row * g.ldc;
    const char* residual = static_cast<const char*>(g.residual) + row * g.ldr;
    for (int v = 0; v < Vectors; ++v) {
      const int64_t left = g.store_columns - v * kLanes;
      if (left <= 0) break;
      const int64_t count = left < kLanes ? left : kLanes;
      Vec::Type value = A::finish(g, sums[r * Vectors + v], v);
      if (g.has_middle) value = pass_middle(g, value);
      if (g.residual != nullptr) {
        value = Vec::fma(load_row(g.residual_elem, residual, v * kLanes, count), Vec::set(g.residual_scale), value);
      }
      value = activate(g, value);
      if (g.c_elem == Elem::kU8) {
        if constexpr (A::kElem != Elem::kU8) value = Vec::fma(value, Vec::set(g.c_scale), Vec::set(g.c_shift));
        value = clamp(value, 0, 255);
      }
      store_row(g.c_elem, c, v * kLanes, count, value);
    }
  }
}

/// What has an unrolled epilogue of its own: whole panels, and
/// f32, bf16: rows of the same elements, with or without a residual of the same elements and factor 1, ReLU or none;
/// i8: u8 that packing saturates, with or without a residual of u8, with or without middle.
template <class A>
inline bool usual(const GemmArgs& g) {
  if (g.c_elem != A::kElem || g.store_columns != g.panel_columns) return false;
  if (g.residual != nullptr && g.residual_elem != A::kElem) return false;
  if constexpr (A::kElem == Elem::kU8) {
    const bool clips = g.act == GemmAct::kClip && (g.lo > 0 || g.hi < 255);
    return g.in_range && !clips && g.act != GemmAct::kLeakyRelu && (g.residual != nullptr || !g.has_middle);
  } else {
    return !g.has_middle && (g.act == GemmAct::kNone || g.act == GemmAct::kRelu) &&
           (g.residual == nullptr || g.residual_scale == 1.0f);
  }
}

template <class A, int Rows, int Vectors, bool Residual, bool Middle>
[[gnu::always_inline]] inline void finish_integers(const GemmArgs& g, typename A::Acc (&sum)[Rows][Vectors],
                                                   int64_t row0) {
  constexpr int kLanes = Vec::kLanes;
  unroll<Rows>(XDN_UNROLLED(r) {
    uint8_t* c = static_cast<uint8_t*>(g.c) + (row0 + r.value) * g.ldc;
    const uint8_t* residual = static_cast<const uint8_t*>(g.residual) + (row0 + r.value) * g.ldr;
    Vec::Type value[Vectors];
    unroll<Vectors>(XDN_UNROLLED(v) {
      value[v.value] = A::finish(g, sum[r.value][v.value], v.value);
      if constexpr (Middle) value[v.value] = pass_middle(g, value[v.value]);
      if constexpr (Residual) {
        value[v.value] =
            Vec::fma(Vec::load_u8(residual + v.value * kLanes), Vec::set(g.residual_scale), value[v.value]);
      }
    });
    Vec::template store_packed<Vectors>(c, value);
  });
}

template <class A, int Rows, int Vectors>
[[gnu::always_inline]] inline void finish_floats(const GemmArgs& g, typename A::Acc (&sum)[Rows][Vectors],
                                                 int64_t row0) {
  constexpr int64_t kStep = Vec::kLanes * elem_bytes(A::kElem);
  if (g.residual != nullptr) {
    unroll<Rows>(XDN_UNROLLED(r) {
      const char* residual = static_cast<const char*>(g.residual) + (row0 + r.value) * g.ldr;
      unroll<Vectors>(XDN_UNROLLED(v) {
        sum[r.value][v.value] =
            Vec::add(sum[r.value][v.value], load_row(A::kElem, residual + v.value * kStep, 0, Vec::kLanes));
      });
    });
  }
  if (g.act == GemmAct::kRelu) {
    unroll<Rows>(XDN_UNROLLED(r) {
      unroll<Vectors>(XDN_UNROLLED(v) { sum[r.value][v.value] = Vec::max(sum[r.value][v.value], Vec::zero()); });
    });
  }
  unroll<Rows>(XDN_UNROLLED(r) {
    char* c = static_cast<char*>(g.c) + (row0 + r.value) * g.ldc;
    unroll<Vectors>(
        XDN_UNROLLED(v) { store_row(A::kElem, c + v.value * kStep, 0, Vec::kLanes, sum[r.value][v.value]); });
  });
}

template <class A, int Rows, int Vectors>
void gemm(const GemmArgs& g, int64_t row0) {
  constexpr int kWord = 4;
  constexpr int kBytes = Vec::kLanes * kWord;
  constexpr int kPointers = (Rows + 2) / 3;
  typename A::Acc sum[Rows][Vectors];
  unroll<Rows>(XDN_UNROLLED(r) {
    unroll<Vectors>(XDN_UNROLLED(v) { sum[r.value][v.value] = A::start(g, v.value); });
  });
  for (const GemmPair *pair = g.pairs, *end = g.pairs + g.n_pairs; pair != end; ++pair) {
    const int64_t lda = pair->lda;
    const char* b = static_cast<const char*>(pair->b);
    const char* a[kPointers];
    unroll<kPointers>(XDN_UNROLLED(i) { a[i.value] = static_cast<const char*>(pair->a) + (row0 + 3 * i.value) * lda; });
    for (const char* const b_end = b + pair->k * kBytes * Vectors; b != b_end; b += kBytes * Vectors) {
      typename A::Panel panel[Vectors];
      unroll<Vectors>(XDN_UNROLLED(v) { panel[v.value] = A::panel(b + v.value * kBytes); });
      unroll<Rows>(XDN_UNROLLED(r) {
        const typename A::Row x = A::row(a[r.value / 3] + (r.value % 3) * lda);
        unroll<Vectors>(
            XDN_UNROLLED(v) { sum[r.value][v.value] = A::dot(x, panel[v.value], sum[r.value][v.value]); });
      });
      unroll<kPointers>(XDN_UNROLLED(i) { a[i.value] += kWord; });
    }
  }
  // Another name for the sums: where the epilogue runs out of registers, GCC would otherwise spill them in the loop too.
  unroll<Rows>(XDN_UNROLLED(r) {
    unroll<Vectors>(XDN_UNROLLED(v) { asm volatile("" : "+" XDN_VECTOR_REGISTER(sum[r.value][v.value])); });
  });
  if (!usual<A>(g)) {
    typename A::Acc sums[Rows * Vectors];
    unroll<Rows>(XDN_UNROLLED(r) {
      unroll<Vectors>(XDN_UNROLLED(v) { sums[r.value * Vectors + v.value] = sum[r.value][v.value]; });
    });
    finish_any<A, Vectors>(g, sums, row0, Rows);
  } else if constexpr (A::kElem == Elem::kU8) {
    if (g.residual == nullptr) {
      finish_integers<A, Rows, Vectors, false, false>(g, sum, row0);
    } else if (g.has_middle) {
      finish_integers<A, Rows, Vectors, true, true>(g, sum, row0);
    } else {
      finish_integers<A, Rows, Vectors, true, false>(g, sum, row0);
    }
  } else {
    finish_floats<A, Rows, Vectors>(g, sum, row0);
  }
}

/// The compiler forgets what it knows of v, a panel or a row.
template <class A, class T>
[[gnu::always_inline]] inline void obscure(T& v) {
  if constexpr (A::kSplit) {
    asm volatile("" : "+" XDN_VECTOR_REGISTER(v.even), "+" XDN_VECTOR_REGISTER(v.odd));
  } else {
    asm volatile("" : "+" XDN_VECTOR_REGISTER(v));
  }
}

/// Seconds are the caller's: `rounds` rounds of 24 (avx2: 12) independent sums in registers, 10 dots each. Returns
/// the multiply-accumulates done.
template <class A>
int64_t peak(int64_t rounds) {
  constexpr int kSums = 24 * Vec::kLanes / 16 - (A::kSplit ? 4 : 0);
  alignas(64) static const uint32_t words[16] = {};
  const char* const zeros = reinterpret_cast<const char*>(words);
  typename A::Panel panel = A::panel(zeros);
  typename A::Row row = A::row(zeros);
  typename A::Acc sum[kSums];
  GemmArgs args{};
  alignas(64) float bias[16] = {};
  args.bias = bias;
  unroll<kSums>(XDN_UNROLLED(i) { sum[i.value] = A::start(args, 0); });
  obscure<A>(panel);
  for (int64_t round = 0; round < rounds; ++round) {
    unroll<10>(XDN_UNROLLED(j) {
      (void)j;
      unroll<kSums>(XDN_UNROLLED(i) {
        // A product apart from its sum would otherwise be done once, before the loop.
        obscure<A>(row);
        sum[i.value] = A::dot(row, panel, sum[i.value]);
        asm volatile("" : "+" XDN_VECTOR_REGISTER(sum[i.value]));
      });
    });
  }
  return rounds * 10 * kSums * Vec::kLanes * (4 / elem_bytes(A::kElem));
}
