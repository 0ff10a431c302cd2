// Networks of MobileNet's kind: depthwise convolutions, clips, linear projections whose results are negative
// too. What the executor computes in integers against what the QDQ graph means.

#include <cmath>

#include "executor/plan_support.h"
#include "quantization/quantize.h"
#include "quantization/rounding.h"
#include "quantization/support.h"
#include "support/nets.h"

namespace xdn::testing {
namespace {

constexpr int64_t kImages = 12;

struct Style {
  const char* name;
  float low;  ///< of the clip; below 0, borders of depthwise layers are levels that are not 0
  int64_t side;
};
constexpr Style kStyles[] = {{"relu6", 0, 16}, {"clip_below_zero", -0.75f, 16}, {"odd_maps", -0.5f, 13}};

class MobileNet : public NetBuilder {
 public:
  MobileNet(uint64_t seed, const Style& style) : NetBuilder(seed), style_(style) {}

  ValueId clipped(ValueId x) { return add(OpType::kClip, ClipAttrs{style_.low, 6}, {x}); }
  ValueId plain(ValueId x, int64_t ic, int64_t oc, int64_t kernel, int64_t stride, int64_t group = 1) {
    return conv(x, ic, oc, {kernel, stride, kernel / 2, group, 1, kNoValue, ActKind::kNone});
  }
  ValueId inverted_residual(ValueId x, int64_t ic, int64_t oc, int64_t stride) {
    const int64_t wide = 3 * ic;
    const ValueId a = clipped(plain(x, ic, wide, 1, 1));
    const ValueId b = clipped(plain(a, wide, wide, 3, stride, wide));
    const ValueId c = plain(b, wide, oc, 1, 1);
    return ic == oc && stride == 1 ? add(OpType::kAdd, NoAttrs{}, {x, c}) : c;
  }

