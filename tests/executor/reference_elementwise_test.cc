#include <cmath>
#include <cstdint>
#include <limits>

#include "reference_support.h"

namespace xdn::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatEq;
using ::testing::HasSubstr;
using ::testing::NanSensitiveFloatEq;
using ::testing::Pointwise;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

TEST(ReferenceBinary, BroadcastsAsNumpyDoes) {
  const Tensor a = f32({2, 1, 3}, {1, 2, 3, 4, 5, 6}), b = f32({2, 1}, {10, 20});
  const Tensor y = evaluate(OpType::kAdd, NoAttrs{}, {&a, &b});
  EXPECT_EQ(y.dims(), (Dims{2, 2, 3}));
  EXPECT_THAT(floats(y), ElementsAre(11, 12, 13, 21, 22, 23, 14, 15, 16, 24, 25, 26));
  const Tensor scalar = Tensor::scalar(2.0f);
  EXPECT_THAT(floats(evaluate(OpType::kSub, NoAttrs{}, {&scalar, &b})), ElementsAre(-8, -18));
  EXPECT_THAT(floats(evaluate(OpType::kDiv, NoAttrs{}, {&b, &scalar})), ElementsAre(5, 10));
  const Tensor empty(DType::kF32, {2, 0});
  EXPECT_EQ(evaluate(OpType::kMul, NoAttrs{}, {&empty, &b}).dims(), (Dims{2, 0}));
}

TEST(ReferenceBinary, RefusesWhatDoesNotFit) {
  const Tensor a = counting({2, 3}), b = counting({2, 2}), c = Tensor::of<int32_t>({1}, {1});
  EXPECT_THAT(message_of([&] {
                evaluate(OpType::kAdd, NoAttrs{}, {&a, &b});
              }),
              HasSubstr("layer 'layer': expected shapes that broadcast, got [2,3] and [2,2]"));
  EXPECT_THAT(message_of([&] { evaluate(OpType::kAdd, NoAttrs{}, {&a, &c}); }), HasSubstr("f32 and i32"));
  EXPECT_THAT(message_of([&] { evaluate(OpType::kAdd, NoAttrs{}, {&a, nullptr}); }), HasSubstr("position 1"));
  const Tensor flags(DType::kBool, {2});
  EXPECT_THAT(message_of([&] { evaluate(OpType::kAdd, NoAttrs{}, {&flags, &flags}); }), HasSubstr("b8"));
}

TEST(ReferenceBinary, IntegersWrapAndDivideTowardsZero) {
  const Tensor a = Tensor::of<int8_t>({4}, {127, -128, -7, 7}), b = Tensor::of<int8_t>({4}, {1, -1, 2, -2});
  EXPECT_THAT(values<int8_t>(evaluate(OpType::kAdd, NoAttrs{}, {&a, &b})), ElementsAre(-128, 127, -5, 5));
  EXPECT_THAT(values<int8_t>(evaluate(OpType::kMul, NoAttrs{}, {&a, &b})), ElementsAre(127, -128, -14, -14));
  EXPECT_THAT(values<int8_t>(evaluate(OpType::kDiv, NoAttrs{}, {&a, &b})), ElementsAre(127, -128, -3, -3));
  const Tensor u = Tensor::of<uint8_t>({2}, {3, 200}), v = Tensor::of<uint8_t>({2}, {5, 100});
  EXPECT_THAT(values<uint8_t>(evaluate(OpType::kSub, NoAttrs{}, {&u, &v})), ElementsAre(254, 100));
  constexpr int64_t kLow = std::numeric_limits<int64_t>::min();
  const Tensor x = Tensor::of<int64_t>({2}, {kLow, kLow}), y = Tensor::of<int64_t>({2}, {-1, 2});
  EXPECT_THAT(values<int64_t>(evaluate(OpType::kDiv, NoAttrs{}, {&x, &y})), ElementsAre(kLow, kLow / 2));
  const Tensor big = Tensor::of<uint64_t>({1}, {~uint64_t{0}}), three = Tensor::of<uint64_t>({1}, {3});
  EXPECT_THAT(values<uint64_t>(evaluate(OpType::kDiv, NoAttrs{}, {&big, &three})),
              ElementsAre(~uint64_t{0} / 3));
}

