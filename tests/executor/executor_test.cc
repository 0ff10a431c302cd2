#include "executor/executor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "base/cpu.h"
#include "base/error.h"
#include "executor/reference.h"
#include "support/nets.h"

namespace xdn {
namespace {

using testing::NetBuilder;
using testing::Uniform;
using ConvOptions = NetBuilder::ConvOptions;

std::vector<float> random_input(const Graph& graph, int64_t n, uint64_t seed) {
  const Dims& shape = graph.value(graph.inputs()[0]).shape;
  std::vector<float> out(static_cast<size_t>(n * shape[1] * shape[2] * shape[3]));
  Uniform uniform(seed);
  for (float& x : out) x = uniform();
  return out;
}

std::vector<float> oracle(const Graph& graph, const std::vector<float>& input, int64_t n) {
  Dims dims = graph.value(graph.inputs()[0]).shape;
  dims[0] = n;
  const Tensor x = Tensor::of(dims, input);
  const std::vector<Tensor> out = run_reference(graph, std::span(&x, 1));
  return {out[0].data<float>().begin(), out[0].data<float>().end()};
}

std::vector<float> fast(const Graph& graph, const ExecOptions& options, const std::vector<float>& input,
                        int64_t n) {
  Executor executor(graph, options);
  std::vector<float> out(static_cast<size_t>(n * executor.output_size()));
  executor.run_f32(input.data(), n, out.data());
  return out;
}

/// A float sum of k products errs by at most about k * eps * (sum of magnitudes); nets here have reductions
/// of a few hundred terms, a few layers deep, with values of order one.
void expect_close(const std::vector<float>& got, const std::vector<float>& want, const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  float magnitude = 0;
  for (const float x : want) magnitude = std::max(magnitude, std::fabs(x));
  constexpr float kTerms = 600, kLayers = 4;
  const float tolerance = kTerms * kLayers * 6e-8f * std::max(magnitude, 0.1f);
  for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], want[i], tolerance) << what << " element " << i;
}

std::vector<Isa> vector_isas() {
  std::vector<Isa> out;
  if (cpu_features().avx2) out.push_back(Isa::kAvx2);
  if (cpu_features().avx512) out.push_back(Isa::kAvx512);
  return out;
}

struct NetCase {
  const char* name;
  std::function<Graph()> make;
};

Graph one_conv(int64_t ic, int64_t oc, int64_t h, int64_t w, const ConvOptions& o) {
  NetBuilder net(7);
  const ValueId x = net.input(ic, h, w);
  return net.finish(net.conv(x, ic, oc, o));
}