 private:
  Style style_;
};

Graph block(const Style& style, int64_t stride) {
  MobileNet net(3, style);
  return net.finish(net.inverted_residual(net.input(16, 8, 8), 16, 16, stride));
}

Graph mobilenet(const Style& style) {
  MobileNet net(7, style);
  ValueId x = net.clipped(net.plain(net.input(3, style.side, style.side), 3, 16, 3, 2));
  x = net.inverted_residual(x, 16, 16, 1);
  x = net.inverted_residual(x, 16, 24, 2);
  x = net.inverted_residual(x, 24, 24, 1);
  x = net.clipped(net.plain(x, 24, 40, 1, 1));
  return net.finish(net.classifier(x, 40, 10));
}

int linear_count(const Graph& graph) {
  int count = 0;
  for (const NodeId id : graph.order())
    count += graph.node(id).type == OpType::kConv || graph.node(id).type == OpType::kGemm;
  return count;
}

/// Zero points of activations that are no end of the levels.
int inner_zero_points(const Graph& graph) {
  int count = 0;
  for (const NodeId id : graph.order()) {
    if (graph.node(id).type != OpType::kQuantizeLinear) continue;
    const int zero = graph.constant(graph.node(id).input(2)).data<uint8_t>()[0];
    count += zero > 8 && zero < 247;
  }
  return count;
}

/// Levels whose scales are powers of two around what was seen: every product and sum is exact in floats.
Graph with_exact_scales(const Graph& float_graph, const ByteImages& images) {
  Graph graph = float_graph;
  name_layers(graph);
  const auto ranges =
      Calibration(graph, images.calibration()).ranges(quantized_values(graph), RangeMethod::kMinMax);
  QdqSpec spec;
  for (const auto& [name, range] : ranges) {
    const float low = std::min(range.seen.low, 0.0f), high = std::max(range.seen.high, 0.0f);
    // A little short: both ends are clipped now and then.
    const float scale = std::exp2(std::ceil(std::log2((high - low) * 0.9f / 255)));
    // Even: the executor rounds halves to even with the zero point added, ONNX without.
    const float zero = std::clamp(2 * std::nearbyint(-low / scale / 2), 0.0f, 254.0f);
    spec.ranges[name] = {-zero * scale, (255 - zero) * scale};
    EXPECT_EQ(scale_of(spec.ranges[name]), (LevelScale{scale, static_cast<uint8_t>(zero)})) << name;
  }
  const auto sources = range_sources(graph);
  for (const LinearLayer& layer : linear_layers(graph)) {
    LayerWeights& weights = spec.weights[graph.node(layer.id).name];
    const std::vector<float> rows = weight_rows(graph, layer);
    weights.bias = bias_of(graph, layer);
    weights.scale = weight_scales(rows, layer.k, weights.bias, 1);
    for (float& scale : weights.scale) scale = std::exp2(std::ceil(std::log2(scale)));
    weights.levels = round_to_nearest(rows, layer.k, weights.scale);
  }
  insert_qdq(graph, spec);
  graph.compact();
  return graph;
}

std::vector<float> run_bytes(const Graph& graph, ExecOptions options, const ByteImages& images) {
  options.pixels = images.pixels();
  Executor executor(graph, options);
  std::vector<float> out(static_cast<size_t>(images.count() * executor.output_size()));
  executor.run_u8({images.data(), {}}, images.count(), out.data());
  return out;
}

/// How many numbers differ.
void expect_same(const std::vector<float>& got, const std::vector<float>& want, Isa isa) {
  ASSERT_EQ(got.size(), want.size());
  size_t different = 0;
  for (size_t i = 0; i < got.size(); ++i) different += got[i] != want[i];
  EXPECT_EQ(different, 0u) << "of " << got.size() << ", " << isa_name(isa);
}

class MobileNets : public ::testing::TestWithParam<Style> {};

TEST_P(MobileNets, ExactScalesGiveExactResults) {
  std::vector<Graph> graphs{mobilenet(GetParam()), block(GetParam(), 1), block(GetParam(), 2)};
  for (const Graph& float_graph : graphs) {
    // Bytes that are multiples of 1/64 once they are mapped.
    const ByteImages images(float_graph, kImages, 3, 1.0f / 64, -1.5f);
    const Graph graph = with_exact_scales(float_graph, images);
    EXPECT_GE(inner_zero_points(graph), 1);
    std::vector<float> want = images.outputs(graph);
    // The mean over 7 x 7 positions is not exact, and neither is what follows.
    if (GetParam().side == 13 && &float_graph == graphs.data()) continue;
    for (const Isa isa : present_isas()) {
      ExecOptions options;
      options.isa = isa;
      expect_same(run_bytes(graph, options, images), want, isa);
      options.batch_tile = 5;
      options.threads = 2;
      expect_same(run_bytes(graph, options, images), want, isa);
    }
  }
}

TEST_P(MobileNets, ArePlannedInIntegers) {
  const Graph float_graph = mobilenet(GetParam());
  const ByteImages images(float_graph, kImages, 3);
  const Graph graph = with_exact_scales(float_graph, images);
  for (const Isa isa : present_isas()) {
    ExecOptions options;
    options.isa = isa;
    int found = 0;
    std::string plan;
    for (const StepReport& step : Executor(graph, options).steps()) {
      found += step.arith == "i8";
      plan += step.layer + ": " + step.kernel + ", " + step.arith + "\n";
    }
    EXPECT_EQ(found, linear_count(float_graph)) << isa_name(isa) << "\n" << plan;
  }
}

/// Quantized as users do it. A level at the edge of two may differ, and what follows it by a little.
TEST_P(MobileNets, QuantizedByCalibration) {
  const Graph float_graph = mobilenet(GetParam());
  const ByteImages images(float_graph, 64, 3);
  Quantizer quantizer(float_graph, {});
  const Calibration calibration(quantizer.graph(), images.calibration());
  Ranges ranges;
  ranges.values = calibration.ranges(quantizer.values(), RangeMethod::kMse);
  quantizer.set_ranges(std::move(ranges));
  quantizer.round_weights(&calibration);
  const Graph graph = quantizer.quantized();
  EXPECT_GE(inner_zero_points(graph), 4);

  const std::vector<float> meant = images.outputs(graph), given = images.outputs(float_graph);
  const auto distance = [](const std::vector<float>& a, const std::vector<float>& b) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      sum += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
      squares += static_cast<double>(b[i]) * static_cast<double>(b[i]);
    }
    return std::sqrt(sum / squares);
  };
  const double quantization = distance(meant, given);
  EXPECT_LT(quantization, 0.05);
  std::vector<float> first;
  for (const Isa isa : present_isas()) {
    ExecOptions options;
    options.isa = isa;
    const std::vector<float> got = run_bytes(graph, options, images);
    EXPECT_LT(distance(got, meant), quantization / 5) << isa_name(isa);
    EXPECT_LT(distance(got, given), 1.1 * quantization) << isa_name(isa);
    if (first.empty()) first = got;
    expect_same(got, first, isa);
  }
}

INSTANTIATE_TEST_SUITE_P(Every, MobileNets, ::testing::ValuesIn(kStyles),
                         [](const auto& p) { return std::string(p.param.name); });

}  // namespace
}  // namespace xdn::testing