TEST(ReferenceBinary, DivisionByZero) {
  const Tensor a = Tensor::of<int32_t>({1}, {1}), zero = Tensor::of<int32_t>({1}, {0});
  EXPECT_THAT(message_of([&] { evaluate(OpType::kDiv, NoAttrs{}, {&a, &zero}); }), HasSubstr("divisor"));
  const Tensor f = f32({3}, {1, -1, 0}), g = f32({}, {0});
  EXPECT_THAT(floats(evaluate(OpType::kDiv, NoAttrs{}, {&f, &g})),
              Pointwise(NanSensitiveFloatEq(), std::vector<float>{kInf, -kInf, kNan}));
}

TEST(ReferenceBinary, MaxKeepsNan) {
  const Tensor a = f32({4}, {1, kNan, 3, -kInf}), b = f32({4}, {2, 0, kNan, -5});
  EXPECT_THAT(floats(evaluate(OpType::kMax, NoAttrs{}, {&a, &b})),
              Pointwise(NanSensitiveFloatEq(), std::vector<float>{2, kNan, kNan, -5}));
  const Tensor c = Tensor::of<uint64_t>({2}, {uint64_t{1} << 63, 1}), d = Tensor::of<uint64_t>({2}, {5, 7});
  EXPECT_THAT(values<uint64_t>(evaluate(OpType::kMax, NoAttrs{}, {&c, &d})),
              ElementsAre(uint64_t{1} << 63, 7));
}

TEST(ReferenceBinary, PReluBroadcastsItsSlope) {
  const Tensor x = f32({1, 2, 2}, {-1, 2, -3, -4}), slope = f32({2, 1}, {0.5f, 2});
  EXPECT_THAT(floats(evaluate(OpType::kPRelu, NoAttrs{}, {&x, &slope})), ElementsAre(-0.5f, 2, -6, -8));
}

TEST(ReferenceBinary, SmallFloatsRoundOnce) {
  const Tensor a = f32({2}, {1, 2048}).converted(DType::kF16),
               b = f32({2}, {0x1p-11f, 1}).converted(DType::kF16);
  const Tensor sum = evaluate(OpType::kAdd, NoAttrs{}, {&a, &b});
  EXPECT_EQ(sum.dtype(), DType::kF16);
  EXPECT_THAT(floats(sum), ElementsAre(1, 2048));  // both are ties, to even
  const Tensor c = f32({1}, {256}).converted(DType::kBF16), d = f32({1}, {3}).converted(DType::kBF16);
  EXPECT_THAT(floats(evaluate(OpType::kAdd, NoAttrs{}, {&c, &d})), ElementsAre(260));
}

TEST(ReferencePow, MixedTypes) {
  const Tensor base = f32({3}, {2, -3, 4}), i = Tensor::of<int64_t>({3}, {-1, 3, 0});
  EXPECT_THAT(floats(evaluate(OpType::kPow, NoAttrs{}, {&base, &i})), ElementsAre(0.5f, -27, 1));
  const Tensor n = Tensor::of<int32_t>({3}, {4, 2, -2}), half = f32({}, {0.5f});
  EXPECT_THAT(values<int32_t>(evaluate(OpType::kPow, NoAttrs{}, {&n, &half})), ElementsAre(2, 1, 0));
  const Tensor u = Tensor::of<uint32_t>({3}, {2, 3, 1});
  EXPECT_THAT(values<int32_t>(evaluate(OpType::kPow, NoAttrs{}, {&n, &u})), ElementsAre(16, 8, -2));
  EXPECT_THAT(floats(evaluate(OpType::kPow, NoAttrs{}, {&base, &half})),
              Pointwise(NanSensitiveFloatEq(), std::vector<float>{std::sqrt(2.0f), kNan, 2}));
}

TEST(ReferencePow, IntegersWrapAndHaveNoNegativePowers) {
  const Tensor base = Tensor::of<int64_t>({4}, {3, -1, 1, 5}), minus = Tensor::of<int64_t>({}, {-3});
  EXPECT_THAT(values<int64_t>(evaluate(OpType::kPow, NoAttrs{}, {&base, &minus})), ElementsAre(0, -1, 1, 0));
  const Tensor large = Tensor::of<int64_t>({}, {64}), two = Tensor::of<int64_t>({1}, {2});
  EXPECT_THAT(values<int64_t>(evaluate(OpType::kPow, NoAttrs{}, {&two, &large})), ElementsAre(0));
  const Tensor zero = Tensor::of<int64_t>({1}, {0});
  EXPECT_THAT(message_of([&] {
                evaluate(OpType::kPow, NoAttrs{}, {&zero, &minus});
              }),
              HasSubstr("negative power"));
}

