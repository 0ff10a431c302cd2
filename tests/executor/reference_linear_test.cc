#include <cmath>
#include <limits>

#include "reference_support.h"

namespace xdn::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatEq;
using ::testing::FloatNear;
using ::testing::HasSubstr;
using ::testing::Pointwise;

TEST(ReferenceGemm, EveryOrientation) {
  const Tensor a = counting({2, 3}), at = f32({3, 2}, {1, 4, 2, 5, 3, 6});
  const Tensor b = f32({3, 2}, {1, 0, 0, 1, 1, 1}), bt = f32({2, 3}, {1, 0, 1, 0, 1, 1});
  for (const bool trans_a : {false, true}) {
    for (const bool trans_b : {false, true}) {
      const Tensor y = evaluate(OpType::kGemm, GemmAttrs{.trans_a = trans_a, .trans_b = trans_b, .act = {}},
                                {trans_a ? &at : &a, trans_b ? &bt : &b});
      EXPECT_EQ(y.dims(), (Dims{2, 2}));
      EXPECT_THAT(floats(y), ElementsAre(4, 5, 10, 11));
    }
  }
}

TEST(ReferenceGemm, ScalesBroadcastsActivates) {
  const Tensor a = f32({2, 1}, {1, -1}), b = f32({1, 2}, {2, 4});
  for (const Tensor& c : {f32({2}, {8, 16}), f32({1, 2}, {8, 16})}) {
    EXPECT_THAT(
        floats(evaluate(OpType::kGemm, GemmAttrs{.alpha = 0.5f, .beta = 0.125f, .act = {}}, {&a, &b, &c})),
        Pointwise(FloatEq(), std::vector<float>{2, 4, 0, 0}));
  }
  const Tensor scalar = f32({}, {1}), column = f32({2, 1}, {1, 2}), wrong = f32({3}, {1, 2, 3});
  EXPECT_THAT(floats(evaluate(OpType::kGemm, GemmAttrs{}, {&a, &b, &scalar})), ElementsAre(3, 5, -1, -3));
  EXPECT_THAT(floats(evaluate(OpType::kGemm, GemmAttrs{}, {&a, &b, &column})), ElementsAre(3, 5, 0, -2));
  EXPECT_THAT(floats(evaluate(OpType::kGemm, GemmAttrs{.act = {ActKind::kRelu, 0, 0}}, {&a, &b})),
              ElementsAre(2, 4, 0, 0));
  EXPECT_THAT(message_of([&] {
                evaluate(OpType::kGemm, GemmAttrs{}, {&a, &b, &wrong});
              }),
              HasSubstr("broadcast"));
  EXPECT_THAT(message_of([&] { evaluate(OpType::kGemm, GemmAttrs{}, {&a, &a}); }), HasSubstr("multiply"));
}

TEST(ReferenceGemm, Integers) {
  const Tensor a = Tensor::of<int32_t>({1, 2}, {1 << 30, 3}), b = Tensor::of<int32_t>({2, 1}, {4, 5});
  const Tensor c = Tensor::of<int32_t>({}, {7});
  EXPECT_THAT(values<int32_t>(evaluate(OpType::kGemm, GemmAttrs{.beta = 2, .act = {}}, {&a, &b, &c})),
              ElementsAre(29));
}

TEST(ReferenceMatMul, StacksAndVectors) {
  const Tensor a = counting({2, 1, 2, 2}), b = f32({2, 2}, {1, 0, 1, 1});
  const Tensor y = evaluate(OpType::kMatMul, NoAttrs{}, {&a, &b});
  EXPECT_EQ(y.dims(), (Dims{2, 1, 2, 2}));
  EXPECT_THAT(floats(y), ElementsAre(3, 2, 7, 4, 11, 6, 15, 8));
  const Tensor stack = counting({3, 2, 1});
  EXPECT_EQ(evaluate(OpType::kMatMul, NoAttrs{}, {&a, &stack}).dims(), (Dims{2, 3, 2, 1}));
  const Tensor v = f32({2}, {1, 10});
  const Tensor left = evaluate(OpType::kMatMul, NoAttrs{}, {&v, &b});
  EXPECT_EQ(left.dims(), Dims{2});
  EXPECT_THAT(floats(left), ElementsAre(11, 10));
  EXPECT_THAT(floats(evaluate(OpType::kMatMul, NoAttrs{}, {&b, &v})), ElementsAre(1, 11));
  const Tensor dot = evaluate(OpType::kMatMul, NoAttrs{}, {&v, &v});
  EXPECT_EQ(dot.dims(), Dims{});
  EXPECT_THAT(floats(dot), ElementsAre(101));
  EXPECT_THAT(message_of([&] {
                evaluate(OpType::kMatMul, NoAttrs{}, {&stack, &stack});
              }),
              HasSubstr("multiply"));
}

