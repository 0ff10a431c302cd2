#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "kernels/kernel_table.h"
#include "support/guarded.h"

namespace xdn::kernels {
namespace {

using testing::GuardedFloats;
using testing::Uniform;

/// Lengths around every vector width and its multiples.
const int64_t kLengths[] = {1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 100};

class Elementwise : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    table_ = find_kernels(GetParam());
    if (table_ == nullptr) GTEST_SKIP() << "skipped: this processor lacks " << GetParam();
  }
  static std::unique_ptr<GuardedFloats> random(int64_t count, uint64_t seed) {
    auto out = std::make_unique<GuardedFloats>(static_cast<size_t>(count));
    Uniform uniform(seed);
    for (size_t i = 0; i < out->size(); ++i) (*out)[i] = uniform() * 4;
    return out;
  }
  const KernelTable* table_ = nullptr;
  const KernelTable& twin_ = *find_kernels("ref");
};

TEST_P(Elementwise, MaximumAndAverage) {
  for (const int64_t length : kLengths) {
    for (const size_t sources : {1u, 2u, 9u}) {
      std::vector<std::unique_ptr<GuardedFloats>> src;
      std::vector<const float*> pointers;
      for (size_t s = 0; s < sources; ++s) {
        src.push_back(random(length, s + 1));
        pointers.push_back(src.back()->data());
      }
      GuardedFloats got(static_cast<size_t>(length)), want(static_cast<size_t>(length));
      const auto n = static_cast<int64_t>(sources);
      table_->maximum(got.data(), pointers.data(), n, length);
      for (size_t i = 0; i < got.size(); ++i) {
        float best = (*src[0])[i];
        for (auto& s : src) best = std::fmax(best, (*s)[i]);
        ASSERT_EQ(got[i], best);
      }
      table_->average(got.data(), pointers.data(), n, 1.0f / 9, length);
      twin_.average(want.data(), pointers.data(), n, 1.0f / 9, length);
      for (size_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i], want[i]);
    }
  }
}

TEST_P(Elementwise, BinaryOfEqualShapesAndOfChannels) {
  for (const int64_t length : kLengths) {
    auto a = random(length, 1), b = random(length, 2);
    GuardedFloats got(static_cast<size_t>(length));
    for (const BinaryKind kind :
         {BinaryKind::kAdd, BinaryKind::kSub, BinaryKind::kMul, BinaryKind::kDiv, BinaryKind::kMax}) {
      const auto want = [&](float x, float y) {
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
      };
      table_->binary(kind, got.data(), a->data(), b->data(), length);
      for (size_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i], want((*a)[i], (*b)[i]));
      for (const bool swapped : {false, true}) {
        constexpr int64_t kRows = 3;
        const int64_t ld = length + 2;
        auto rows = random((kRows - 1) * ld + length, 3);
        GuardedFloats out(rows->size());
        table_->binary_channels(kind, swapped, out.data(), rows->data(), b->data(), kRows, length, ld);
        for (int64_t r = 0; r < kRows; ++r) {
          for (int64_t c = 0; c < length; ++c) {
            const float x = (*rows)[static_cast<size_t>(r * ld + c)], y = (*b)[static_cast<size_t>(c)];
            ASSERT_EQ(out[static_cast<size_t>(r * ld + c)], swapped ? want(y, x) : want(x, y));
          }
        }
      }
    }
  }
}

TEST_P(Elementwise, UnaryIsWithinTwoUlpOfDouble) {
  for (const int64_t length : kLengths) {
    auto src = random(length, 5);
    GuardedFloats got(static_cast<size_t>(length));
    const auto check = [&](UnaryKind kind, float a, float b, auto f) {
      table_->unary(kind, a, b, got.data(), src->data(), length);
      for (size_t i = 0; i < got.size(); ++i) {
        const double want = f(static_cast<double>((*src)[i]));
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

TEST_P(Elementwise, DepthwiseEqualsTwin) {
  for (const int64_t channels : kLengths) {
    constexpr int64_t kRows = 3, kTaps = 4;
    const int64_t ld_src = channels + 1, ld_dst = channels + 2;
    std::vector<std::unique_ptr<GuardedFloats>> src, weights;
    std::vector<const float*> s, w;
    for (uint64_t t = 0; t < kTaps; ++t) {
      src.push_back(random((kRows - 1) * ld_src + channels, t));
      weights.push_back(random(channels, 50 + t));
      s.push_back(src.back()->data());
      w.push_back(weights.back()->data());
    }
    auto bias = random(channels, 99);
    auto residual = random((kRows - 1) * ld_dst + channels, 98);
    for (const GemmAct act : {GemmAct::kNone, GemmAct::kRelu, GemmAct::kLeakyRelu, GemmAct::kClip}) {
      for (const float* res :
           {static_cast<const float*>(nullptr), static_cast<const float*>(residual->data())}) {
        GuardedFloats got(residual->size()), want(residual->size());
        table_->depthwise(got.data(), s.data(), w.data(), kTaps, bias->data(), res, act, -0.5f, 0.75f, kRows,
                          channels, ld_src, ld_dst);
        twin_.depthwise(want.data(), s.data(), w.data(), kTaps, bias->data(), res, act, -0.5f, 0.75f, kRows,
                        channels, ld_src, ld_dst);
        for (size_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i], want[i]) << "channels " << channels;
      }
    }
  }
}

TEST_P(Elementwise, BytesToFloats) {
  for (const int64_t length : kLengths) {
    std::vector<uint8_t> src(static_cast<size_t>(length));
    for (size_t i = 0; i < src.size(); ++i) src[i] = static_cast<uint8_t>(i * 37);
    GuardedFloats got(static_cast<size_t>(length));
    table_->u8_to_f32(got.data(), src.data(), length);
    for (size_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i], static_cast<float>(src[i]));
  }
}

INSTANTIATE_TEST_SUITE_P(EveryBundle, Elementwise, ::testing::Values("ref", "avx2", "avx512"),
                         [](const auto& p) { return std::string(p.param); });

}  // namespace
}  // namespace xdn::kernels
