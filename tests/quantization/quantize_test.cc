// A model on its way to 8 bits: what is refused, what is written, and how near it stays.

#include "quantization/quantize.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/dtype.h"
#include "executor/plan_support.h"
#include "graph/bf16_layers.h"
#include "quantization/support.h"

namespace xdn::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kNet = R"(graph { input %x f32[N,3,8,8]
  const %w f32[8,3,3,3] random(1) const %b f32[8] random(2)
  const %g f32[8] fill(0.5) const %v f32[8] fill(1) const %z f32[8] fill(0.1)
  const %u f32[8,8,3,3] random(3) const %k f32[8,5] random(4)
  %c = Conv(%x, %w, %b) kernel=[3,3] pads_begin=[1,1] pads_end=[1,1]
  %n = BatchNorm(%c, %g, %z, %z, %v) %r = Relu(%n)
  %d = Conv(%r, %u) kernel=[3,3] pads_begin=[1,1] pads_end=[1,1] "second"
  %s = Add(%d, %r) %t = Relu(%s) %p = GlobalAveragePool(%t) %f = Flatten(%p) %y = Gemm(%f, %k) "fc"
  output %y })";

Graph net() { return parse_graph(kNet); }

std::span<float> weights_of(Graph& graph, const std::string& name) {
  return graph.value(*graph.find_value(name)).constant->mutable_data<float>();
}

struct Quantized {
  Quantizer quantizer;
  ByteImages images;
  Quantized(const Graph& graph, const QuantizeOptions& options, int threads = 1)
      : quantizer(graph, options), images(graph, 40, 1) {
    const Calibration calibration(quantizer.graph(), images.calibration(threads));
    Ranges ranges;
    ranges.values = calibration.ranges(quantizer.values(), RangeMethod::kMinMax);
    quantizer.set_ranges(std::move(ranges));
    quantizer.round_weights(&calibration);
  }
};

/// Square root of the mean squared difference, to the outputs' own size.
double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0, squares = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    sum += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
    squares += static_cast<double>(b[i]) * static_cast<double>(b[i]);
  }
  return std::sqrt(sum / squares);
}

TEST(Quantizers, RefuseWeightsThatAreNotFinite) {
  Graph graph = net();
  weights_of(graph, "u")[7] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(error_of([&] { Quantizer(graph, {}); }),
            "layer 'second': weight 7 of 'u' is NaN, expected finite weights");
  graph = net();
  weights_of(graph, "b")[3] = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(error_of([&] { Quantizer(graph, {}); }),
            "layer 'c': weight 3 of 'b' is infinite, expected finite weights");
  EXPECT_THAT(error_of([&] { (void)bf16_model(graph); }), HasSubstr("layer 'c'"));
  graph = net();
  weights_of(graph, "v")[2] = -1;  // a variance
  EXPECT_EQ(error_of([&] { Quantizer(graph, {}); }),
            "layer 'n': variance 2 of 'v' is -1, expected no root of a negative number");
}

TEST(Quantizers, RefuseWhatIsQuantizedAlready) {
  const Graph graph = Quantized(net(), {}).quantizer.quantized();
  const std::string words = "is quantized already, expected a float model";
  EXPECT_THAT(error_of([&] { Quantizer(graph, {}); }), HasSubstr(words));
  EXPECT_THAT(error_of([&] { (void)bf16_model(graph); }), HasSubstr(words));
}

TEST(Quantizers, RefuseWhereThereIsNothing) {
  const Graph graph = parse_graph("graph { input %x f32[N,3,4,4] %r = Relu(%x) output %r }");
  EXPECT_THAT(error_of([&] { Quantizer(graph, {}); }), HasSubstr("nothing to quantize"));
  // Weights that are computed are none.
  EXPECT_THAT(
      error_of([&] { Quantizer(parse_graph("graph { input %x f32[N,4] %y = Mul(%x, %x) output %y }"), {}); }),
      HasSubstr("nothing to quantize"));
}

