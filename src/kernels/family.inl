// One arithmetic's kernels of this bundle, from kernels.inc, for inclusion inside the bundle's namespace after the
// kernels. XDN_BUNDLE is the namespace's name.

namespace {

constexpr bool same_name(const char* a, const char* b) {
  while (*a != '\0' && *a == *b) ++a, ++b;
  return *a == *b;
}

#define XDN_STRING_OF(x) #x
#define XDN_STRING(x) XDN_STRING_OF(x)

template <class A, int Vectors, int Rows>
constexpr void add_gemm(GemmFamily& f) {
  if constexpr (Rows > 0) {
    f.gemm[Vectors - 1][Rows - 1] = &gemm<A, Rows, Vectors>;
    add_gemm<A, Vectors, Rows - 1>(f);
  }
}

/// The kernels.inc rows of A's elements and this bundle.
template <class A>
constexpr GemmFamily make_family() {
  constexpr const char* kName = A::kElem == Elem::kF32 ? "f32" : A::kElem == Elem::kBf16 ? "bf16" : "i8";
  GemmFamily f{};
  f.bundle = XDN_STRING(XDN_BUNDLE);
  f.peak = &peak<A>;
#define XDN_GEMM(arith, isa, vectors, rows)                                                         \
  {                                                                                                 \
    constexpr bool kMine = same_name(#isa, XDN_STRING(XDN_BUNDLE)) && same_name(#arith, kName);     \
    if (kMine) f.most_vectors = vectors > f.most_vectors ? vectors : f.most_vectors;                \
    if (kMine) f.most_rows[vectors - 1] = rows;                                                     \
    add_gemm<A, vectors, kMine ? rows : 0>(f);                                                      \
  }
#include "kernels/kernels.inc"
  return f;
}

}  // namespace
