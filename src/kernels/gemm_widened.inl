// bf16 and i8 products for instruction sets that lack them: the words of panel and row are split into even and odd
// elements of twice the width, exactly. Included after gemm.inl.
//
// Vec::Bits: load_bits, zero_bits, set_word, even_u8, odd_u8 (to u16), even_s8, odd_s8 (to s16), madd_s16, add_s32,
// to_float; even_bf16, odd_bf16 (to float).

/// The integer side of an i8 epilogue, whatever multiplies.
struct IntegerSums {
  static constexpr Elem kElem = Elem::kU8;
  using Acc = Vec::Bits;
  static Acc start(const GemmArgs& g, int v) {
    return g.start == nullptr ? Vec::zero_bits() : Vec::load_bits(g.start + v * Vec::kLanes);
  }
  static Vec::Type finish(const GemmArgs& g, Acc acc, int v) {
    return Vec::fma(Vec::to_float(acc), Vec::load(g.scale + v * Vec::kLanes), Vec::load(g.bias + v * Vec::kLanes));
  }
};

struct WidenedI8 : IntegerSums {
  static constexpr bool kSplit = true;
  struct Panel {
    Vec::Bits even, odd;
  };
  using Row = Panel;
  static Panel panel(const char* p) {
    const Vec::Bits b = Vec::load_bits(p);
    return {Vec::even_s8(b), Vec::odd_s8(b)};
  }
  static Row row(const char* p) {
    const Vec::Bits b = Vec::set_word(p);
    return {Vec::even_u8(b), Vec::odd_u8(b)};
  }
  static Acc dot(Row row, Panel panel, Acc acc) {
    acc = Vec::add_s32(acc, Vec::madd_s16(row.even, panel.even));
    return Vec::add_s32(acc, Vec::madd_s16(row.odd, panel.odd));
  }
};

struct WidenedBf16 {
  static constexpr Elem kElem = Elem::kBf16;
  static constexpr bool kSplit = true;
  using Acc = Vec::Type;
  struct Panel {
    Vec::Type even, odd;
  };
  using Row = Panel;
  static Panel split(Vec::Bits b) { return {Vec::even_bf16(b), Vec::odd_bf16(b)}; }
  static Panel panel(const char* p) { return split(Vec::load_bits(p)); }
  static Row row(const char* p) { return split(Vec::set_word(p)); }
  static Acc dot(Row row, Panel panel, Acc acc) {
    return Vec::fma(row.odd, panel.odd, Vec::fma(row.even, panel.even, acc));
  }
  static Acc start(const GemmArgs& g, int v) { return Vec::load(g.bias + v * Vec::kLanes); }
  static Vec::Type finish(const GemmArgs&, Acc acc, int) { return acc; }
};