TEST(Quantizers, FoldWhatIsFoldedAndKeepTheLayers) {
  const Quantizer quantizer(net(), {});
  std::vector<std::string> layers;
  for (const LinearLayer& layer : quantizer.layers()) layers.push_back(quantizer.graph().node(layer.id).name);
  EXPECT_THAT(layers, ElementsAre("c", "second", "fc"));
  for (const NodeId id : quantizer.graph().order())
    EXPECT_NE(quantizer.graph().node(id).type, OpType::kBatchNorm);
  EXPECT_THAT(quantizer.values(), ElementsAre("x", "r", "d", "t", "p"));
  EXPECT_THAT(quantizer.graph().metadata.at("xdn.steps"), HasSubstr("fold_batchnorm"));
}

TEST(Quantizers, StayNearTheFloatModel) {
  for (const bool equalize : {false, true}) {
    for (const Rounding rounding : {Rounding::kNearest, Rounding::kLeastSquares}) {
      const Quantized q(net(), {equalize, true, rounding});
      const Graph graph = q.quantizer.quantized();
      const std::vector<float> want = q.images.outputs(net()), meant = q.images.outputs(graph);
      EXPECT_LT(distance(meant, want), 0.03);
      EXPECT_GT(distance(meant, want), 0) << "nothing was rounded";
      const std::vector<float> input(q.images.floats().data<float>().begin(),
                                     q.images.floats().data<float>().end());
      Executor executor(graph, {});
      EXPECT_LT(distance(run(executor, input, q.images.count()), want), 0.03);
      int i8 = 0;
      for (const StepReport& step : executor.steps()) i8 += step.arith == "i8";
      EXPECT_EQ(i8, 3);
    }
  }
}

TEST(Quantizers, ReportWhatRoundingCosts) {
  const Quantized least(net(), {}), nearest(net(), {false, true, Rounding::kNearest});
  const std::vector<LayerReport>& reports = least.quantizer.reports();
  ASSERT_EQ(reports.size(), 3u);
  for (size_t i = 0; i < reports.size(); ++i) {
    EXPECT_GT(reports[i].relative_error, 0) << reports[i].layer;
    EXPECT_LE(reports[i].relative_error, reports[i].nearest_relative_error) << reports[i].layer;
    EXPECT_LT(reports[i].nearest_relative_error, 1e-2) << reports[i].layer;
    const LayerReport& other = nearest.quantizer.reports()[i];
    EXPECT_EQ(other.relative_error, other.nearest_relative_error);
    EXPECT_EQ(other.nearest_relative_error, reports[i].nearest_relative_error);
  }
  EXPECT_EQ(reports[1].layer, "second");
  EXPECT_LT(reports[1].relative_error, 0.8 * reports[1].nearest_relative_error);
}

TEST(Quantizers, CorrectTheMeanOfALayer) {
  // One layer whose inputs are all positive: rounding shifts its outputs' means.
  const Graph graph = parse_graph(R"(graph { input %x f32[N,3,8,8] const %w f32[16,3,3,3] random(1)
    %y = Conv(%x, %w) kernel=[3,3] output %y })");
  double shifts[2];
  for (const bool correct : {false, true}) {
    Quantizer quantizer(graph, {false, correct, Rounding::kNearest});
    const ByteImages images(graph, 40, 1, 1.0f / 255, 0);
    const Calibration calibration(quantizer.graph(), images.calibration());
    Ranges ranges;
    ranges.values["x"] = {{0, 1}, {0, 1}};  // a level per byte: only the weights are rounded
    quantizer.set_ranges(ranges);
    quantizer.round_weights(&calibration);
    const std::vector<float> want = images.outputs(graph), got = images.outputs(quantizer.quantized());
    double sum = 0;
    for (size_t j = 0; j < 16; ++j) {
      double shift = 0;
      for (size_t i = 0; i < 40; ++i) {
        for (size_t p = 0; p < 36; ++p) {
          const size_t at = (i * 16 + j) * 36 + p;
          shift += static_cast<double>(got[at]) - static_cast<double>(want[at]);
        }
      }
      sum += std::abs(shift / 40 / 36);
    }
    shifts[correct] = sum / 16;
  }
  EXPECT_LT(shifts[1], shifts[0] / 20) << shifts[0];
}