TEST(ReferenceUnary, Activations) {
  const Tensor x = f32({6}, {-4, -1, 0, 1, 4, kNan});
  const auto eval = [&](OpType type, OpAttrs attrs) {
    return floats(evaluate(type, std::move(attrs), {&x}));
  };
  EXPECT_THAT(eval(OpType::kRelu, NoAttrs{}),
              Pointwise(NanSensitiveFloatEq(), std::vector<float>{0, 0, 0, 1, 4, kNan}));
  EXPECT_THAT(eval(OpType::kLeakyRelu, LeakyReluAttrs{.alpha = 0.5f}),
              Pointwise(NanSensitiveFloatEq(), std::vector<float>{-2, -0.5f, 0, 1, 4, kNan}));
  EXPECT_THAT(eval(OpType::kClip, ClipAttrs{.min = -2, .max = 0.5f}),
              Pointwise(NanSensitiveFloatEq(), std::vector<float>{-2, -1, 0, 0.5f, 0.5f, kNan}));
  EXPECT_THAT(eval(OpType::kClip, ClipAttrs{.min = 3, .max = 2}),
              Pointwise(NanSensitiveFloatEq(), std::vector<float>{2, 2, 2, 2, 2, kNan}));
  EXPECT_THAT(eval(OpType::kHardSigmoid, HardSigmoidAttrs{.alpha = 0.25f, .beta = 0.5f}),
              Pointwise(NanSensitiveFloatEq(), std::vector<float>{0, 0.25f, 0.5f, 0.75f, 1, kNan}));
  EXPECT_THAT(eval(OpType::kHardSwish, NoAttrs{}),
              Pointwise(NanSensitiveFloatEq(), std::vector<float>{0, -1.0f / 3, 0, 2.0f / 3, 4, kNan}));
}

TEST(ReferenceUnary, SigmoidStaysFinite) {
  const Tensor x = f32({4}, {-1000, 0, 1000, 1});
  EXPECT_THAT(floats(evaluate(OpType::kSigmoid, NoAttrs{}, {&x})),
              Pointwise(FloatEq(), std::vector<float>{0, 0.5f, 1, 0.7310585786f}));
}

TEST(ReferenceUnary, ClipsIntegersInTheirType) {
  const Tensor x = Tensor::of<int8_t>({4}, {-100, -1, 5, 100});
  EXPECT_THAT(values<int8_t>(evaluate(OpType::kClip, ClipAttrs{.min = -1.5f, .max = 1000}, {&x})),
              ElementsAre(-1, -1, 5, 100));
  EXPECT_THAT(values<int8_t>(evaluate(OpType::kRelu, NoAttrs{}, {&x})), ElementsAre(0, 0, 5, 100));
  const Tensor u = Tensor::of<uint64_t>({2}, {0, ~uint64_t{0}});
  EXPECT_THAT(values<uint64_t>(evaluate(OpType::kClip, ClipAttrs{.min = -5}, {&u})),
              ElementsAre(0, ~uint64_t{0}));
  const Tensor flags(DType::kBool, {1});
  EXPECT_THAT(message_of([&] { evaluate(OpType::kClip, ClipAttrs{}, {&flags}); }), HasSubstr("b8"));
  EXPECT_THAT(message_of([&] { evaluate(OpType::kSigmoid, NoAttrs{}, {&x}); }), HasSubstr("floating"));
}

TEST(ReferenceCast, ConvertsAndSaturates) {
  const Tensor x = f32({5}, {-1.5f, 2.9f, 300, kNan, 0});
  EXPECT_THAT(values<uint8_t>(evaluate(OpType::kCast, CastAttrs{DType::kU8}, {&x})),
              ElementsAre(0, 2, 255, 0, 0));
  EXPECT_THAT(values<bool>(evaluate(OpType::kCast, CastAttrs{DType::kBool}, {&x})),
              ElementsAre(true, true, true, true, false));
  const Tensor half = evaluate(OpType::kCast, CastAttrs{DType::kF16}, {&x});
  EXPECT_EQ(half.dtype(), DType::kF16);
  EXPECT_EQ(floats(half)[2], 300);
}

}  // namespace
}  // namespace xdn::testing
