// Batch-reduce GEMM over a vector type, for inclusion inside an ISA's own namespace after its Vec is defined.
//
// Vec: kLanes, zero(), load(p), load_some(p, count), broadcast(p), fma(a, b, c) = a*b+c, add, mul, max, min,
// set(x), store(p, v), store_some(p, v, count), blend_negative(v, w): w where v < 0.
//
// Rows x Vectors accumulators stay in registers over the whole list of pairs;
// tests/kernels/disassembly_test.cc sees to that. Rows are addressed as a[3i] + {0, 1, 2} * lda so that
// twelve rows need four pointers and one stride, not twelve pointers.

template <int N>
struct Index {
  static constexpr int value = N;
};

/// f(Index<0>), ..., f(Index<N-1>), unrolled by the front end: clang 14 unrolls loops too late to take the
/// array of accumulators apart.
template <int N, int I = 0, class F>
[[gnu::always_inline]] inline void unroll(F&& f) {
  if constexpr (I < N) {
    f(Index<I>{});
    unroll<N, I + 1>(f);
  }
}
#define XDN_UNROLLED(i) [&](auto i) __attribute__((always_inline))

template <int Vectors>
[[gnu::always_inline]] inline void finish_row(const GemmF32Args& g, Vec::Type* sum, int64_t row) {
  constexpr int kLanes = Vec::kLanes;
  const bool whole = g.store_columns == kLanes * Vectors;
  const auto columns_of = [&](int v) {
    const int64_t left = g.store_columns - v * kLanes;
    return left < 0 ? 0 : left < kLanes ? left : kLanes;
  };
  if (g.residual != nullptr) {
    const float* residual = g.residual + row * g.ldr;
    unroll<Vectors>(XDN_UNROLLED(v) {
      const float* p = residual + v.value * kLanes;
      sum[v.value] = Vec::add(sum[v.value], whole ? Vec::load(p) : Vec::load_some(p, columns_of(v.value)));
    });
  }
  switch (g.act) {
    case GemmAct::kRelu:
      unroll<Vectors>(XDN_UNROLLED(v) { sum[v.value] = Vec::max(sum[v.value], Vec::zero()); });
      break;
    case GemmAct::kClip:
      unroll<Vectors>(XDN_UNROLLED(v) {
        sum[v.value] = Vec::min(Vec::max(sum[v.value], Vec::set(g.lo)), Vec::set(g.hi));
      });
      break;
    case GemmAct::kLeakyRelu:
      unroll<Vectors>(XDN_UNROLLED(v) {
        sum[v.value] = Vec::blend_negative(sum[v.value], Vec::mul(sum[v.value], Vec::set(g.lo)));
      });
      break;
    case GemmAct::kNone:
      break;
  }
  float* c = g.c + row * g.ldc;
  unroll<Vectors>(XDN_UNROLLED(v) {
    if (whole) {
      Vec::store(c + v.value * kLanes, sum[v.value]);
    } else {
      Vec::store_some(c + v.value * kLanes, sum[v.value], columns_of(v.value));
    }
  });
}

template <int Rows, int Vectors>
void gemm_f32(const GemmF32Args& g, int64_t row0) {
  constexpr int kLanes = Vec::kLanes;
  constexpr int kColumns = kLanes * Vectors;
  constexpr int kPointers = (Rows + 2) / 3;
  Vec::Type sum[Rows][Vectors];
  unroll<Rows>(XDN_UNROLLED(r) {
    unroll<Vectors>(XDN_UNROLLED(v) { sum[r.value][v.value] = Vec::load(g.bias + v.value * kLanes); });
  });
  for (const GemmPair *pair = g.pairs, *end = g.pairs + g.n_pairs; pair != end; ++pair) {
    const int64_t lda = pair->lda;
    const float* b = pair->b;
    const float* a[kPointers];
    unroll<kPointers>(XDN_UNROLLED(i) { a[i.value] = pair->a + (row0 + 3 * i.value) * lda; });
    for (const float* const b_end = b + pair->k * kColumns; b != b_end; b += kColumns) {
      Vec::Type panel[Vectors];
      unroll<Vectors>(XDN_UNROLLED(v) { panel[v.value] = Vec::load(b + v.value * kLanes); });
      unroll<Rows>(XDN_UNROLLED(r) {
        const Vec::Type x = Vec::broadcast(a[r.value / 3] + (r.value % 3) * lda);
        unroll<Vectors>(
            XDN_UNROLLED(v) { sum[r.value][v.value] = Vec::fma(x, panel[v.value], sum[r.value][v.value]); });
      });
      unroll<kPointers>(XDN_UNROLLED(i) { ++a[i.value]; });
    }
  }
  unroll<Rows>(XDN_UNROLLED(r) { finish_row<Vectors>(g, sum[r.value], row0 + r.value); });
}