TEST(Quantizers, DeadChannelsGiveExactZeros) {
  Graph graph = parse_graph(R"(graph { input %x f32[N,3,8,8] const %w f32[8,3,3,3] random(1)
    const %b f32[8] random(2) const %u f32[4,8,1,1] random(3)
    %c = Conv(%x, %w, %b) kernel=[3,3] pads_begin=[1,1] pads_end=[1,1] %r = Relu(%c)
    %y = Conv(%r, %u) kernel=[1,1] output %y })");
  std::fill_n(weights_of(graph, "w").begin() + 54, 27, 0.0f);
  weights_of(graph, "b")[2] = 0;
  std::fill_n(weights_of(graph, "u").begin() + 8, 8, 0.0f);
  for (const bool equalize : {false, true}) {
    const Quantized q(graph, {equalize, true, Rounding::kLeastSquares});
    const Graph out = q.quantizer.quantized();
    const std::vector<float> input(q.images.floats().data<float>().begin(),
                                   q.images.floats().data<float>().end());
    const std::vector<float> got = run(out, {}, input, 40), meant = q.images.outputs(out);
    for (size_t i = 0; i < got.size(); ++i) {
      ASSERT_TRUE(std::isfinite(got[i]));
      if (i / 64 % 4 == 1) {
        ASSERT_EQ(got[i], 0) << i;
      }
    }
    EXPECT_LT(distance(meant, q.images.outputs(graph)), 0.03);
  }
}

TEST(Quantizers, ModelsThatAreAllZero) {
  Graph graph = net();
  for (const char* name : {"w", "u", "k", "b", "g", "z"}) {
    for (float& x : weights_of(graph, name)) x = 0;
  }
  const Quantized q(graph, {true, true, Rounding::kLeastSquares});
  for (const float y : q.images.outputs(q.quantizer.quantized())) ASSERT_EQ(y, 0);
  for (const LayerReport& report : q.quantizer.reports()) EXPECT_EQ(report.relative_error, 0);
}

TEST(Quantizers, TinyAndHugeActivations) {
  for (const float scale : {1e-30f, 1e-12f, 1e12f}) {
    Graph graph = parse_graph(R"(graph { input %x f32[N,3,8,8] const %w f32[8,3,3,3] random(1)
      const %b f32[8] random(2) %c = Conv(%x, %w, %b) kernel=[3,3] %r = Relu(%c)
      const %u f32[4,8,1,1] random(3) %y = Conv(%r, %u) kernel=[1,1] output %y })");
    for (const char* name : {"w", "b"}) {
      for (float& x : weights_of(graph, name)) x *= scale;
    }
    const Quantized q(graph, {});
    for (const float y : q.images.outputs(q.quantizer.quantized())) ASSERT_TRUE(std::isfinite(y)) << scale;
    EXPECT_LT(distance(q.images.outputs(q.quantizer.quantized()), q.images.outputs(graph)),
              scale < 1e-20f ? 2 : 0.03)
        << scale;
  }
}

TEST(Quantizers, ConvolutionsOfOtherAxesAndProductsOfMoreStayFloat) {
  const Graph graph = parse_graph(R"(graph { input %x f32[N,3,6,6] const %w f32[4,3,3] random(1)
    const %v f32[34,6] random(2) const %k f32[24,5] random(3) %r = Reshape(%x) shape=[N,3,36]
    %c = Conv(%r, %w) kernel=[3] %m = MatMul(%c, %v) %f = Flatten(%m) %y = Gemm(%f, %k) output %y })");
  const Quantized q(graph, {true, true, Rounding::kLeastSquares});
  ASSERT_EQ(q.quantizer.layers().size(), 1u);
  const Graph out = q.quantizer.quantized();
  EXPECT_TRUE(out.find_value("k_q").has_value());
  EXPECT_FALSE(out.find_value("w_q").has_value() || out.find_value("v_q").has_value());
  EXPECT_LT(distance(q.images.outputs(out), q.images.outputs(graph)), 0.03);
}

