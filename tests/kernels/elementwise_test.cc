#include <algorithm>

#include "kernels/elementwise_fixture.h"

namespace xdn::kernels {
namespace {

using namespace xdn::testing;

class Elementwise : public EveryBundle {};

struct Sources {
  Sources(Elem elem, int64_t length, int64_t count) {
    for (int64_t s = 0; s < count; ++s) {
      rows.push_back(random_row(elem, length, static_cast<uint64_t>(s + 1)));
      pointers.push_back(rows.back()->data());
    }
  }
  int64_t count() const { return static_cast<int64_t>(rows.size()); }
  std::vector<Row> rows;
  std::vector<const void*> pointers;
};

TEST_P(Elementwise, Maximum) {
  for (const Elem elem : kElems) {
    for (const int64_t length : kLengths) {
      for (const int64_t count : {1, 2, 9}) {
        const Sources src(elem, length, count);
        const Row got = make_row(elem, length);
        table_->maximum(elem, got->data(), src.pointers.data(), count, length);
        const auto want = [&](int64_t i) {
          float best = load_elem(elem, src.pointers[0], i);
          for (const void* p : src.pointers) best = std::fmax(best, load_elem(elem, p, i));
          return best;
        };
        ASSERT_EQ(first_difference(elem, *got, want), -1) << name(elem) << ", length " << length;
      }
    }
  }
}

/// scale * sum + shift: fused for sums of bytes, which are exact; else two roundings.
float averaged(Elem elem, float sum, float scale, float shift) {
  if (elem == Elem::kU8) return std::fma(sum, scale, shift);
  const float product = sum * scale;
  return product + shift;
}

TEST_P(Elementwise, AverageOfEveryPairOfElements) {
  struct Factors {
    float scale, shift;
  };
  // The third has ties between bytes, the fourth saturates at both ends.
  for (const Factors f : {Factors{1.0f / 9, 0}, {0.37f, 5.25f}, {0.5f, 0}, {60, -7000}}) {
    for (const Elem src_elem : kElems) {
      for (const Elem dst_elem : kElems) {
        for (const int64_t length : kLengths) {
          for (const int64_t count : {1, 2, 9}) {
            const Sources src(src_elem, length, count);
            const Row got = make_row(dst_elem, length);
            const auto want = [&](int64_t i) {
              float sum = load_elem(src_elem, src.pointers[0], i);
              for (size_t s = 1; s < src.pointers.size(); ++s) sum += load_elem(src_elem, src.pointers[s], i);
              return averaged(src_elem, sum, f.scale, f.shift);
            };
            table_->average(src_elem, dst_elem, got->data(), src.pointers.data(), count, f.scale, f.shift,
                            length);
            ASSERT_EQ(first_difference(dst_elem, *got, want), -1)
                << name(src_elem) << " to " << name(dst_elem) << ", length " << length;

            const int64_t stride = (length + 3) * elem_bytes(src_elem);
            const Row rows = make_row(src_elem, (count - 1) * (length + 3) + length);
            for (int64_t s = 0; s < count; ++s) {
              std::copy(src.rows[static_cast<size_t>(s)]->begin(), src.rows[static_cast<size_t>(s)]->end(),
                        rows->begin() + s * stride);
            }
            std::fill(got->begin(), got->end(), uint8_t{0});
            table_->average_strided(src_elem, dst_elem, got->data(), rows->data(), stride, count, f.scale,
                                    f.shift, length);
            ASSERT_EQ(first_difference(dst_elem, *got, want), -1)
                << "strided " << name(src_elem) << " to " << name(dst_elem) << ", length " << length;
          }
        }
      }
    }
  }
}

TEST_P(Elementwise, LongSumsOfBytesAreExact) {
  constexpr int64_t kRows = 65535;
  const Row src = make_row(Elem::kU8, 33), got = make_row(Elem::kF32, 33);
  for (int64_t i = 0; i < 33; ++i) (*src)[static_cast<size_t>(i)] = static_cast<uint8_t>(255 - i);
  table_->average_strided(Elem::kU8, Elem::kF32, got->data(), src->data(), 0, kRows, 1, 0, 33);
  const auto want = [](int64_t i) { return static_cast<float>(kRows * (255 - i)); };
  EXPECT_EQ(first_difference(Elem::kF32, *got, want), -1);
}

float combined(BinaryKind kind, float x, float y) {
  switch (kind) {
    case BinaryKind::kAdd:
      return x + y;
    case BinaryKind::kSub:
      return x - y;
    case BinaryKind::kMul:
      return x * y;
    case BinaryKind::kDiv:
      return x / y;
    case BinaryKind::kMax:
      break;
  }
  return std::fmax(x, y);
}
constexpr BinaryKind kBinaryKinds[] = {BinaryKind::kAdd, BinaryKind::kSub, BinaryKind::kMul, BinaryKind::kDiv,
                                       BinaryKind::kMax};

/// Random floats that are not 0, for quotients.
Row divisors(Elem elem, int64_t count, uint64_t seed) {
  Row row = random_row(elem, count, seed);
  for (int64_t i = 0; i < count; ++i) {
    if (load_elem(elem, row->data(), i) == 0) store_elem(elem, row->data(), i, 0.5f);
  }
  return row;
}

TEST_P(Elementwise, Binary) {
  for (const Elem elem : {Elem::kF32, Elem::kBf16}) {
    for (const int64_t length : kLengths) {
      const Row a = random_row(elem, length, 1), b = divisors(elem, length, 2), got = make_row(elem, length);
      for (const BinaryKind kind : kBinaryKinds) {
        table_->binary(elem, kind, got->data(), a->data(), b->data(), length);
        const auto want = [&](int64_t i) {
          return combined(kind, load_elem(elem, a->data(), i), load_elem(elem, b->data(), i));
        };
        ASSERT_EQ(first_difference(elem, *got, want), -1) << name(elem) << ", length " << length;
      }
    }
  }
}

TEST_P(Elementwise, BinaryOfChannels) {
  constexpr int64_t kRows = 3;
  for (const int64_t length : kLengths) {
    const int64_t ld = length + 2;
    const Row a = divisors(Elem::kF32, (kRows - 1) * ld + length, 3), b = divisors(Elem::kF32, length, 2);
    const auto* x = reinterpret_cast<const float*>(a->data());
    const auto* y = reinterpret_cast<const float*>(b->data());
    for (const BinaryKind kind : kBinaryKinds) {
      for (const bool swapped : {false, true}) {
        const Row out = make_row(Elem::kF32, (kRows - 1) * ld + length);
        table_->binary_channels(kind, swapped, reinterpret_cast<float*>(out->data()), x, y, kRows, length,
                                ld);
        const auto want = [&](int64_t i) {
          const int64_t c = i % ld;
          if (c >= length) return 0.0f;
          return swapped ? combined(kind, y[c], x[i]) : combined(kind, x[i], y[c]);
        };
        ASSERT_EQ(first_difference(Elem::kF32, *out, want), -1) << "length " << length;
      }
    }
  }
}

TEST_P(Elementwise, UnaryIsWithinTwoUlpOfDouble) {
  for (const int64_t length : kLengths) {
    const Row row = random_row(Elem::kF32, length, 5);
    const auto* src = reinterpret_cast<const float*>(row->data());
    GuardedFloats got(static_cast<size_t>(length));
    const auto check = [&](UnaryKind kind, float a, float b, auto f) {
      table_->unary(kind, a, b, got.data(), src, length);
      for (size_t i = 0; i < got.size(); ++i) {
        const double want = f(static_cast<double>(src[i]));
        ASSERT_NEAR(static_cast<double>(got[i]), want, 3e-7 * std::max(1.0, std::fabs(want)));
      }
    };
    check(UnaryKind::kRelu, 0, 0, [](double x) { return std::max(x, 0.0); });
    check(UnaryKind::kLeakyRelu, 0.125f, 0, [](double x) { return x < 0 ? x * 0.125 : x; });
    check(UnaryKind::kClip, -1, 2, [](double x) { return std::min(std::max(x, -1.0), 2.0); });
    check(UnaryKind::kSigmoid, 0, 0, [](double x) { return 1 / (1 + std::exp(-x)); });
    check(UnaryKind::kHardSigmoid, 0.25f, 0.5f,
          [](double x) { return std::min(std::max(x * 0.25 + 0.5, 0.0), 1.0); });
    check(UnaryKind::kHardSwish, 0, 0,
          [](double x) { return x * std::min(std::max(x / 6 + 0.5, 0.0), 1.0); });
  }
}

XDN_INSTANTIATE_EVERY_BUNDLE(Elementwise);

}  // namespace
}  // namespace xdn::kernels
