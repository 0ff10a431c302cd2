// The vendor's rule, and which layers it is about.

#include "quantization/mlu.h"

#include <gmock/gmock.h>

#include <cmath>
#include <functional>
#include <limits>

#include "base/error.h"

namespace xdn::testing {
namespace {

using ::testing::ElementsAre;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::string failure_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

TEST(MluRule, PublishedExample) { EXPECT_EQ(mlu_dtype(1), (MluDtype{-6, 1.984375F})); }

TEST(MluRule, ByHand) {
  EXPECT_EQ(mlu_dtype(0), (MluDtype{0, 1}));
  EXPECT_EQ(mlu_dtype(127), (MluDtype{0, 1}));
  EXPECT_EQ(mlu_dtype(64), (MluDtype{0, 127.0F / 64}));
  // Powers of two times 127 lie on the border between two positions.
  EXPECT_EQ(mlu_dtype(63.5F), (MluDtype{-1, 1}));
  EXPECT_EQ(mlu_dtype(0.9921875F), (MluDtype{-7, 1}));
  // A positive logarithm is rounded up, even where its whole part is 0.
  EXPECT_EQ(mlu_dtype(200), (MluDtype{1, 1.27F}));
  EXPECT_EQ(mlu_dtype(254), (MluDtype{2, 2}));
  EXPECT_EQ(mlu_dtype(255), (MluDtype{2, 508.0F / 255}));
  EXPECT_EQ(mlu_dtype(1016), (MluDtype{4, 2}));
}

TEST(MluRule, ScaleLiesBetweenOneAndTwo) {
  for (float absmax = 1e-7F; absmax < 1e11F; absmax *= 1.0173F) {
    const MluDtype dtype = mlu_dtype(absmax);
    EXPECT_GE(dtype.scale, 1) << absmax;
    EXPECT_LE(dtype.scale, 2) << absmax;
    EXPECT_NEAR(mlu_step(dtype), absmax / 127, absmax * 2e-9F) << absmax;
    EXPECT_EQ(mlu_quantize(absmax, dtype), 127) << absmax;
    EXPECT_EQ(mlu_quantize(-absmax, dtype), -127) << absmax;
  }
}

TEST(MluRule, PositionsAreClamped) {
  constexpr float kTiniest = std::numeric_limits<float>::denorm_min(),
                  kMost = std::numeric_limits<float>::max();
  for (const float absmax : {kTiniest, 1e-39F, 1e-20F}) {
    const MluDtype dtype = mlu_dtype(absmax);
    EXPECT_EQ(dtype.position, -32);
    EXPECT_TRUE(std::isfinite(dtype.scale));
    EXPECT_EQ(mlu_quantize(absmax, dtype), 127);
  }
  const MluDtype dtype = mlu_dtype(kMost);
  EXPECT_EQ(dtype.position, 32);
  EXPECT_GT(dtype.scale, 0);
  EXPECT_EQ(mlu_quantize(-kMost, dtype), -127);
  // What a step of 0 would make of 0 / 0.
  EXPECT_EQ(mlu_step(mlu_dtype(kTiniest)), std::numeric_limits<float>::min());
}

TEST(MluRule, RefusesWhatIsNoRange) {
  for (const float absmax : {kInfinity, -kInfinity, -1.0F, std::numeric_limits<float>::quiet_NaN()}) {
    EXPECT_THAT(failure_of([&] { mlu_dtype(absmax); }), ::testing::StartsWith("a range must be finite"))
        << absmax;
  }
}

TEST(MluRule, LevelsOfNumbers) {
  const MluDtype one{0, 1};
  EXPECT_EQ(mlu_quantize(2.5F, one), 2);
  EXPECT_EQ(mlu_quantize(3.5F, one), 4);
  EXPECT_EQ(mlu_quantize(-2.5F, one), -2);
  EXPECT_EQ(mlu_quantize(1000, one), 127);
  EXPECT_EQ(mlu_quantize(-1000, one), -128);
  EXPECT_EQ(mlu_quantize(kInfinity, one), 127);
  EXPECT_EQ(mlu_quantize(std::numeric_limits<float>::quiet_NaN(), one), 0);
  const MluDtype dtype{-6, 1.984375F};
  EXPECT_EQ(mlu_quantize(0.5F, dtype), 64);  // 63.5
  EXPECT_EQ(mlu_dequantize(127, dtype), 1);
  EXPECT_FLOAT_EQ(mlu_dequantize(-3, dtype), -3.0F / 127);
  for (int level = -128; level <= 127; ++level)
    EXPECT_EQ(mlu_quantize(mlu_dequantize(static_cast<int8_t>(level), dtype), dtype), level);
}

TEST(MluLayers, OfEveryLayerWithWeights) {
  Graph graph;
  const ValueId x = graph.add_input("x", DType::kF32, {kBatch, 2, 4, 4});
  const auto constant = [&](const char* name, Dims dims, std::vector<float> values) {
    return graph.add_constant(name, Tensor::of(std::move(dims), values));
  };
  ConvAttrs conv;
  conv.window = {{1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}};
  const auto add = [&](OpType type, OpAttrs attrs, const char* name, std::vector<ValueId> inputs) {
    return graph.output_of(graph.add_node(type, std::move(attrs), name, std::move(inputs), name));
  };
  const ValueId a = add(OpType::kConv, conv, "dead", {x, constant("w", {2, 2, 1, 1}, {0, 0, 0, 0})});
  const ValueId b = add(OpType::kRelu, NoAttrs{}, "relu", {a});
  const ValueId flat = add(OpType::kFlatten, FlattenAttrs{1}, "flat", {b});
  GemmAttrs gemm;
  gemm.trans_b = true;
  gemm.alpha = -2;
  const ValueId c =
      add(OpType::kGemm, gemm, "fc", {flat, constant("v", {2, 32}, std::vector<float>(64, 0.5F))});
  const ValueId d = add(OpType::kMatMul, NoAttrs{}, "product", {c, constant("m", {2, 1}, {3, -127})});
  graph.set_outputs({d});
  infer_shapes(graph);

  EXPECT_THAT(mlu_inputs(graph), ElementsAre(x, flat, c));
  const MluLayers layers =
      mlu_layers(graph, {{"x", 1.0F}, {"flat", 0.0F}, {"fc", 127.0F}, {"product", 5.0F}});
  std::map<std::string, MluLayer> by_name;
  for (const auto& [id, layer] : layers) by_name[graph.node(id).name] = layer;
  EXPECT_EQ(by_name,
            (std::map<std::string, MluLayer>{{"dead", {false, {-6, 1.984375F}, MluDtype{0, 1}}},
                                             {"fc", {false, {0, 1}, MluDtype{-6, 1.984375F}}},  // 0.5 * alpha
                                             {"product", {false, {0, 1}, MluDtype{0, 1}}}}));

  EXPECT_EQ(failure_of([&] {
              mlu_layers(graph, {{"x", 1.0F}, {"fc", 1.0F}});
            }),
            "layer 'fc': calibration has no range of its input 'flat'");
  EXPECT_EQ(failure_of([&] {
              mlu_layers(graph, {{"x", kInfinity}});
            }),
            "layer 'dead': a range must be finite and not negative, is inf");
  graph.value(*graph.find_value("m")).constant->mutable_data<float>()[1] = kInfinity;
  EXPECT_EQ(failure_of([&] {
              mlu_layers(graph, {{"x", 1.0F}, {"flat", 1.0F}, {"fc", 1.0F}});
            }),
            "layer 'product': has weights that are not finite");
  graph.node(graph.order().back()).inputs[1] = c;
  EXPECT_EQ(failure_of([&] {
              mlu_layers(graph, {{"x", 1.0F}, {"flat", 1.0F}, {"fc", 1.0F}});
            }),
            "layer 'product': computes its weights, which the chip wants as constants");
}

}  // namespace
}  // namespace xdn::testing
