#include <cmath>

#include "reference_support.h"

namespace xdn::testing {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::HasSubstr;
using ::testing::Pointwise;

ConvAttrs conv(Window window, int64_t group = 1, Activation act = {}) {
  return {.window = std::move(window), .group = group, .act = act};
}

TEST(ReferenceConv, PaddingAtTheBorders) {
  const Tensor x = counting({1, 1, 3, 3}), w = f32({1, 1, 3, 3}, {1, 1, 1, 1, 1, 1, 1, 1, 1});
  const Tensor same = evaluate(OpType::kConv, conv(window({3, 3}, {}, {1, 1}, {1, 1})), {&x, &w});
  EXPECT_EQ(same.dims(), (Dims{1, 1, 3, 3}));
  EXPECT_THAT(floats(same), ElementsAre(12, 21, 16, 27, 45, 33, 24, 39, 28));
  const Tensor valid = evaluate(OpType::kConv, conv(window({3, 3})), {&x, &w});
  EXPECT_EQ(valid.dims(), (Dims{1, 1, 1, 1}));
  EXPECT_THAT(floats(valid), ElementsAre(45));
}

TEST(ReferenceConv, AsymmetricPadsAndStrides) {
  const Tensor x = counting({1, 1, 3, 4}), w = f32({1, 1, 2, 2}, {1, 10, 100, 1000});
  const ConvAttrs attrs = conv(window({2, 2}, {2, 3}, {1, 0}, {0, 1}));
  const Tensor y = evaluate(OpType::kConv, attrs, {&x, &w});
  EXPECT_EQ(y.dims(), (Dims{1, 1, 2, 2}));
  EXPECT_THAT(floats(y), ElementsAre(2100, 400, 5 + 60 + 900 + 10000, 8 + 1200));
}

TEST(ReferenceConv, OneDimensionalDilated) {
  const Tensor x = counting({1, 1, 6}), w = f32({1, 1, 3}, {1, 10, 100});
  const Tensor y = evaluate(OpType::kConv, conv(window({3}, {}, {1}, {1}, {2})), {&x, &w});
  EXPECT_EQ(y.dims(), (Dims{1, 1, 4}));
  EXPECT_THAT(floats(y), ElementsAre(420, 531, 642, 53));
}

TEST(ReferenceConv, ThreeDimensional) {
  const Tensor x = counting({1, 1, 2, 2, 2}), w = f32({1, 1, 2, 1, 2}, {1, 10, 100, 1000});
  const Tensor y = evaluate(OpType::kConv, conv(window({2, 1, 2})), {&x, &w});
  EXPECT_EQ(y.dims(), (Dims{1, 1, 1, 2, 1}));
  EXPECT_THAT(floats(y), ElementsAre(6521, 8743));
}

TEST(ReferenceConv, GroupsAndBias) {
  const Tensor x = counting({2, 4, 1, 1});
  const Tensor w = f32({2, 2, 1, 1}, {1, 10, 1, 10}), bias = f32({2}, {0.5f, -0.5f});
  const Tensor y = evaluate(OpType::kConv, conv(window({1, 1}), 2), {&x, &w, &bias});
  EXPECT_THAT(floats(y), ElementsAre(21.5f, 42.5f, 65.5f, 86.5f));
  const Tensor depthwise = f32({8, 1, 1, 1}, {1, 2, 1, 2, 1, 2, 1, 2});
  const Tensor z = evaluate(OpType::kConv, conv(window({1, 1}), 4), {&x, &depthwise});
  EXPECT_EQ(z.dims(), (Dims{2, 8, 1, 1}));
  EXPECT_THAT(floats(z), ElementsAre(1, 2, 2, 4, 3, 6, 4, 8, 5, 10, 6, 12, 7, 14, 8, 16));
}

TEST(ReferenceConv, ResidualThenActivation) {
  const Tensor x = f32({1, 1, 1, 3}, {1, 2, 3}), w = f32({1, 1, 1, 1}, {1});
  const Tensor residual = f32({1, 1, 1, 3}, {-3, -2, 4});
  const auto eval = [&](Activation act) {
    return floats(evaluate(OpType::kConv, conv(window({1, 1}), 1, act), {&x, &w, nullptr, &residual}));
  };
  EXPECT_THAT(eval({}), ElementsAre(-2, 0, 7));
  EXPECT_THAT(eval({ActKind::kRelu, 0, 0}), ElementsAre(0, 0, 7));
  EXPECT_THAT(eval({ActKind::kLeakyRelu, 0.25f, 0}), ElementsAre(-0.5f, 0, 7));
  EXPECT_THAT(eval({ActKind::kClip, -1, 6}), ElementsAre(-1, 0, 6));
}

TEST(ReferenceConv, AccumulatesInDouble) {
  // In float 1e8 + 1 - 1e8 is 0.
  const Tensor x = f32({1, 3, 1, 1}, {1e8f, 1, -1e8f}), w = f32({1, 3, 1, 1}, {1, 1, 1});
  EXPECT_THAT(floats(evaluate(OpType::kConv, conv(window({1, 1})), {&x, &w})), ElementsAre(1));
}

TEST(ReferenceConv, RefusesWhatDoesNotFit) {
  const Tensor x = counting({1, 3, 2, 2}), w = counting({4, 2, 1, 1}), large = counting({4, 3, 3, 3});
  const Tensor good = counting({4, 3, 1, 1}), bias = counting({3});
  const auto message = [&](ConvAttrs attrs, std::vector<const Tensor*> inputs) {
    return message_of([&] { evaluate(OpType::kConv, attrs, inputs); });
  };
  EXPECT_THAT(message(conv(window({1, 1})), {&x, &w}), HasSubstr("expected weights [oc,[3]/group,kernel]"));
  EXPECT_THAT(message(conv(window({3, 3})), {&x, &large}), HasSubstr("no larger than the padded input"));
  EXPECT_THAT(message(conv(window({1, 1}), 0), {&x, &good}), HasSubstr("group 0"));
  EXPECT_THAT(message(conv(window({1, 1}, {0, 1})), {&x, &good}), HasSubstr("strides of at least 1"));
  EXPECT_THAT(message(conv(window({1})), {&x, &good}), HasSubstr("expected 2 kernel extents, got 1"));
  EXPECT_THAT(message(conv(window({1, 1}, {}, {-1, 0})), {&x, &good}), HasSubstr("pads of at least 0"));
  EXPECT_THAT(message(conv(window({1, 1})), {&x, &good, &bias}), HasSubstr("a bias of 4 elements"));
  EXPECT_THAT(message(conv(window({1, 1})), {&x, &good, nullptr, &x}), HasSubstr("a residual of shape"));
  const Tensor bytes(DType::kU8, {1, 3, 2, 2});
  EXPECT_THAT(message(conv(window({1, 1})), {&bytes, &good}), HasSubstr("floating"));
  EXPECT_THAT(message(conv(window({1 << 30, 1 << 30})), {&x, &good}), HasSubstr("larger than"));
}

TEST(ReferencePool, MaxIgnoresPadding) {
  const Tensor x = f32({1, 1, 2, 2}, {-1, -2, -3, -4});
  const Tensor y =
      evaluate(OpType::kMaxPool, PoolAttrs{.window = window({2, 2}, {1, 1}, {1, 1}, {1, 1})}, {&x});
  EXPECT_EQ(y.dims(), (Dims{1, 1, 3, 3}));
  EXPECT_THAT(floats(y), ElementsAre(-1, -1, -2, -1, -1, -2, -3, -3, -4));
}

TEST(ReferencePool, CeilModeDropsWindowsThatStartInThePadding) {
  const Tensor x = counting({1, 1, 5});
  const auto pooled = [&](Window w, bool ceil) {
    return evaluate(OpType::kMaxPool, PoolAttrs{.window = std::move(w), .ceil_mode = ceil}, {&x});
  };
  EXPECT_THAT(floats(pooled(window({2}, {2}), false)), ElementsAre(2, 4));
  EXPECT_THAT(floats(pooled(window({2}, {2}), true)), ElementsAre(2, 4, 5));
  // Rounding up gives 4 windows; the fourth would start at 6 = extent + pad.
  EXPECT_THAT(floats(pooled(window({1}, {2}, {1}, {1}), true)), ElementsAre(-INFINITY, 2, 4));
  // A window larger than the input.
  EXPECT_THAT(floats(pooled(window({6}, {2}), true)), ElementsAre(5));
}

TEST(ReferencePool, MaxOfDilatedAndInteger) {
  const Tensor x = Tensor::of<uint8_t>({1, 1, 5}, {9, 1, 7, 200, 5});
  const PoolAttrs attrs{.window = window({2}, {}, {}, {}, {2})};
  EXPECT_THAT(values<uint8_t>(evaluate(OpType::kMaxPool, attrs, {&x})), ElementsAre(9, 200, 7));
  const Tensor i = Tensor::of<int8_t>({1, 1, 1}, {-100});
  const PoolAttrs padded{.window = window({1}, {}, {1}, {1})};
  EXPECT_THAT(values<int8_t>(evaluate(OpType::kMaxPool, padded, {&i})), ElementsAre(-128, -100, -128));
}

TEST(ReferencePool, AverageAndItsPadding) {
  const Tensor x = counting({1, 1, 2, 2});
  const Window w = window({2, 2}, {1, 1}, {1, 1}, {0, 0});
  EXPECT_THAT(floats(evaluate(OpType::kAveragePool, PoolAttrs{.window = w}, {&x})),
              ElementsAre(1, 1.5f, 2, 2.5f));
  EXPECT_THAT(floats(evaluate(OpType::kAveragePool, PoolAttrs{.window = w, .count_include_pad = true}, {&x})),
              ElementsAre(0.25f, 0.75f, 1, 2.5f));
}

TEST(ReferencePool, CeilModeNeverCountsWhatItAdds) {
  const Tensor x = f32({1, 1, 5}, {2, 4, 6, 8, 9});
  for (const bool count : {false, true}) {
    const PoolAttrs attrs{.window = window({2}, {2}), .ceil_mode = true, .count_include_pad = count};
    EXPECT_THAT(floats(evaluate(OpType::kAveragePool, attrs, {&x})), ElementsAre(3, 7, 9));
  }
  // One real element, one of padding, one that ceil_mode adds.
  const PoolAttrs padded{.window = window({3}, {3}, {1}, {1}), .ceil_mode = true, .count_include_pad = true};
  EXPECT_THAT(floats(evaluate(OpType::kAveragePool, padded, {&x})), ElementsAre(2, 23.0f / 3));
  const Tensor four = f32({1, 1, 4}, {2, 4, 6, 8});
  EXPECT_THAT(floats(evaluate(OpType::kAveragePool, padded, {&four})), ElementsAre(2, 14.0f / 3));
  const Tensor six = f32({1, 1, 6}, {2, 4, 6, 8, 10, 12});
  EXPECT_THAT(floats(evaluate(OpType::kAveragePool, padded, {&six})), ElementsAre(2, 8, 6));
}

TEST(ReferencePool, GlobalAverage) {
  const Tensor x = counting({1, 2, 2, 2, 1});
  const Tensor y = evaluate(OpType::kGlobalAveragePool, NoAttrs{}, {&x});
  EXPECT_EQ(y.dims(), (Dims{1, 2, 1, 1, 1}));
  EXPECT_THAT(floats(y), ElementsAre(2.5f, 6.5f));
  const Tensor flat = counting({1, 2});
  EXPECT_THAT(floats(evaluate(OpType::kGlobalAveragePool, NoAttrs{}, {&flat})), ElementsAre(1, 2));
}

TEST(ReferenceLrn, AcrossChannels) {
  const Tensor x = counting({1, 4, 1, 1});
  const LrnAttrs attrs{.size = 3, .alpha = 3, .beta = 1, .bias = 1};
  EXPECT_THAT(floats(evaluate(OpType::kLrn, attrs, {&x})),
              Pointwise(FloatNear(1e-7f), std::vector<float>{1.0f / 6, 2.0f / 15, 3.0f / 30, 4.0f / 26}));
  // An even size reaches one channel further up than down.
  const LrnAttrs even{.size = 2, .alpha = 2, .beta = 1, .bias = 1};
  EXPECT_THAT(floats(evaluate(OpType::kLrn, even, {&x})),
              Pointwise(FloatNear(1e-7f), std::vector<float>{1.0f / 6, 2.0f / 14, 3.0f / 26, 4.0f / 17}));
}

TEST(ReferenceLrn, WithinChannels) {
  const Tensor x = counting({1, 1, 2, 3});
  const LrnAttrs attrs{.size = 3, .alpha = 9, .beta = 0.5f, .bias = 2, .within_channel = true};
  const auto expected = [](float value, float squares) { return value / std::sqrt(2 + squares); };
  EXPECT_THAT(
      floats(evaluate(OpType::kLrn, attrs, {&x})),
      Pointwise(FloatNear(1e-6f), std::vector<float>{expected(1, 46), expected(2, 91), expected(3, 74),
                                                     expected(4, 46), expected(5, 91), expected(6, 74)}));
  const Tensor flat = counting({1, 2});
  EXPECT_THAT(message_of([&] { evaluate(OpType::kLrn, attrs, {&flat}); }), HasSubstr("rank 4"));
}

TEST(ReferenceConv, HalfTypesStoreWhatDoubleComputed) {
  for (const DType dtype : {DType::kF16, DType::kBF16, DType::kF64}) {
    const Tensor x = counting({1, 2, 2, 2}).converted(dtype), w = counting({1, 2, 1, 1}).converted(dtype);
    const Tensor y = evaluate(OpType::kConv, conv(window({1, 1})), {&x, &w});
    EXPECT_EQ(y.dtype(), dtype);
    EXPECT_THAT(floats(y), ElementsAre(11, 14, 17, 20));
  }
}

TEST(ReferenceConv, EmptyBatch) {
  const Tensor x(DType::kF32, {0, 2, 4, 4}), w(DType::kF32, {3, 2, 1, 1});
  EXPECT_EQ(evaluate(OpType::kConv, conv(window({1, 1})), {&x, &w}).dims(), (Dims{0, 3, 4, 4}));
}

}  // namespace
}  // namespace xdn::testing
