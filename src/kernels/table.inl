// Builds this bundle's KernelTable from kernels.inc, for inclusion inside the bundle's namespace after the
// kernels. XDN_BUNDLE is the namespace's name.

template <int Vectors, int Rows>
constexpr void add_rows(KernelTable& t) {
  t.gemm_f32[Vectors - 1][Rows - 1] = &gemm_f32<Rows, Vectors>;
  if constexpr (Rows > 1) add_rows<Vectors, Rows - 1>(t);
}

template <int Vectors, int Rows>
constexpr void add_gemm_f32(KernelTable& t) {
  t.most_vectors = Vectors > t.most_vectors ? Vectors : t.most_vectors;
  t.most_rows[Vectors - 1] = Rows;
  add_rows<Vectors, Rows>(t);
}

constexpr bool same_name(const char* a, const char* b) {
  while (*a != '\0' && *a == *b) ++a, ++b;
  return *a == *b;
}

#define XDN_STRING_OF(x) #x
#define XDN_STRING(x) XDN_STRING_OF(x)

constexpr KernelTable make_table() {
  KernelTable t{};
  t.bundle = XDN_STRING(XDN_BUNDLE);
  t.lanes = Vec::kLanes;
#define XDN_GEMM_F32(isa, vectors, rows)                 \
  if constexpr (same_name(#isa, XDN_STRING(XDN_BUNDLE))) \
    add_gemm_f32<vectors, same_name(#isa, XDN_STRING(XDN_BUNDLE)) ? rows : 1>(t);
#include "kernels/kernels.inc"
  t.maximum = &maximum;
  t.average = &average;
  t.binary = &binary;
  t.binary_channels = &binary_channels;
  t.unary = &unary;
  t.depthwise = &depthwise;
  t.u8_to_f32 = &u8_to_f32;
  return t;
}

const KernelTable& table() {
  static constexpr KernelTable kTable = make_table();
  return kTable;
}