TEST(Quantizers, LayersThatShareConstants) {
  const Graph graph = parse_graph(R"(graph { input %x f32[N,4,7,7] const %w f32[4,4,3,3] random(1)
    const %b f32[4] random(2) %a = Conv(%x, %w, %b) kernel=[3,3] %r = Relu(%a)
    %y = Conv(%r, %w, %b) kernel=[3,3] "a" output %y })");
  const Quantized q(graph, {true, true, Rounding::kLeastSquares});
  EXPECT_EQ(q.quantizer.equalized(), 0);
  const Graph out = q.quantizer.quantized();
  EXPECT_LT(distance(q.images.outputs(out), q.images.outputs(graph)), 0.03);
  int levels = 0;  // each layer's own: their inputs have other scales
  for (const NodeId id : out.order()) levels += out.node(id).type == OpType::kQuantizeLinear;
  EXPECT_EQ(levels, 2);
}

TEST(Quantizers, AreTheSameForAnyThreads) {
  const Quantized one(net(), {}, 1), two(net(), {}, 2);
  EXPECT_EQ(print(one.quantizer.quantized(), 10000), print(two.quantizer.quantized(), 10000));
}

bool is_bf16(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(),
                     [](float x) { return static_cast<float>(BFloat16(x)) == x; });
}

TEST(Quantizers, FloatLayersKeepOrRoundTheirWeights) {
  const Quantized q(net(), {});
  const Graph graph = q.quantizer.quantized({{"c", FloatKind::kBf16}, {"fc", FloatKind::kF32}});
  EXPECT_EQ(bf16_layers(graph), (std::set<std::string>{"c"}));
  const auto conv = graph.constant(*graph.find_value("w")).data<float>();
  EXPECT_TRUE(is_bf16(conv));
  const auto fc = graph.constant(*graph.find_value("k")).data<float>();
  const Graph given = net();
  const auto before = given.constant(*given.find_value("k")).data<float>();
  EXPECT_TRUE(std::equal(fc.begin(), fc.end(), before.begin()));
  EXPECT_FALSE(is_bf16(fc));
  EXPECT_FALSE(graph.find_value("k_q").has_value());
  EXPECT_LT(distance(q.images.outputs(graph), q.images.outputs(net())), 0.03);
  EXPECT_TRUE(bf16_layers(q.quantizer.quantized()).empty());
}

TEST(Bf16Models, MarkEveryLayer) {
  const Graph graph = bf16_model(net());
  EXPECT_EQ(bf16_layers(graph), (std::set<std::string>{"c", "second", "fc"}));
  for (const LinearLayer& layer : linear_layers(graph))
    EXPECT_TRUE(is_bf16(graph.constant(layer.weights).data<float>()));
  for (const NodeId id : graph.order()) EXPECT_NE(graph.node(id).type, OpType::kQuantizeLinear);
  const ByteImages images(graph, 8, 1);
  EXPECT_LT(distance(images.outputs(graph), images.outputs(net())), 0.01);
}

TEST(Quantizers, NameLayersThatHaveNone) {
  Graph graph = net();
  for (const NodeId id : graph.order()) graph.node(id).name = "same";
  const Quantizer quantizer(graph, {});
  std::set<std::string> names;
  for (const LinearLayer& layer : quantizer.layers()) names.insert(quantizer.graph().node(layer.id).name);
  EXPECT_EQ(names.size(), 3u);
  EXPECT_FALSE(names.contains(""));
}

}  // namespace
}  // namespace xdn::testing
