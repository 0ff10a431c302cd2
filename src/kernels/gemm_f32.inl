// Batch-reduce GEMM over a vector type, for inclusion inside an ISA's own namespace after its Vec is defined.
//
// Vec: kLanes, zero(), load(p), broadcast(p), fma(a, b, c) = a*b+c, add, mul, max, min, set(x), store(p, v),
// store_some(p, v, count), blend_negative(v, w): w where v < 0.
//
// Rows x Vectors accumulators stay in registers over the whole list of pairs. Rows are addressed as
// a[3i] + {0, 1, 2} * lda so that twelve rows need four pointers and one stride, not twelve pointers.

template <int Vectors>
inline void epilogue_row(const GemmF32Args& g, Vec::Type (&sum)[Vectors], int64_t row) {
  constexpr int kLanes = Vec::kLanes;
  if (g.residual != nullptr) {
    const float* residual = g.residual + row * g.ldr;
    if (g.store_columns == kLanes * Vectors) {
      for (int v = 0; v < Vectors; ++v) sum[v] = Vec::add(sum[v], Vec::load(residual + v * kLanes));
    } else {
      for (int v = 0; v < Vectors; ++v) {
        const int64_t count = g.store_columns - v * kLanes;
        if (count > 0) sum[v] = Vec::add(sum[v], Vec::load_some(residual + v * kLanes, count < kLanes ? count : kLanes));
      }
    }
  }
  switch (g.act) {
    case GemmAct::kRelu:
      for (int v = 0; v < Vectors; ++v) sum[v] = Vec::max(sum[v], Vec::zero());
      break;
    case GemmAct::kClip:
      for (int v = 0; v < Vectors; ++v) sum[v] = Vec::min(Vec::max(sum[v], Vec::set(g.lo)), Vec::set(g.hi));
      break;
    case GemmAct::kLeakyRelu:
      for (int v = 0; v < Vectors; ++v) sum[v] = Vec::blend_negative(sum[v], Vec::mul(sum[v], Vec::set(g.lo)));
      break;
    case GemmAct::kNone:
      break;
  }
  float* c = g.c + row * g.ldc;
  if (g.store_columns == kLanes * Vectors) {
    for (int v = 0; v < Vectors; ++v) Vec::store(c + v * kLanes, sum[v]);
  } else {
    for (int v = 0; v < Vectors; ++v) {
      const int64_t count = g.store_columns - v * kLanes;
      if (count > 0) Vec::store_some(c + v * kLanes, sum[v], count < kLanes ? count : kLanes);
    }
  }
}

template <int Rows, int Vectors>
void gemm_f32(const GemmF32Args& g, int64_t row0) {
  constexpr int kLanes = Vec::kLanes;
  constexpr int kGroups = (Rows + 2) / 3;
  Vec::Type sum[Rows][Vectors];
#pragma GCC unroll 32
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) sum[r][v] = Vec::load(g.bias + v * kLanes);
  }
  for (const GemmPair *pair = g.pairs, *end = g.pairs + g.n_pairs; pair != end; ++pair) {
    const int64_t lda = pair->lda;
    const float* b = pair->b;
    const float* a[kGroups];
#pragma GCC unroll 8
    for (int i = 0; i < kGroups; ++i) a[i] = pair->a + (row0 + 3 * i) * lda;
    const float* const b_end = b + pair->k * (kLanes * Vectors);
#pragma GCC unroll 2
    for (; b != b_end; b += kLanes * Vectors) {
      Vec::Type panel[Vectors];
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) panel[v] = Vec::load(b + v * kLanes);
#pragma GCC unroll 32
      for (int r = 0; r < Rows; ++r) {
        const Vec::Type x = Vec::broadcast(a[r / 3] + (r % 3) * lda);
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) sum[r][v] = Vec::fma(x, panel[v], sum[r][v]);
      }
#pragma GCC unroll 8
      for (int i = 0; i < kGroups; ++i) ++a[i];
    }
  }
#pragma GCC unroll 32
  for (int r = 0; r < Rows; ++r) epilogue_row<Vectors>(g, sum[r], row0 + r);
}