TEST(ReferenceMatMul, EmptyExtents) {
  const Tensor a(DType::kF32, {2, 0}), b(DType::kF32, {0, 3}), c(DType::kF32, {4, 2});
  EXPECT_THAT(floats(evaluate(OpType::kMatMul, NoAttrs{}, {&a, &b})), ElementsAre(0, 0, 0, 0, 0, 0));
  EXPECT_EQ(evaluate(OpType::kMatMul, NoAttrs{}, {&c, &a}).dims(), (Dims{4, 0}));
}

TEST(ReferenceBatchNorm, PerChannel) {
  const Tensor x = counting({1, 2, 2}), scale = f32({2}, {2, 1}), bias = f32({2}, {0, 10});
  const Tensor mean = f32({2}, {1, 4}), variance = f32({2}, {3, 0});
  const BatchNormAttrs attrs{.epsilon = 1};
  EXPECT_THAT(floats(evaluate(OpType::kBatchNorm, attrs, {&x, &scale, &bias, &mean, &variance})),
              ElementsAre(0, 1, 9, 10));
  const Tensor three = counting({3});
  EXPECT_THAT(message_of([&] {
                evaluate(OpType::kBatchNorm, attrs, {&x, &scale, &three, &mean, &variance});
              }),
              HasSubstr("a bias of 2 elements"));
}

TEST(ReferenceSoftmax, LargeNumbersAndAxes) {
  const Tensor x = f32({2, 2}, {1000, 1000, -1000, 1000});
  EXPECT_THAT(floats(evaluate(OpType::kSoftmax, SoftmaxAttrs{.axis = 1}, {&x})),
              ElementsAre(0.5f, 0.5f, 0, 1));
  EXPECT_THAT(floats(evaluate(OpType::kSoftmax, SoftmaxAttrs{.axis = 0}, {&x})),
              ElementsAre(1, 0.5f, 0, 0.5f));
  const Tensor equal(DType::kF32, {2, 2, 2});
  EXPECT_THAT(floats(evaluate(OpType::kSoftmax, SoftmaxAttrs{.axis = 1, .to_end = true}, {&equal})),
              ::testing::Each(0.25f));
  EXPECT_THAT(floats(evaluate(OpType::kSoftmax, SoftmaxAttrs{.axis = 1}, {&equal})), ::testing::Each(0.5f));
  const Tensor two = f32({1, 2}, {0, std::log(3.0f)});
  EXPECT_THAT(floats(evaluate(OpType::kSoftmax, SoftmaxAttrs{}, {&two})),
              Pointwise(FloatNear(1e-7f), std::vector<float>{0.25f, 0.75f}));
}

TEST(ReferenceReduceMean, AxesAndDims) {
  const Tensor x = counting({2, 2, 3});
  const Tensor y = evaluate(OpType::kReduceMean, ReduceAttrs{.axes = {0, 2}}, {&x});
  EXPECT_EQ(y.dims(), (Dims{1, 2, 1}));
  EXPECT_THAT(floats(y), ElementsAre(5, 8));
  EXPECT_EQ(evaluate(OpType::kReduceMean, ReduceAttrs{.axes = {0, 2}, .keepdims = false}, {&x}).dims(),
            Dims{2});
  const Tensor all = evaluate(OpType::kReduceMean, ReduceAttrs{.axes = {0, 1, 2}, .keepdims = false}, {&x});
  EXPECT_EQ(all.dims(), Dims{});
  EXPECT_THAT(floats(all), ElementsAre(6.5f));
  const Tensor i = Tensor::of<int32_t>({2}, {-3, -4});
  EXPECT_THAT(values<int32_t>(evaluate(OpType::kReduceMean, ReduceAttrs{.axes = {0}}, {&i})),
              ElementsAre(-3));
  EXPECT_THAT(message_of([&] { evaluate(OpType::kReduceMean, ReduceAttrs{.axes = {3}}, {&x}); }),
              HasSubstr("axis"));
  EXPECT_THAT(message_of([&] {
                evaluate(OpType::kReduceMean, ReduceAttrs{.axes = {1, 1}}, {&x});
              }),
              HasSubstr("distinct"));
}

