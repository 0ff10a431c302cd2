// Quantized graphs in integers, against ONNX's meaning of them: QuantizeLinear, DequantizeLinear and floats
// between.
#include <gtest/gtest.h>

#include "base/error.h"
#include "executor/plan_support.h"
#include "executor/quantized_cases.h"

namespace xdn::testing {
namespace {

constexpr int64_t kImages = 20;

/// Levels may differ by one where a value lies at the edge of two, which is rare.
void expect_levels(const std::vector<float>& got, const std::vector<float>& want, float step) {
  expect_within(got, want, step * 1.001f);
  size_t equal = 0;
  for (size_t i = 0; i < got.size(); ++i) equal += std::fabs(got[i] - want[i]) < step / 2;
  EXPECT_GE(equal, got.size() * 99 / 100);
  EXPECT_GE((std::set<float>(want.begin(), want.end()).size()), 16u) << "the case says little";
}

class Quantized : public ::testing::TestWithParam<size_t> {
 protected:
  const QuantCase case_ = all_cases()[GetParam()];
};

TEST_P(Quantized, IsWithinOneStepOfItsMeaning) {
  const QuantNet net = case_.make();
  const std::vector<float> input = random_input(net.graph, kImages, 1);
  const std::vector<float> want = oracle(net.graph, input, kImages);
  for (const FusionLevel fusion : {FusionLevel::kOff, FusionLevel::kTraditional}) {
    ExecOptions options;
    options.fusion = fusion;
    const std::vector<float> got = run(net.graph, options, input, kImages);
    if (net.step > 0) {
      expect_levels(got, want, net.step);
    } else {
      // Up to 500 products, each rounded once more than in the oracle.
      expect_within(got, want, 500 * 6e-8f * std::max(1.0f, largest_of(want)));
    }
  }
}

TEST_P(Quantized, GivesTheSameBytesEverywhere) {
  const QuantNet net = case_.make();
  const std::vector<float> input = random_input(net.graph, kImages, 2);
  ExecOptions options;
  options.isa = Isa::kRef;
  options.threads = 1;
  const std::vector<float> first = run(net.graph, options, input, kImages);
  for (const Isa isa : present_isas()) {
    options.isa = isa;
    expect_same_bytes(net.graph, options, input, first);
  }
}

TEST_P(Quantized, IsPlannedInIntegers) {
  for (const Isa isa : present_isas()) {
    ExecOptions options;
    options.isa = isa;
    const Executor executor(case_.make().graph, options);
    EXPECT_EQ(executor.settings().precision, Precision::kInt8);
    const std::vector<StepReport> steps = executor.steps();
    std::string plan;
    for (const StepReport& step : steps) plan += step.layer + ": " + step.kernel + "\n";
    if (case_.i8_steps >= 0) {
      EXPECT_EQ(std::count_if(steps.begin(), steps.end(), [](const auto& s) { return s.arith == "i8"; }),
                case_.i8_steps)
          << plan;
    }
    if (case_.steps >= 0) {
      EXPECT_EQ(steps.size(), static_cast<size_t>(case_.steps)) << plan;
    }
  }
}

TEST_P(Quantized, RunsInF32WhereAsked) {
  const QuantNet net = case_.make();
  const std::vector<float> input = random_input(net.graph, 3, 1);
  const std::vector<float> want = oracle(net.graph, input, 3);
  ExecOptions options;
  options.precision = Precision::kFp32;
  const std::vector<float> got = run(net.graph, options, input, 3);
  expect_within(got, want, net.step > 0 ? net.step * 1.001f : 500 * 6e-8f * std::max(1.0f, largest_of(want)));
  options.isa = Isa::kRef;
  EXPECT_EQ(run(net.graph, options, input, 3), want) << "ref in fp32 is the oracle";
}

INSTANTIATE_TEST_SUITE_P(Every, Quantized, ::testing::Range<size_t>(0, all_cases().size()),
                         [](const auto& p) { return all_cases()[p.param].name; });

/// Padding is the number 0, whose level is the zero point; a zero byte there would be off by zero * scale *
/// weight.
TEST(QuantizedBorder, IsTheNumberZero) {
  for (const int64_t channels : {int64_t{16}, int64_t{3}}) {  // of a map, and of an image with its border
    for (const int64_t group : {int64_t{1}, channels}) {
      QdqBuilder net(5);
      const Quant in{0.01f, 200}, out{0.01f, 128};
      const ValueId x = net.qdq(net.input(channels, 4, 4), in);
      const ValueId y = net.qconv(x, channels, channels,
                                  {.kernel = 3,
                                   .pad = 1,
                                   .group = group,
                                   .weights = WeightForm::kPerTensorS8,
                                   .bias = BiasForm::kNone});
      const Graph graph = net.finish(net.qdq(y, out));
      const std::vector<float> zeros(static_cast<size_t>(channels * 16), 0.0f);
      for (const Isa isa : present_isas()) {
        ExecOptions options;
        options.isa = isa;
        EXPECT_EQ(run(graph, options, zeros, 1), zeros) << isa_name(isa) << ", " << group << " groups";
      }
    }
  }
}

/// Bytes of images, quantized on their way into the first convolution.
TEST(QuantizedPixels, EnterAsTheMapAndOnnxSay) {
  const PixelMap map{{0.0083f, 0.0079f, 0.0081f}, {-1.02f, -0.98f, -1.07f}, {2, 1, 0}};
  for (const QdqBuilder::QConvOptions& o :
       {QdqBuilder::QConvOptions{.kernel = 7, .stride = 2, .pad = 3},
        QdqBuilder::QConvOptions{.kernel = 3, .pad = 1}, QdqBuilder::QConvOptions{}}) {
    QdqBuilder net(9);
    const ValueId x = net.qdq(net.input(3, 12, 10), kInput);
    const Graph graph = net.finish(net.qdq(net.qconv(x, 3, 20, o), kSum));
    constexpr size_t kCount = 7, kPositions = 120;
    std::vector<uint8_t> bytes(kCount * kPositions * 3);
    Uniform uniform(4);
    for (uint8_t& b : bytes) b = static_cast<uint8_t>(uniform.bits());
    std::vector<float> floats(bytes.size());
    for (size_t i = 0; i < kCount; ++i) {
      for (size_t c = 0; c < 3; ++c) {
        for (size_t p = 0; p < kPositions; ++p) {
          const uint8_t byte = bytes[(i * kPositions + p) * 3 + static_cast<size_t>(map.source_channel[c])];
          floats[(i * 3 + c) * kPositions + p] = static_cast<float>(byte) * map.scale[c] + map.shift[c];
        }
      }
    }
    ExecOptions options;
    options.batch_tile = 3;
    const std::vector<float> by_floats = run(graph, options, floats, kCount);
    expect_levels(by_floats, oracle(graph, floats, kCount), kSum.scale);
    options.pixels = map;
    for (const Isa isa : present_isas()) {
      options.isa = isa;
      Executor executor(graph, options);
      std::vector<float> got(by_floats.size());
      executor.run_u8({bytes.data(), {}}, kCount, got.data());
      EXPECT_EQ(got, by_floats) << isa_name(isa);
    }
  }
}

/// Sums near the end of what 16 bits hold, where instructions that add pairs in 16 bits would saturate.
TEST(QuantizedSums, DoNotSaturate) {
  for (const int level : {127, -128}) {
    QdqBuilder one(3);
    const ValueId source = one.qdq(one.input(64, 2, 2), {1, 0});
    const std::vector<int8_t> levels(64 * 8, static_cast<int8_t>(level));
    const ValueId s = one.graph.add_constant("ws", Tensor::scalar(1.0f));
    const ValueId q = one.graph.add_constant("wq", Tensor::of({8, 64, 1, 1}, levels));
    const ValueId w = one.add(OpType::kDequantizeLinear, QuantizeAttrs{0, DType::kI8}, {q, s});
    ConvAttrs attrs;
    attrs.window = {{1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}};
    const Graph graph = one.finish(one.add(OpType::kConv, attrs, {source, w}));
    const std::vector<float> input(64 * 4, 255.0f);
    for (const Isa isa : present_isas()) {
      ExecOptions options;
      options.isa = isa;
      for (const float y : run(graph, options, input, 1))
        ASSERT_EQ(y, 64.0f * 255.0f * static_cast<float>(level)) << isa_name(isa);
    }
  }
}

/// The error's message and layer of a graph that no plan takes; --isa ref runs it.
void expect_refused(const Graph& graph, const std::string& layer, const std::string& words) {
  try {
    Executor(graph, {});
    FAIL() << "planned, expected a refusal that says: " << words;
  } catch (const Error& error) {
    EXPECT_NE(error.message().find(words), std::string::npos) << error.message();
    EXPECT_NE(error.message().find("--isa ref"), std::string::npos) << error.message();
    EXPECT_EQ(error.layer(), layer);
  }
  ExecOptions options;
  options.isa = Isa::kRef;
  options.precision = Precision::kFp32;
  const std::vector<float> input = random_input(graph, 2, 1);
  EXPECT_EQ(run(graph, options, input, 2).size() % 2, 0u);
}

TEST(QuantizedRefusals, PerAxisActivations) {
  QdqBuilder net(1);
  const ValueId x = net.input(3, 4, 4);
  const ValueId scale = net.graph.add_constant("s", Tensor::of({3}, std::vector<float>{0.1f, 0.2f, 0.3f}));
  const ValueId zero = net.graph.add_constant("z", Tensor::of({3}, std::vector<uint8_t>{1, 2, 3}));
  const ValueId q = net.add(OpType::kQuantizeLinear, QuantizeAttrs{}, {x, scale, zero});
  expect_refused(net.finish(net.add(OpType::kDequantizeLinear, QuantizeAttrs{}, {q, scale, zero})),
                 "QuantizeLinear1", "the whole tensor");
}

TEST(QuantizedRefusals, SixteenBits) {
  QdqBuilder net(1);
  const ValueId x = net.input(3, 4, 4);
  const ValueId scale = net.graph.add_constant("s", Tensor::scalar(0.001f));
  const ValueId zero = net.graph.add_constant("z", Tensor::scalar(uint16_t{9}));
  const QuantizeAttrs attrs{1, DType::kU16};
  const ValueId q = net.add(OpType::kQuantizeLinear, attrs, {x, scale, zero});
  expect_refused(net.finish(net.add(OpType::kDequantizeLinear, attrs, {q, scale, zero})), "QuantizeLinear1",
                 "8 bits");
}

TEST(QuantizedRefusals, LevelsBetweenOtherLayers) {
  QdqBuilder net(1);
  const ValueId q = net.quantize(net.input(3, 4, 4), kInput);
  const ValueId flat = net.add(OpType::kFlatten, FlattenAttrs{}, {q});
  expect_refused(net.finish(net.dequantize(flat, kInput)), "Flatten2", "is u8, expected f32");
}

TEST(QuantizedRefusals, LevelsAsOutput) {
  QdqBuilder net(1);
  expect_refused(net.finish(net.quantize(net.activate(net.input(3, 4, 4), ActKind::kRelu), kInput)),
                 "QuantizeLinear2", "u8");
}

TEST(QuantizedRefusals, Int8OfAFloatModel) {
  NetBuilder net(1);
  ExecOptions options;
  options.precision = Precision::kInt8;
  try {
    Executor(net.finish(net.conv(net.input(3, 4, 4), 3, 4, {})), options);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(error.message().find("xdn quantize"), std::string::npos);
  }
}

}  // namespace
}  // namespace xdn::testing