const std::vector<NetCase>& cases() {
  static const std::vector<NetCase> all{
      {"pointwise", [] { return one_conv(24, 40, 5, 6, {}); }},
      {"pointwise_stride",
       [] {
         return one_conv(16, 32, 7, 7, {1, 2});
       }},
      {"three_by_three",
       [] {
         return one_conv(20, 70, 6, 5, {3, 1, 1});
       }},
      {"three_by_three_stride",
       [] {
         return one_conv(16, 48, 9, 8, {3, 2, 1});
       }},
      {"on_one_position",
       [] {
         return one_conv(64, 64, 1, 1, {3, 1, 1});
       }},
      {"wide_pad",
       [] {
         return one_conv(8, 8, 3, 3, {3, 1, 4});
       }},
      {"dilated",
       [] {
         return one_conv(8, 24, 11, 11, {3, 1, 2, 1, 2});
       }},
      {"stem",
       [] {
         return one_conv(3, 64, 32, 32, {7, 2, 3});
       }},
      {"stem_dilated",
       [] {
         return one_conv(3, 10, 12, 12, {3, 1, 2, 1, 2});
       }},
      {"grouped",
       [] {
         return one_conv(32, 24, 6, 6, {3, 1, 1, 4});
       }},
      {"grouped_narrow",
       [] {
         return one_conv(12, 18, 6, 6, {3, 1, 1, 6});
       }},
      {"depthwise",
       [] {
         return one_conv(19, 19, 7, 7, {3, 2, 1, 19});
       }},
      {"leaky",
       [] {
         return one_conv(8, 20, 5, 5, {3, 1, 1, 1, 1, kNoValue, ActKind::kLeakyRelu});
       }},
      {"clip",
       [] {
         return one_conv(8, 20, 5, 5, {3, 1, 1, 1, 1, kNoValue, ActKind::kClip});
       }},
      {"residual_block",
       [] {
         NetBuilder net(3);
         ValueId x = net.input(3, 16, 16);
         x = net.conv(x, 3, 16, {3, 1, 1});
         x = net.bottleneck(x, 16, 8, 32, 2);
         x = net.bottleneck(x, 32, 8, 32, 1);
         return net.finish(net.classifier(x, 32, 10));
       }},
      {"pools",
       [] {
         NetBuilder net(4);
         ValueId x = net.input(5, 11, 9);
         x = net.pool(x, true, 3, 2, 1, true);
         x = net.pool(x, false, 2, 1, 1, false);
         x = net.pool(x, true, 3, 2, 0, true);
         return net.finish(x);
       }},
      {"average_counts_padding",
       [] {
         NetBuilder net(4);
         const ValueId x = net.input(5, 7, 7);
         PoolAttrs attrs;
         attrs.window = {{3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}};
         attrs.ceil_mode = attrs.count_include_pad = true;
         return net.finish(net.add(OpType::kAveragePool, attrs, {x}));
       }},
      {"concat_slice_pad",
       [] {
         NetBuilder net(5);
         const ValueId x = net.input(6, 8, 8);
         const ValueId a = net.conv(x, 6, 10, {3, 1, 1}), b = net.conv(x, 6, 7, {});
         const ValueId joined = net.add(OpType::kConcat, AxisAttrs{1}, {a, b, x});
         const ValueId cut =
             net.add(OpType::kSlice, SliceAttrs{{1, 2, 3}, {3, 0, 7}, {20, 8, -1}, {1, 2, -2}}, {joined});
         PadAttrs pad;
         pad.begin = {0, 4, 1, 0};
         pad.end = {0, 3, 0, 2};
         pad.value = 0.5f;
         return net.finish(net.add(OpType::kPad, pad, {cut}));
       }},
      {"elementwise",
       [] {
         NetBuilder net(6);
         const ValueId x = net.input(9, 4, 4);
         const ValueId a = net.conv(x, 9, 9, {});
         ValueId y = net.add(OpType::kAdd, NoAttrs{}, {x, a});
         y = net.add(OpType::kMul, NoAttrs{}, {y, net.graph.add_constant("s", net.random({9, 1, 1}, 1))});
         y = net.add(OpType::kSub, NoAttrs{}, {net.graph.add_constant("t", net.random({1, 9, 1, 1}, 1)), y});
         y = net.add(OpType::kMax, NoAttrs{}, {y, a});
         y = net.add(OpType::kHardSwish, NoAttrs{}, {y});
         y = net.add(OpType::kSigmoid, NoAttrs{}, {y});
         return net.finish(y);
       }},
      {"broadcast_through_the_oracle",
       [] {
         NetBuilder net(8);
         const ValueId x = net.input(6, 4, 5);
         const ValueId gate = net.add(OpType::kGlobalAveragePool, NoAttrs{}, {x});
         const ValueId y = net.add(OpType::kMul, NoAttrs{}, {x, gate});
         const ValueId z = net.add(OpType::kLrn, LrnAttrs{}, {y});
         const ValueId soft = net.add(OpType::kSoftmax, SoftmaxAttrs{1, false}, {z});
         return net.finish(
             net.add(OpType::kRelu, NoAttrs{}, {soft}));  // a Softmax at the very end would be peeled
       }},
      {"gate_and_softmax",
       [] {
         NetBuilder net(8);
         const ValueId x = net.input(6, 4, 5);
         const ValueId gate = net.add(OpType::kGlobalAveragePool, NoAttrs{}, {x});
         const ValueId y = net.add(OpType::kMul, NoAttrs{}, {x, gate});
         const ValueId z = net.add(OpType::kSub, NoAttrs{}, {gate, y});
         const ValueId soft = net.add(OpType::kSoftmax, SoftmaxAttrs{1, false}, {z});
         return net.finish(net.add(OpType::kRelu, NoAttrs{}, {soft}));
       }},
      {"flatten_of_a_map",
       [] {
         NetBuilder net(9);
         const ValueId x = net.input(4, 3, 5);
         const ValueId flat = net.add(OpType::kFlatten, FlattenAttrs{}, {net.conv(x, 4, 8, {})});
         const ValueId w = net.graph.add_constant("w", net.random({120, 33}, 0.1f));
         const ValueId y = net.add(OpType::kGemm, GemmAttrs{}, {flat, w});
         const ValueId map = net.add(OpType::kReshape, ReshapeAttrs{{kBatch, 11, 3, 1}}, {y});
         return net.finish(net.add(OpType::kRelu, NoAttrs{}, {map}));
       }},
      {"batchnorm_alone",
       [] {
         NetBuilder net(10);
         const ValueId x = net.input(7, 4, 4);
         const auto vector = [&](const char* name) {
           return net.graph.add_constant(name, net.random({7}, 1));
         };
         Tensor variance(DType::kF32, {7});
         for (float& v : variance.mutable_data<float>()) v = 0.5f;
         const ValueId y = net.add(OpType::kBatchNorm, BatchNormAttrs{},
                                   {net.add(OpType::kRelu, NoAttrs{}, {x}), vector("g"), vector("b"),
                                    vector("m"), net.graph.add_constant("v", variance)});
         return net.finish(y);
       }},
  };
  return all;
}

