// Models whose layers run in int8, bf16 and f32 side by side, as their metadata says.
#include <gtest/gtest.h>

#include <map>

#include "executor/plan_support.h"
#include "graph/bf16_layers.h"
#include "support/qdq.h"

namespace xdn::testing {
namespace {

constexpr int64_t kImages = 20;

/// By layer, the arithmetic of every step that multiplies.
std::map<std::string, std::string> ariths(const Executor& executor) {
  std::map<std::string, std::string> out;
  for (const StepReport& step : executor.steps()) {
    if (step.macs > 0) out[step.layer] = step.arith;
  }
  return out;
}

std::string kernels(const Executor& executor) {
  std::string out;
  for (const StepReport& step : executor.steps()) out += step.layer + ": " + step.kernel + "\n";
  return out;
}

/// Quantized, then bf16 (with pooling and a sum between), f32, bf16, quantized, bf16 and a classifier.
Graph mixed_net(const std::set<std::string>& bf16) {
  QdqBuilder net(4);
  const Quant in{0.0078f, 117}, middle{0.0203f, 131}, out{0.0151f, 0};
  ValueId x = net.qdq(net.input(16, 8, 8), in);
  x = net.qdq(net.qconv(x, 16, 24, {.kernel = 3, .pad = 1}), middle);  // Conv5
  x = net.conv(x, 24, 32, {3, 1, 1});                                  // conv8
  x = net.pool(x, true, 3, 2, 1, false);
  const ValueId y = net.conv(x, 32, 32, {3, 1, 1});          // conv10
  x = net.conv(y, 32, 32, {3, 1, 1, 1, 1, x});               // conv11, x its residual
  x = net.conv(x, 32, 32, {});                               // conv12, f32
  x = net.qdq(net.conv(x, 32, 16, {}), out);                 // conv13
  x = net.conv(net.qconv(x, 16, 12, {}), 12, 8, {});         // Conv18 with a float result, conv19
  const Graph graph = net.finish(net.classifier(x, 8, 10));  // Gemm22
  Graph named = graph;
  set_bf16_layers(named, bf16);
  return named;
}

const std::set<std::string> kBf16{"conv8", "conv10", "conv11", "conv13", "conv19"};

TEST(MixedPrecision, RunsEveryLayerAsTheFileSays) {
  const Graph graph = mixed_net(kBf16);
  const std::vector<float> input = random_input(graph, kImages, 1);
  const std::vector<float> want = oracle(graph, input, kImages);
  for (const Isa isa : present_isas()) {
    SCOPED_TRACE(isa_name(isa));
    ExecOptions options;
    options.isa = isa;
    Executor executor(graph, options);
    EXPECT_EQ(executor.settings().precision, Precision::kInt8);
    EXPECT_STREQ(chosen_precision_name(executor.settings()), "mixed");
    int i8 = 0, bf16 = 0, f32 = 0;
    for (const auto& [layer, arith] : ariths(executor)) {
      EXPECT_EQ(arith == "bf16", kBf16.contains(layer)) << layer << " in " << arith;
      (arith == "i8" ? i8 : arith == "bf16" ? bf16 : f32) += 1;
    }
    EXPECT_EQ(i8, 2) << kernels(executor);
    EXPECT_EQ(bf16, 5) << kernels(executor);
    EXPECT_EQ(f32, 2) << kernels(executor) << "conv12 and the classifier";
    const std::vector<float> got = run(executor, input, kImages);
    expect_within(got, want, 8 * 0x1p-8f * largest_of(want));
    EXPECT_NE(got, run(mixed_net({}), options, input, kImages)) << "without the list";
    expect_same_bytes(graph, options, input, got);
  }
}

/// Between layers of one precision nothing is converted, and what one that stores levels or another's
/// elements writes is read as it is.
TEST(MixedPrecision, ConvertsOnlyLevelsToFloats) {
  for (const Isa isa : present_isas()) {
    ExecOptions options;
    options.isa = isa;
    const Executor executor(mixed_net(kBf16), options);
    std::vector<std::string> conversions;
    for (const StepReport& step : executor.steps()) {
      if (step.kernel.find("convert") != std::string::npos) conversions.push_back(step.kernel);
    }
    // The levels that conv8 reads as bf16 are first the numbers that the file means.
    EXPECT_EQ(conversions.size(), 2u) << kernels(executor);
  }
}

TEST(MixedPrecision, GivesWayToWhatIsAskedFor) {
  const Graph graph = mixed_net(kBf16);
  const auto counts = [&](const ExecOptions& options) {
    const Executor executor(graph, options);
    EXPECT_FALSE(executor.settings().mixed);
    EXPECT_EQ(executor.settings().precision, *options.precision);
    std::map<std::string, int> out;
    for (const auto& [layer, arith] : ariths(executor)) ++out[arith];
    return out;
  };
  using Counts = std::map<std::string, int>;
  ExecOptions options;
  options.isa = Isa::kAvx2;
  options.precision = Precision::kFp32;
  EXPECT_EQ(counts(options), (Counts{{"f32", 9}}));
  options.precision = Precision::kInt8;
  EXPECT_EQ(counts(options), (Counts{{"f32", 7}, {"i8", 2}}));
  options.precision = Precision::kBf16;
  EXPECT_EQ(counts(options), (Counts{{"bf16", 7}, {"i8", 2}}));
}

TEST(MixedPrecision, LeavesLayersInF32WhereAsked) {
  ExecOptions options;
  options.f32_layers = {"conv10", "conv19"};
  const auto found = ariths(Executor(mixed_net(kBf16), options));
  EXPECT_EQ(found.at("conv10"), "f32");
  EXPECT_EQ(found.at("conv19"), "f32");
  EXPECT_EQ(found.at("conv11"), "bf16");
  options.f32_layers = kBf16;
  const Executor none(mixed_net(kBf16), options);
  EXPECT_STREQ(chosen_precision_name(none.settings()), "int8");
}

/// A float model: bf16 where layers are named, and fp32 where none of the names is a layer's.
TEST(MixedPrecision, TakesAFloatModel) {
  NetBuilder net(3);
  ValueId x = net.input(3, 16, 16);
  x = net.conv(x, 3, 16, {3, 1, 1});
  x = net.bottleneck(x, 16, 8, 32, 2);
  Graph graph = net.finish(net.classifier(x, 32, 10));
  set_bf16_layers(graph, {"conv2", "conv3", "conv5", "no layer"});
  const std::vector<float> input = random_input(graph, kImages, 1);
  const std::vector<float> want = oracle(graph, input, kImages);
  for (const Isa isa : present_isas()) {
    SCOPED_TRACE(isa_name(isa));
    for (const FusionLevel fusion : {FusionLevel::kTraditional, FusionLevel::kAggressive}) {
      ExecOptions options;
      options.isa = isa;
      options.fusion = fusion;
      Executor executor(graph, options);
      EXPECT_STREQ(chosen_precision_name(executor.settings()), "bf16");
      for (const auto& [layer, arith] : ariths(executor)) {
        const bool named = layer == "conv2" || layer == "conv3" || layer == "conv5";
        EXPECT_EQ(arith, named ? "bf16" : "f32") << layer;
      }
      const std::vector<float> got = run(executor, input, kImages);
      expect_within(got, want, 5 * 0x1p-8f * largest_of(want));
      expect_same_bytes(graph, options, input, got);
    }
  }
  set_bf16_layers(graph, {"no layer"});
  EXPECT_STREQ(chosen_precision_name(Executor(graph, {}).settings()), "fp32");
}

/// Fusion takes BatchNorm, ReLU and the sum into the convolution, which keeps its name.
TEST(MixedPrecision, SurvivesFusion) {
  NetBuilder net(6);
  const ValueId x = net.input(8, 6, 6);
  const ValueId a = net.conv(x, 8, 16, {3, 1, 1, 1, 1, kNoValue, ActKind::kNone});
  const auto vector = [&](const char* name, float offset) {
    Tensor t = net.random({16}, 0.5f);
    for (float& v : t.mutable_data<float>()) v += offset;
    return net.graph.add_constant(name, t);
  };
  const ValueId g = vector("g", 0), b = vector("b", 0), m = vector("m", 0), v = vector("v", 1);
  const ValueId normal = net.add(OpType::kBatchNorm, BatchNormAttrs{}, {a, g, b, m, v});
  const ValueId shortcut = net.conv(x, 8, 16, {1, 1, 0, 1, 1, kNoValue, ActKind::kNone});
  const ValueId sum = net.add(OpType::kAdd, NoAttrs{}, {normal, shortcut});
  const ValueId act = net.add(OpType::kRelu, NoAttrs{}, {sum});
  const ValueId flat =
      net.add(OpType::kFlatten, FlattenAttrs{}, {net.add(OpType::kGlobalAveragePool, NoAttrs{}, {act})});
  const ValueId w = net.graph.add_constant("fc.w", net.random({16, 10}, 0.3f));
  Graph graph = net.finish(net.add(OpType::kMatMul, NoAttrs{}, {flat, w}));
  std::set<std::string> names;
  for (const NodeId id : graph.order()) {
    if (has_precision(graph.node(id))) names.insert(graph.node(id).name);
  }
  ASSERT_EQ(names.size(), 3u);
  for (const std::string& name : names) {
    set_bf16_layers(graph, {name});
    const auto found = ariths(Executor(graph, {}));
    EXPECT_EQ(found.size(), 3u) << "BatchNorm has no step of its own";
    EXPECT_TRUE(found.contains(name)) << name;
    for (const auto& [layer, arith] : found) EXPECT_EQ(arith, layer == name ? "bf16" : "f32") << layer;
  }
}

TEST(MixedPrecision, ChoosesTheIsaThatHasAll) {
  const Isa best = present_isas().back();
  EXPECT_EQ(Executor(mixed_net(kBf16), {}).settings().isa, best);
  ExecOptions options;
  const Executor executor(mixed_net(kBf16), options);
  if (!cpu_features().avx512vnni || !cpu_features().avx512bf16) GTEST_SKIP() << "skipped: no VNNI and bf16";
  EXPECT_NE(kernels(executor).find("brgemm_i8 avx512vnni"), std::string::npos) << kernels(executor);
  EXPECT_NE(kernels(executor).find("brgemm_bf16 avx512bf16"), std::string::npos) << kernels(executor);
}

}  // namespace
}  // namespace xdn::testing