TEST(ReferenceReduceMean, NothingToAverage) {
  const Tensor none(DType::kF32, {2, 0}), ints(DType::kI32, {2, 0});
  const std::vector<float> means = floats(evaluate(OpType::kReduceMean, ReduceAttrs{.axes = {1}}, {&none}));
  EXPECT_TRUE(means.size() == 2 && std::isnan(means[0]));
  EXPECT_THAT(message_of([&] { evaluate(OpType::kReduceMean, ReduceAttrs{.axes = {1}}, {&ints}); }),
              HasSubstr("elements to average"));
}

TEST(ReferenceQuantize, TiesToEvenThenSaturation) {
  const Tensor x = f32({8}, {1, 3, 5, -1, -3, 1000, -1000, std::numeric_limits<float>::quiet_NaN()});
  const Tensor scale = f32({}, {2}), zero = Tensor::scalar<uint8_t>(128);
  const QuantizeAttrs u8{.dtype = DType::kU8}, i8{.dtype = DType::kI8};
  EXPECT_THAT(values<uint8_t>(evaluate(OpType::kQuantizeLinear, u8, {&x, &scale, &zero})),
              ElementsAre(128, 130, 130, 128, 126, 255, 0, 128));
  EXPECT_THAT(values<int8_t>(evaluate(OpType::kQuantizeLinear, i8, {&x, &scale})),
              ElementsAre(0, 2, 2, 0, -2, 127, -128, 0));
}

TEST(ReferenceQuantize, DividesInFloat) {
  // 0.1f * 25 / 0.1f is a tie in float and none in double.
  const float scale_value = 0.1f, x_value = 2.5f * scale_value;
  const Tensor x = f32({1}, {x_value}), scale = f32({}, {scale_value});
  const float quotient = x_value / scale_value;
  EXPECT_THAT(
      values<int8_t>(evaluate(OpType::kQuantizeLinear, QuantizeAttrs{.dtype = DType::kI8}, {&x, &scale})),
      ElementsAre(static_cast<int8_t>(std::nearbyint(quotient))));
}

TEST(ReferenceQuantize, PerAxis) {
  const Tensor x = f32({1, 2, 2}, {1, 2, 30, 40}), scale = f32({2}, {1, 10});
  const Tensor zero = Tensor::of<int16_t>({2}, {0, 1000});
  const QuantizeAttrs attrs{.axis = 1, .dtype = DType::kI16};
  const Tensor q = evaluate(OpType::kQuantizeLinear, attrs, {&x, &scale, &zero});
  EXPECT_THAT(values<int16_t>(q), ElementsAre(1, 2, 1003, 1004));
  EXPECT_EQ(floats(evaluate(OpType::kDequantizeLinear, attrs, {&q, &scale, &zero})), floats(x));
  const Tensor three = f32({3}, {1, 1, 1}), wrong_zero = Tensor::of<uint8_t>({2}, {0, 0});
  EXPECT_THAT(message_of([&] {
                evaluate(OpType::kQuantizeLinear, attrs, {&x, &three});
              }),
              HasSubstr("expected a scale of shape [] or [2], got [3]"));
  EXPECT_THAT(message_of([&] {
                evaluate(OpType::kQuantizeLinear, attrs, {&x, &scale, &wrong_zero});
              }),
              HasSubstr("zero point of type i16, got u8"));
}

TEST(ReferenceQuantize, DequantizesInt32AndKeepsTheScalesType) {
  const Tensor x = Tensor::of<int32_t>({2}, {-2147483647, 6}), scale = f32({}, {0.5f}).converted(DType::kF16);
  const Tensor y = evaluate(OpType::kDequantizeLinear, QuantizeAttrs{.dtype = DType::kI32}, {&x, &scale});
  EXPECT_EQ(y.dtype(), DType::kF16);
  EXPECT_THAT(floats(y), ElementsAre(-INFINITY, 3));
  const Tensor f = counting({1});
  EXPECT_THAT(message_of([&] {
                evaluate(OpType::kDequantizeLinear, QuantizeAttrs{}, {&f, &scale});
              }),
              HasSubstr("quantized type"));
}

}  // namespace
}  // namespace xdn::testing