class Nets : public ::testing::TestWithParam<size_t> {};

TEST_P(Nets, EqualTheOracleOnEveryIsaAndBatch) {
  const Graph graph = cases()[GetParam()].make();
  for (const int64_t n : {1, 2, 7}) {
    const std::vector<float> input = random_input(graph, n, 1);
    const std::vector<float> want = oracle(graph, input, n);
    for (const Isa isa : vector_isas()) {
      for (const FusionLevel level :
           {FusionLevel::kOff, FusionLevel::kTraditional, FusionLevel::kAggressive}) {
        ExecOptions options;
        options.isa = isa;
        options.fusion = level;
        options.batch_tile = 4;
        expect_close(fast(graph, options, input, n), want,
                     std::string(isa_name(isa)) + " n " + std::to_string(n));
      }
    }
  }
}

TEST_P(Nets, AreEqualToTheBitForEveryTileAndThreadCount) {
  const Graph graph = cases()[GetParam()].make();
  const int64_t n = 9;
  const std::vector<float> input = random_input(graph, n, 2);
  for (const Isa isa : vector_isas()) {
    ExecOptions options;
    options.isa = isa;
    options.threads = 1;
    options.batch_tile = 9;
    options.fusion = FusionLevel::kAggressive;
    const std::vector<float> first = fast(graph, options, input, n);
    for (const int tile : {1, 2, 4, 16}) {
      for (const int dp : {1, 2}) {
        options.batch_tile = tile;
        options.threads = 2;
        options.data_parallel = dp;
        options.model_parallel = dp == 1 ? 2 : 1;
        ASSERT_EQ(fast(graph, options, input, n), first) << isa_name(isa) << " tile " << tile << " dp " << dp;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Every, Nets, ::testing::Range<size_t>(0, cases().size()),
                         [](const auto& p) { return cases()[p.param].name; });

/// Bytes through the plan equal the map applied beforehand.
TEST(Pixels, AreFoldedIntoTheFirstConvolution) {
  const PixelMap map{{0.017f, 0.018f, 0.016f}, {-2.1f, -2.0f, -1.8f}, {2, 1, 0}};
  for (const ConvOptions& o :
       {ConvOptions{7, 2, 3}, ConvOptions{3, 1, 1}, ConvOptions{3, 1, 2, 1, 2}, ConvOptions{}}) {
    const Graph graph = one_conv(3, 20, 13, 11, o);
    constexpr int64_t kImages = 5, kPositions = 13 * 11;
    std::vector<uint8_t> bytes(kImages * kPositions * 3);
    Uniform uniform(11);
    for (uint8_t& b : bytes) b = static_cast<uint8_t>(uniform.bits());
    std::vector<float> floats(bytes.size());
    for (size_t i = 0; i < kImages; ++i) {
      for (size_t c = 0; c < 3; ++c) {
        for (size_t p = 0; p < kPositions; ++p) {
          const uint8_t byte = bytes[(i * kPositions + p) * 3 + static_cast<size_t>(map.source_channel[c])];
          floats[(i * 3 + c) * kPositions + p] = static_cast<float>(byte) * map.scale[c] + map.shift[c];
        }
      }
    }
    const std::vector<float> want = oracle(graph, floats, kImages);
    std::vector<Isa> isas = vector_isas();
    isas.push_back(Isa::kRef);
    for (const Isa isa : isas) {
      ExecOptions options;
      options.isa = isa;
      options.pixels = map;
      options.batch_tile = 2;
      Executor executor(graph, options);
      std::vector<float> got(want.size());
      executor.run_u8({bytes.data(), {}}, kImages, got.data());
      expect_close(got, want, isa_name(isa));
    }
  }
}

TEST(Executor, AProjectionJoinsItsReadersAccumulation) {
  NetBuilder net(3);
  ValueId x = net.input(3, 16, 16);
  x = net.conv(x, 3, 16, {3, 1, 1});
  x = net.bottleneck(x, 16, 8, 32, 2);
  x = net.bottleneck(x, 32, 8, 32, 1);
  const Graph graph = net.finish(net.classifier(x, 32, 10));
  const auto steps = [&](FusionLevel level, Precision precision) {
    ExecOptions options;
    options.fusion = level;
    options.precision = precision;
    options.isa = Isa::kAvx2;
    return Executor(graph, options).steps();
  };
  for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
    const auto apart = steps(FusionLevel::kTraditional, precision);
    const auto joined = steps(FusionLevel::kAggressive, precision);
    EXPECT_EQ(joined.size() + 1, apart.size());
    const auto macs = [](const std::vector<StepReport>& all) {
      int64_t sum = 0;
      for (const StepReport& step : all) sum += step.macs;
      return sum;
    };
    EXPECT_EQ(macs(joined), macs(apart));
  }
}

TEST(Executor, FillsTilesFromAFunctionAndReportsItsError) {
  const Graph graph = one_conv(3, 8, 6, 6, {3, 1, 1});
  ExecOptions options;
  options.pixels = PixelMap{{1, 1, 1}, {0, 0, 0}, {0, 1, 2}};
  options.batch_tile = 3;
  Executor executor(graph, options);
  constexpr int64_t kImages = 10, kBytes = 6 * 6 * 3;
  std::vector<uint8_t> bytes(kImages * kBytes);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 31);
  std::vector<float> want(static_cast<size_t>(kImages * executor.output_size())), got(want.size());
  executor.run_u8({bytes.data(), {}}, kImages, want.data());
  std::atomic<int64_t> done{0};
  ImageSource source;
  source.fill = [&](int64_t first, int64_t count, uint8_t* dst) {
    std::copy_n(bytes.begin() + first * kBytes, count * kBytes, dst);
  };
  executor.run_u8(source, kImages, got.data(), &done);
  EXPECT_EQ(got, want);
  EXPECT_EQ(done.load(), kImages);
  source.fill = [](int64_t, int64_t, uint8_t*) { throw input_error("corrupt JPEG data").in_file("x.jpg"); };
  EXPECT_THROW(executor.run_u8(source, kImages, got.data()), Error);
  source.fill = nullptr;
  source.data = bytes.data();
  executor.run_u8(source, kImages, got.data());
  EXPECT_EQ(got, want) << "usable after an error";
}

TEST(Executor, PeelsTheTrailingSoftmax) {
  NetBuilder net(12);
  const ValueId x = net.input(4, 5, 5);
  const ValueId logits = net.classifier(net.conv(x, 4, 8, {}), 8, 3);
  const Graph bare = [&] {
    NetBuilder twin(12);
    const ValueId y = twin.input(4, 5, 5);
    return twin.finish(twin.classifier(twin.conv(y, 4, 8, {}), 8, 3));
  }();
  const Graph graph = net.finish(net.add(OpType::kSoftmax, SoftmaxAttrs{1, false}, {logits}));
  const std::vector<float> input = random_input(graph, 4, 3);
  ExecOptions options;
  EXPECT_EQ(fast(graph, options, input, 4), fast(bare, options, input, 4));
}

TEST(Executor, RefusesWhatItCannotPlan) {
  NetBuilder fixed(1);
  const ValueId x = fixed.graph.add_input("data", DType::kF32, {1, 3, 4, 4});
  const Graph graph = fixed.finish(fixed.add(OpType::kRelu, NoAttrs{}, {x}));
  EXPECT_THROW(Executor(graph, {}), Error);
  ExecOptions int8;
  int8.precision = Precision::kInt8;
  try {
    Executor(one_conv(3, 4, 4, 4, {}), int8);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(error.message().find("xdn quantize"), std::string::npos);
  }
  ExecOptions negative;
  negative.batch_tile = -1;
  EXPECT_THROW(Executor(one_conv(3, 4, 4, 4, {}), negative), Error);
}

TEST(Executor, DescribesEveryStep) {
  Executor executor(one_conv(24, 40, 5, 6, {}), {});
  const std::vector<StepReport> steps = executor.steps();
  ASSERT_EQ(steps.size(), 2u);
  EXPECT_EQ(steps[1].layer, "conv1");
  EXPECT_EQ(steps[1].macs, 24 * 40 * 5 * 6);
  EXPECT_EQ(steps[1].weight_bytes, 24 * 48 * 4);
}

}  // namespace
}  // namespace xdn
