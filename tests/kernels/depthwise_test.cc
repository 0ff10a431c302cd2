#include <optional>

#include "kernels/elementwise_fixture.h"
#include "kernels/gemm_problem.h"

namespace xdn::kernels {
namespace {

using namespace xdn::testing;

class Depthwise : public EveryBundle {};

struct Layer {
  Elem elem, c;
  GemmAct act;
  std::optional<Elem> residual;
  bool middle, start;
  int64_t channels;
};

constexpr int64_t kRows = 3, kTaps = 4;

float middle_of(Elem elem, float floats, float bytes) { return elem == Elem::kU8 ? bytes : floats; }

/// Runs the layer; returns the index of the first wrong byte, or -1.
int64_t wrong_byte(const KernelTable& table, const Layer& layer, Tally& tally) {
  const bool i8 = layer.elem == Elem::kU8;
  const int64_t channels = layer.channels, ld_src = (channels + 1) * elem_bytes(layer.elem);
  std::vector<Row> src, weights;
  std::vector<const void*> taps;
  std::vector<const float*> w;
  for (uint64_t t = 0; t < kTaps; ++t) {
    src.push_back(random_row(layer.elem, (kRows - 1) * (channels + 1) + channels, t));
    weights.push_back(random_row(Elem::kF32, channels, 50 + t));
    auto* values = reinterpret_cast<float*>(weights.back()->data());
    for (int64_t i = 0; i8 && i < channels; ++i) values[i] = std::floor(values[i] * 30);
    taps.push_back(src.back()->data());
    w.push_back(values);
  }
  const Row bias = random_row(Elem::kF32, channels, 99), scale = random_row(Elem::kF32, channels, 97);
  const Row start = random_row(Elem::kF32, channels, 96);
  for (int64_t i = 0; i < channels; ++i) {
    auto* factors = reinterpret_cast<float*>(scale->data());
    auto* starts = reinterpret_cast<float*>(start->data());
    factors[i] = 0.005f * (factors[i] + 6);
    starts[i] = std::floor(starts[i] * 1000);
  }
  GemmArgs g{};
  g.store_columns = channels;
  g.bias = reinterpret_cast<const float*>(bias->data());
  if (i8) g.scale = reinterpret_cast<const float*>(scale->data());
  const float* start_sums = i8 && layer.start ? reinterpret_cast<const float*>(start->data()) : nullptr;
  Row residual;
  g.residual_scale = 1;
  if (layer.residual) {
    g.residual_elem = *layer.residual;
    g.ldr = (channels + 3) * elem_bytes(g.residual_elem);
    residual = random_row(g.residual_elem, (kRows - 1) * (channels + 3) + channels, 98);
    g.residual = residual->data();
    g.residual_scale = 0.7f;
  }
  g.act = layer.act;
  g.lo = layer.act == GemmAct::kLeakyRelu ? 0.3f : middle_of(layer.elem, -2, 20.25f);
  g.hi = middle_of(layer.elem, 5, 201);
  g.has_middle = layer.middle;
  g.middle_lo = middle_of(layer.elem, -9, 4);
  g.middle_hi = middle_of(layer.elem, 11, 230);
  g.middle_scale = 0.8f;
  g.middle_shift = -1.3f;
  g.c_scale = 11;
  g.c_shift = 99.5f;
  g.c_elem = layer.c;
  g.ldc = (channels + 2) * elem_bytes(layer.c);
  const Row got = make_row(layer.c, (kRows - 1) * (channels + 2) + channels);
  std::fill(got->begin(), got->end(), uint8_t{0xA5});
  std::vector<uint8_t> want(got->begin(), got->end());
  g.c = got->data();
  table.depthwise(layer.elem, g, taps.data(), w.data(), kTaps, start_sums, kRows, ld_src);

  const Arith arith = i8 ? Arith::kI8 : Arith::kF32;
  for (int64_t r = 0; r < kRows; ++r) {
    for (int64_t j = 0; j < channels; ++j) {
      float sum = i8 ? (start_sums == nullptr ? 0 : start_sums[j]) : g.bias[j];
      for (size_t t = 0; t < kTaps; ++t) {
        sum =
            std::fma(load_elem(layer.elem, static_cast<const char*>(taps[t]) + r * ld_src, j), w[t][j], sum);
      }
      const float v = i8 ? std::fma(sum, g.scale[j], g.bias[j]) : sum;
      store_elem(layer.c, want.data() + r * g.ldc, j, epilogue(g, arith, v, r, j, tally));
    }
  }
  for (size_t i = 0; i < want.size(); ++i) {
    if (want[i] != (*got)[i]) return static_cast<int64_t>(i);
  }
  return -1;
}

TEST_P(Depthwise, EveryElementAndEpilogue) {
  constexpr std::optional<Elem> kResiduals[] = {std::nullopt, Elem::kF32, Elem::kBf16, Elem::kU8};
  Tally tally;
  for (const Elem elem : kElems) {
    for (const Elem c : kElems) {
      for (const auto& residual : kResiduals) {
        for (const GemmAct act : {GemmAct::kNone, GemmAct::kRelu, GemmAct::kLeakyRelu, GemmAct::kClip}) {
          for (const bool middle : {false, true}) {
            for (const int64_t channels : {1, 7, 8, 9, 15, 16, 17, 33, 100}) {
              const Layer layer{elem, c, act, residual, middle, channels % 2 == 0, channels};
              ASSERT_EQ(wrong_byte(*table_, layer, tally), -1)
                  << name(elem) << " to " << name(c) << ", residual " << (residual ? name(*residual) : "none")
                  << ", act " << static_cast<int>(act) << ", middle " << middle << ", channels " << channels;
            }
          }
        }
      }
    }
  }
  EXPECT_TRUE(tally.below > 0 && tally.above > 0) << "no saturation to see";
}

XDN_INSTANTIATE_EVERY_BUNDLE(Depthwise);

}  // namespace
}  // namespace xdn::kernels
