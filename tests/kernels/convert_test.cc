// Elements from one type to another, and sums of bytes.
#include <algorithm>
#include <limits>

#include "kernels/elementwise_fixture.h"
#include "kernels/reference/quantize.h"

namespace xdn::kernels {
namespace {

using namespace xdn::testing;

class Convert : public EveryBundle {};

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Those and their neighbours, up to `length` elements, then random ones.
std::unique_ptr<GuardedFloats> floats_around(const std::vector<float>& points, int64_t length, float spread) {
  auto out = std::make_unique<GuardedFloats>(static_cast<size_t>(length));
  GuardedFloats& row = *out;
  Uniform uniform(3);
  for (size_t i = 0; i < row.size(); ++i) {
    if (i >= 3 * points.size()) {
      row[i] = uniform() * spread;
    } else {
      const float point = points[i / 3];
      row[i] = i % 3 == 0 ? point : std::nextafter(point, i % 3 == 1 ? kInfinity : -kInfinity);
    }
  }
  return out;
}

TEST_P(Convert, FloatsToBf16AndBack) {
  const std::vector<float> points = {0.0f,      -0.0f,     1.00390625f, 1.01171875f, -1.00390625f, 257,
                                     259,       -65793.0f, 3.39e38f,    -3.39e38f,   1e-39f,       -1e-40f,
                                     0x1p-126f, 1e-45f,    kInfinity,   -kInfinity};
  for (const int64_t length : kLengths) {
    const auto holder = floats_around(points, length, 1000);
    GuardedFloats& src = *holder;
    const Row bf16 = make_row(Elem::kBf16, length), back = make_row(Elem::kF32, length);
    table_->convert(Elem::kBf16, bf16->data(), Elem::kF32, src.data(), {}, length);
    const auto same = [&](int64_t i) { return src[static_cast<size_t>(i)]; };
    ASSERT_EQ(first_difference(Elem::kBf16, *bf16, same), -1) << "length " << length;
    table_->convert(Elem::kF32, back->data(), Elem::kBf16, bf16->data(), {}, length);
    const auto widened = [&](int64_t i) { return load_elem(Elem::kBf16, bf16->data(), i); };
    ASSERT_EQ(first_difference(Elem::kF32, *back, widened), -1) << "length " << length;
  }
}

constexpr QuantScale kScales[] = {{1, 0},         {0.5f, 3},    {0.1f, 128},  {1.0f / 3, 255},
                                  {0.0173f, 114}, {1e-30f, 17}, {3e37f, 200}, {0.0078125f, 0}};

TEST_P(Convert, FloatsToBytesAsTheOracle) {
  for (const QuantScale quant : kScales) {
    std::vector<float> points = {0, -0.0f, kInfinity, -kInfinity, 3e38f, -3e38f, 1e-45f};
    for (int level = -3; level < 258; level += 7) {
      points.push_back((static_cast<float>(level - quant.zero) + 0.5f) * quant.scale);
      points.push_back((static_cast<float>(level - quant.zero) + 1.5f) * quant.scale);
    }
    const auto long_enough = static_cast<int64_t>(3 * points.size() + 333);
    std::vector<int64_t> lengths(std::begin(kLengths), std::end(kLengths));
    lengths.push_back(long_enough);
    for (const int64_t length : lengths) {
      const auto holder = floats_around(points, length, 200 * quant.scale);
      GuardedFloats& src = *holder;
      const Row got = make_row(Elem::kU8, length);
      std::vector<int64_t> want(static_cast<size_t>(length));
      const int64_t zero = quant.zero;
      reference::quantize({1, 1, length}, src.data(), &quant.scale, &zero, 0, 255, want.data());
      table_->convert(Elem::kU8, got->data(), Elem::kF32, src.data(), quant, length);
      for (size_t i = 0; i < want.size(); ++i) {
        ASSERT_EQ((*got)[i], want[i]) << src[i] << " / " << quant.scale << " + " << quant.zero;
      }
    }
  }
}

TEST_P(Convert, BytesToFloatsAsTheOracle) {
  for (const QuantScale quant : kScales) {
    for (const int64_t length : kLengths) {
      const Row src = make_row(Elem::kU8, length), got = make_row(Elem::kF32, length);
      std::vector<int64_t> levels(static_cast<size_t>(length));
      for (size_t i = 0; i < levels.size(); ++i) levels[i] = (*src)[i] = static_cast<uint8_t>(i * 37);
      std::vector<double> want(levels.size());
      const int64_t zero = quant.zero;
      reference::dequantize({1, 1, length}, levels.data(), &quant.scale, &zero, want.data());
      table_->convert(Elem::kF32, got->data(), Elem::kU8, src->data(), quant, length);
      for (int64_t i = 0; i < length; ++i) {
        ASSERT_EQ(static_cast<double>(load_elem(Elem::kF32, got->data(), i)), want[static_cast<size_t>(i)])
            << levels[static_cast<size_t>(i)] << " - " << quant.zero << " times " << quant.scale;
      }
    }
  }
}

TEST_P(Convert, SumsOfBytes) {
  struct Factors {
    float a, b, shift, lo, hi;
  };
  // The first and second have ties; the third and fourth saturate.
  for (const Factors f : {Factors{0.5f, 0.5f, 0, 0, 255},
                          {0.25f, 0.5f, 3, 10, 200},
                          {1.7f, -0.9f, 20.3f, 0, 255},
                          {-2, 3, 1.5f, 7, 250.5f},
                          {0.37f, 0.61f, -11.1f, 0, 255}}) {
    for (const int64_t length : kLengths) {
      const Row a = random_row(Elem::kU8, length, 1), b = random_row(Elem::kU8, length, 2);
      const Row got = make_row(Elem::kU8, length);
      table_->add_u8(got->data(), a->data(), b->data(), f.a, f.b, f.shift, f.lo, f.hi, length);
      const auto want = [&](int64_t i) {
        const float x = load_elem(Elem::kU8, a->data(), i), y = load_elem(Elem::kU8, b->data(), i);
        return std::clamp(std::fma(x, f.a, std::fma(y, f.b, f.shift)), f.lo, f.hi);
      };
      ASSERT_EQ(first_difference(Elem::kU8, *got, want), -1) << "length " << length;
    }
  }
}

XDN_INSTANTIATE_EVERY_BUNDLE(Convert);

}  // namespace
}  // namespace xdn::kernels
