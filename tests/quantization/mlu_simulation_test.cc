// The graph that simulates the chip against integers by hand.

#include <cmath>

#include "executor/executor.h"
#include "executor/reference.h"
#include "quantization/mlu.h"
#include "support/nets.h"

namespace xdn::testing {
namespace {

/// The rule written once more, and nothing taken from the code under test.
struct HandDtype {
  int position = 0;
  double scale = 1;

  explicit HandDtype(double absmax) {
    if (absmax == 0) return;
    const double log = std::log2(absmax / 127);
    position = static_cast<int>(std::trunc(log)) + (log > 0 ? 1 : 0);
    scale = static_cast<double>(static_cast<float>(127 * std::pow(2.0, position) / absmax));
  }
  int level(double x) const {
    return static_cast<int>(
        std::min(127.0, std::max(-128.0, std::rint(x * scale / std::pow(2.0, position)))));
  }
  double step() const { return std::pow(2.0, position) / scale; }
};

double absmax_of(const Tensor& tensor) {
  double most = 0;
  for (int64_t i = 0; i < tensor.size(); ++i) most = std::max(most, std::abs(tensor.as_double(i)));
  return most;
}

struct ConvCase {
  int64_t n = 2, ic = 4, oc = 6, size = 7, kernel = 3, stride = 1, pad = 1, group = 1;
  bool dead = false;       ///< weights are all zero
  double input_range = 1;  ///< of the calibrated one; below 1, inputs saturate
};

std::vector<double> integer_conv(const Tensor& x, const Tensor& w, const Tensor& bias, const ConvCase& c,
                                 double x_absmax) {
  const HandDtype dx(x_absmax), dw(absmax_of(w));
  const int64_t out = (c.size + 2 * c.pad - c.kernel) / c.stride + 1, icg = c.ic / c.group,
                ocg = c.oc / c.group;
  std::vector<double> y;
  for (int64_t n = 0; n < c.n; ++n) {
    for (int64_t o = 0; o < c.oc; ++o) {
      for (int64_t at = 0; at < out * out; ++at) {
        int64_t sum = 0;
        for (int64_t tap = 0; tap < icg * c.kernel * c.kernel; ++tap) {
          const int64_t i = tap / (c.kernel * c.kernel), kh = tap / c.kernel % c.kernel, kw = tap % c.kernel;
          const int64_t h = at / out * c.stride + kh - c.pad, v = at % out * c.stride + kw - c.pad;
          if (h < 0 || v < 0 || h >= c.size || v >= c.size) continue;
          const int64_t channel = o / ocg * icg + i;
          sum += dx.level(x.as_double(((n * c.ic + channel) * c.size + h) * c.size + v)) *
                 dw.level(w.as_double(o * icg * c.kernel * c.kernel + tap));
        }
        y.push_back(static_cast<double>(sum) * dx.step() * dw.step() + bias.as_double(o));
      }
    }
  }
  return y;
}

void expect_all_near(const Tensor& found, const std::vector<double>& expected, double tolerance) {
  ASSERT_EQ(static_cast<size_t>(found.size()), expected.size());
  double most = 0;
  for (const double value : expected) most = std::max(most, std::abs(value));
  for (int64_t i = 0; i < found.size(); ++i)
    ASSERT_NEAR(found.as_double(i), expected[static_cast<size_t>(i)], tolerance * most) << "at " << i;
}

Tensor planned(const Graph& graph, const Tensor& x) {
  Executor executor(graph, {});
  Tensor out(DType::kF32, {x.dim(0), executor.output_size()});
  executor.run_f32(x.data<float>().data(), x.dim(0), out.mutable_data<float>().data());
  return out;
}

class MluConvolution : public ::testing::TestWithParam<ConvCase> {};

TEST_P(MluConvolution, IsTheIntegersArithmetic) {
  const ConvCase& c = GetParam();
  NetBuilder net(7);
  const ValueId data = net.input(c.ic, c.size, c.size);
  NetBuilder::ConvOptions options;
  options.kernel = c.kernel;
  options.stride = c.stride;
  options.pad = c.pad;
  options.group = c.group;
  options.act = ActKind::kNone;
  net.graph.set_outputs({net.conv(data, c.ic, c.oc, options)});
  Graph& graph = net.graph;
  Tensor& weights = *graph.value(*graph.find_value("conv1.w")).constant;
  if (c.dead) {
    for (float& w : weights.mutable_data<float>()) w = 0;
  }
  infer_shapes(graph);
  const Tensor x = net.random({c.n, c.ic, c.size, c.size}, 3);
  const auto range = static_cast<float>(absmax_of(x) * c.input_range);

  const std::vector<double> expected =
      integer_conv(x, weights, graph.constant(*graph.find_value("conv1.b")), c, static_cast<double>(range));
  const Graph chip = simulate_mlu(graph, mlu_layers(graph, {{"data", range}}));
  expect_all_near(run_reference(chip, std::span(&x, 1)).front(), expected, 1e-6);
  expect_all_near(planned(chip, x), expected, 1e-5);
  if (c.dead) return;
  // It would not do to leave the graph as it was.
  const Tensor plain = run_reference(graph, std::span(&x, 1)).front();
  double difference = 0;
  for (int64_t i = 0; i < plain.size(); ++i)
    difference = std::max(difference, std::abs(plain.as_double(i) - expected[static_cast<size_t>(i)]));
  EXPECT_GT(difference, 1e-3);
}

INSTANTIATE_TEST_SUITE_P(Cases, MluConvolution,
                         ::testing::Values(ConvCase{}, ConvCase{.kernel = 1, .pad = 0},
                                           ConvCase{.stride = 2, .group = 2}, ConvCase{.oc = 4, .group = 4},
                                           ConvCase{.dead = true}, ConvCase{.input_range = 0.3},
                                           ConvCase{.n = 1, .ic = 1}, ConvCase{.input_range = 100}));

TEST(MluSimulation, InnerProductTimesAlpha) {
  NetBuilder net(3);
  const ValueId data = net.graph.add_input("data", DType::kF32, {kBatch, 20, 1, 1});
  const ValueId flat = net.add(OpType::kFlatten, FlattenAttrs{1}, {data});
  const Tensor w = net.random({20, 5}, 0.4F), bias = net.random({5}, 1), x = net.random({3, 20, 1, 1}, 2);
  GemmAttrs attrs;
  attrs.alpha = -0.75F;
  net.graph.set_outputs({net.add(OpType::kGemm, attrs,
                                 {flat, net.graph.add_constant("w", w), net.graph.add_constant("b", bias)})});
  infer_shapes(net.graph);
  const HandDtype dx(2.5), dw(static_cast<double>(0.75F * static_cast<float>(absmax_of(w))));
  std::vector<double> expected;
  for (int64_t n = 0; n < 3; ++n) {
    for (int64_t o = 0; o < 5; ++o) {
      int sum = 0;
      for (int64_t k = 0; k < 20; ++k)
        sum += dx.level(x.as_double(n * 20 + k)) * dw.level(-0.75 * w.as_double(k * 5 + o));
      expected.push_back(sum * dx.step() * dw.step() + bias.as_double(o));
    }
  }
  const Graph chip = simulate_mlu(net.graph, mlu_layers(net.graph, {{"Flatten1", 2.5F}}));
  expect_all_near(run_reference(chip, std::span(&x, 1)).front(), expected, 1e-6);
  expect_all_near(planned(chip, x), expected, 1e-5);
}

TEST(MluSimulation, LayersOfOneInputShareItsLevels) {
  NetBuilder net(5);
  const ValueId data = net.input(3, 6, 6);
  const ValueId a = net.conv(data, 3, 4, {});
  const ValueId b = net.conv(data, 3, 4, {.residual = a, .act = ActKind::kNone});
  net.graph.set_outputs({b});
  infer_shapes(net.graph);
  MluLayers layers = mlu_layers(net.graph, {{"data", 1.0F}});
  const auto quantizers = [&] {
    const Graph chip = simulate_mlu(net.graph, layers);
    int count = 0;
    for (const NodeId id : chip.order()) count += chip.node(id).type == OpType::kQuantizeLinear;
    return count;
  };
  EXPECT_EQ(quantizers(), 1);
  layers.begin()->second.bottom.scale = 1.5F;
  EXPECT_EQ(quantizers(), 2);
  // Layers without an entry stay in floating point.
  layers.erase(layers.begin());
  EXPECT_EQ(quantizers(), 1);
  // The file may leave the weights to the rule.
  const auto run = [&] {
    const Tensor x = NetBuilder(9).random({1, 3, 6, 6}, 1);
    return run_reference(simulate_mlu(net.graph, layers), std::span(&x, 1)).front();
  };
  const Tensor with = run();
  layers.begin()->second.weights.reset();
  const Tensor without = run();
  for (int64_t i = 0; i < with.size(); ++i) ASSERT_EQ(with.as_double(i), without.as_double(i));
}

TEST(MluSimulation, TinyRangesAreZeros) {
  NetBuilder net(5);
  net.graph.set_outputs({net.conv(net.input(3, 6, 6), 3, 4, {.act = ActKind::kNone})});
  infer_shapes(net.graph);
  const Tensor x = net.random({1, 3, 6, 6}, 1e-42F);
  const Graph chip = simulate_mlu(net.graph, mlu_layers(net.graph, {{"data", 1e-42F}}));
  const Tensor found = run_reference(chip, std::span(&x, 1)).front();
  const Tensor& bias = net.graph.constant(*net.graph.find_value("conv1.b"));
  for (int64_t i = 0; i < found.size(); ++i)
    ASSERT_FLOAT_EQ(found.data<float>()[static_cast<size_t>(i)],
                    bias.data<float>()[static_cast<size_t>(i / 36)]);
}

}  // namespace
}  // namespace xdn::testing
