// Float networks in bf16: products of bf16, sums in f32.
#include <gtest/gtest.h>

#include <functional>

#include "executor/plan_support.h"
#include "support/qdq.h"

namespace xdn::testing {
namespace {

constexpr int64_t kImages = 20;

struct OneConv {
  const char* name;
  int64_t ic, oc, height, width;
  NetBuilder::ConvOptions conv;
  const char* arith;
};

const OneConv kConvs[] = {
    {"pointwise", 24, 40, 5, 6, {1, 1, 0, 1, 1, kNoValue, ActKind::kNone}, "bf16"},
    {"three_by_three", 20, 70, 6, 5, {3, 1, 1}, "bf16"},
    {"three_by_three_stride", 16, 48, 9, 8, {3, 2, 1}, "bf16"},
    {"clip", 16, 17, 9, 8, {3, 2, 1, 1, 1, kNoValue, ActKind::kClip}, "bf16"},
    {"stem", 3, 64, 20, 20, {7, 2, 3}, "f32"},
    {"even_stem", 4, 64, 20, 20, {7, 2, 3}, "bf16"},
    {"grouped", 32, 24, 6, 6, {3, 1, 1, 4}, "bf16"},
    {"depthwise", 19, 19, 7, 7, {3, 2, 1, 19}, "bf16"},
    {"odd", 13, 9, 5, 3, {3, 1, 1}, "f32"},
    {"odd_groups", 12, 16, 6, 6, {3, 1, 1, 4}, "f32"},
};

Graph make(const OneConv& c) {
  NetBuilder net(7);
  return net.finish(net.conv(net.input(c.ic, c.height, c.width), c.ic, c.oc, c.conv));
}

ExecOptions bf16_on(Isa isa) {
  ExecOptions options;
  options.isa = isa;
  options.precision = Precision::kBf16;
  return options;
}

class OneBf16Conv : public ::testing::TestWithParam<OneConv> {};

/// Both factors are rounded by at most 2^-9 of themselves, so the sum errs by 2^-8 of the sum of magnitudes.
/// Inputs are below 1, and NetBuilder's weights below 1.7 / sqrt(k).
TEST_P(OneBf16Conv, IsNearF32) {
  const OneConv& c = GetParam();
  const Graph graph = make(c);
  const std::vector<float> input = random_input(graph, kImages, 1);
  const std::vector<float> want = oracle(graph, input, kImages);
  const auto k = static_cast<float>(c.ic / c.conv.group * c.conv.kernel * c.conv.kernel);
  for (const Isa isa : present_isas()) {
    SCOPED_TRACE(isa_name(isa));
    Executor executor(graph, bf16_on(isa));
    const StepReport step = executor.steps().back();
    EXPECT_EQ(step.arith, c.arith) << step.kernel;
    EXPECT_EQ(step.refused.find("odd number of channels") == std::string::npos, step.arith == "bf16")
        << step.refused;
    const std::vector<float> got = run(executor, input, kImages);
    expect_within(got, want, 0x1p-8f * 1.7f * std::sqrt(k) * 1.01f);
    if (step.arith == "bf16") {
      EXPECT_NE(got, run(graph, {}, input, kImages)) << "that was f32";
    }
    expect_same_bytes(graph, bf16_on(isa), input, got);
  }
}

INSTANTIATE_TEST_SUITE_P(Every, OneBf16Conv, ::testing::ValuesIn(kConvs),
                         [](const auto& p) { return std::string(p.param.name); });

/// A stem, two blocks and a classifier: what lies between the layers is bf16 too.
Graph residual_net() {
  NetBuilder net(3);
  ValueId x = net.input(3, 16, 16);
  x = net.conv(x, 3, 16, {3, 1, 1});
  x = net.pool(x, true, 3, 2, 1, false);
  x = net.bottleneck(x, 16, 8, 32, 2);
  x = net.bottleneck(x, 32, 8, 32, 1);
  return net.finish(net.classifier(x, 32, 10));
}

TEST(Bf16, OfAWholeNetworkIsNearF32AndTheSameForEverySplit) {
  const Graph graph = residual_net();
  const std::vector<float> input = random_input(graph, kImages, 1);
  const std::vector<float> want = oracle(graph, input, kImages);
  for (const Isa isa : present_isas()) {
    SCOPED_TRACE(isa_name(isa));
    const std::vector<float> got = run(graph, bf16_on(isa), input, kImages);
    // Nine layers deep, each adding some 2^-8 of its values; errors of random signs add up less.
    expect_within(got, want, 9 * 0x1p-8f * largest_of(want));
    expect_same_bytes(graph, bf16_on(isa), input, got);
  }
}

TEST(Bf16, LeavesNamedLayersInF32) {
  const Graph graph = residual_net();
  const std::vector<float> input = random_input(graph, 5, 1);
  const std::vector<float> want = oracle(graph, input, 5);
  std::set<std::string> all;
  for (const NodeId id : graph.order()) all.insert(graph.node(id).name);
  for (const Isa isa : present_isas()) {
    SCOPED_TRACE(isa_name(isa));
    ExecOptions options = bf16_on(isa);
    options.f32_layers = {"conv1", "conv4"};
    Executor some(graph, options);
    for (const StepReport& step : some.steps()) {
      if (step.macs == 0) continue;
      EXPECT_EQ(step.arith, options.f32_layers.contains(step.layer) ? "f32" : "bf16") << step.layer;
    }
    expect_within(run(some, input, 5), want, 9 * 0x1p-8f * largest_of(want));
    options.f32_layers = all;
    Executor none(graph, options);
    for (const StepReport& step : none.steps()) EXPECT_EQ(step.arith, "f32") << step.layer;
    options.precision = Precision::kFp32;
    EXPECT_EQ(run(none, input, 5), run(graph, isa == Isa::kRef ? ExecOptions{} : options, input, 5));
  }
}

/// A quantized model of which some layers are float: integers, bf16 and f32 side by side.
TEST(Bf16, TakesTheFloatLayersOfAQuantizedModel) {
  QdqBuilder net(4);
  const Quant in{0.0078f, 117}, middle{0.0203f, 131};
  ValueId x = net.qdq(net.input(16, 6, 6), in);
  x = net.qdq(net.qconv(x, 16, 24, {.kernel = 3, .pad = 1}), middle);
  x = net.conv(x, 24, 32, {3, 1, 1});
  x = net.qdq(x, {0.0151f, 0});
  x = net.qconv(x, 32, 16, {.kernel = 1});
  const Graph graph = net.finish(net.conv(x, 16, 12, {}));
  const std::vector<float> input = random_input(graph, kImages, 1);
  const std::vector<float> want = oracle(graph, input, kImages);
  for (const Isa isa : present_isas()) {
    SCOPED_TRACE(isa_name(isa));
    Executor executor(graph, bf16_on(isa));
    std::map<std::string, int> ariths;
    for (const StepReport& step : executor.steps()) {
      if (step.macs > 0) ++ariths[step.arith];
    }
    EXPECT_EQ(ariths, (std::map<std::string, int>{{"bf16", 2}, {"i8", 2}}));
    const std::vector<float> got = run(executor, input, kImages);
    expect_within(got, want, 6 * 0x1p-8f * largest_of(want));
    expect_same_bytes(graph, bf16_on(isa), input, got);
  }
}

struct Case {
  const char* name;
  std::function<ValueId(NetBuilder&, ValueId)> build;  ///< from 16 channels of 6 x 6
};

const Case kLayers[] = {
    {"max_pool",
     [](NetBuilder& net, ValueId x) { return net.conv(net.pool(x, true, 3, 2, 1, true), 16, 8, {}); }},
    {"average_pool",
     [](NetBuilder& net, ValueId x) { return net.conv(net.pool(x, false, 2, 1, 1, false), 16, 8, {}); }},
    {"classifier", [](NetBuilder& net, ValueId x) { return net.classifier(x, 16, 9); }},
    {"add",
     [](NetBuilder& net, ValueId x) {
       const ValueId y = net.conv(x, 16, 16, {3, 1, 1});
       return net.conv(net.add(OpType::kAdd, NoAttrs{}, {x, net.add(OpType::kHardSwish, NoAttrs{}, {y})}), 16,
                       8, {});
     }},
    {"mul_and_max",
     [](NetBuilder& net, ValueId x) {
       const ValueId y = net.conv(x, 16, 16, {});
       return net.add(OpType::kMax, NoAttrs{}, {net.add(OpType::kMul, NoAttrs{}, {x, y}), y});
     }},
    {"concat",
     [](NetBuilder& net, ValueId x) {
       const ValueId y = net.conv(x, 16, 10, {});
       return net.conv(net.add(OpType::kConcat, AxisAttrs{1}, {x, y}), 26, 8, {3, 1, 1});
     }},
    {"gate",
     [](NetBuilder& net, ValueId x) {
       const ValueId gate =
           net.add(OpType::kSigmoid, NoAttrs{}, {net.add(OpType::kGlobalAveragePool, NoAttrs{}, {x})});
       return net.conv(net.add(OpType::kMul, NoAttrs{}, {x, gate}), 16, 8, {});
     }},
    {"flatten",
     [](NetBuilder& net, ValueId x) {
       const ValueId flat = net.add(OpType::kFlatten, FlattenAttrs{}, {x});
       return net.add(OpType::kGemm, GemmAttrs{},
                      {flat, net.graph.add_constant("fw", net.random({576, 7}, 0.05f))});
     }},
    {"leaky",
     [](NetBuilder& net, ValueId x) {
       return net.conv(x, 16, 12, {3, 1, 1, 1, 1, kNoValue, ActKind::kLeakyRelu});
     }},
    {"read_by_f32_and_bf16",
     [](NetBuilder& net, ValueId x) {
       const ValueId y = net.conv(x, 16, 13, {});
       const ValueId odd = net.conv(y, 13, 8, {}), pooled = net.pool(y, true, 3, 1, 1, false);
       return net.add(OpType::kConcat, AxisAttrs{1}, {odd, pooled});
     }},
};

class Bf16Layers : public ::testing::TestWithParam<size_t> {};

TEST_P(Bf16Layers, AreNearF32AndTheSameForEverySplit) {
  NetBuilder net(5);
  const ValueId x = net.conv(net.input(8, 6, 6), 8, 16, {3, 1, 1});
  const Graph graph = net.finish(kLayers[GetParam()].build(net, x));
  const std::vector<float> input = random_input(graph, kImages, 1);
  const std::vector<float> want = oracle(graph, input, kImages);
  for (const Isa isa : present_isas()) {
    SCOPED_TRACE(isa_name(isa));
    const std::vector<float> got = run(graph, bf16_on(isa), input, kImages);
    expect_within(got, want, 4 * 0x1p-8f * std::max(1.0f, largest_of(want)));
    expect_same_bytes(graph, bf16_on(isa), input, got);
  }
}

INSTANTIATE_TEST_SUITE_P(Every, Bf16Layers, ::testing::Range<size_t>(0, std::size(kLayers)),
                         [](const auto& p) { return std::string(kLayers[p.param].name); });

}  // namespace
}  // namespace xdn::testing
