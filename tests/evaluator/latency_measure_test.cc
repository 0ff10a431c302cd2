#include "evaluator/latency_measure.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "evaluator/step_layers.h"
#include "pruning/width_variants.h"
#include "quantization/quantize.h"
#include "support/nets.h"

namespace xdn::testing {
namespace {

using pruning::find_groups;
using pruning::Groups;
using pruning::LatencyTable;

/// A stem, a bottleneck with a projection and one without.
Graph small_net() {
  NetBuilder net(1);
  ValueId x = net.conv(net.input(3, 16, 16), 3, 32, {3, 1, 1});
  x = net.bottleneck(x, 32, 64, 128, 2);
  x = net.bottleneck(x, 128, 64, 128, 1);
  return net.finish(net.classifier(x, 128, 10));
}

/// As float models come: sums and activations are nodes of their own, which quantization needs.
Graph small_unfused_net() {
  NetBuilder net(1);
  const auto conv = [&](ValueId x, int64_t in, int64_t out, int64_t kernel) {
    return net.conv(x, in, out, {kernel, 1, kernel / 2, 1, 1, kNoValue, ActKind::kNone});
  };
  const auto relu = [&](ValueId x) { return net.add(OpType::kRelu, NoAttrs{}, {x}); };
  ValueId x = relu(conv(net.input(3, 8, 8), 3, 32, 3));
  const ValueId branch = conv(relu(conv(x, 32, 32, 3)), 32, 64, 1);
  x = relu(net.add(OpType::kAdd, NoAttrs{}, {branch, conv(x, 32, 64, 1)}));
  return net.finish(net.classifier(x, 64, 10));
}

LatencyMeasureOptions small_options() {
  LatencyMeasureOptions options;
  options.exec.threads = 1;
  options.batch = 8;
  options.rounds = 5;
  options.levels = {1, 0.5, 0.25};
  return options;
}

std::vector<int64_t> share_of_units(const Groups& groups, int64_t divisor) {
  std::vector<int64_t> remaining;
  for (const pruning::Group& group : groups.groups) remaining.push_back(group.units / divisor);
  return remaining;
}

/// Whatever the machine does meanwhile: every layer is known, nothing is negative, a network with an eighth
/// of the multiply-accumulates or less is predicted to be faster.
void expect_sound(const Graph& graph, LatencyMeasureOptions options) {
  const Groups groups = find_groups(graph);
  std::atomic<int64_t> done{0};
  options.done = &done;
  const LatencyTable table = measure_latency_table(graph, groups, options);
  EXPECT_EQ(done.load(), measurements(graph, groups, options));
  table.check(graph);
  EXPECT_GT(table.fixed_seconds(), 0);
  for (const pruning::LatencyShape& shape : table.data().shapes) {
    for (const std::string& layer : shape.layers) {
      for (const int64_t in : {1, 16, 40, 64, 300}) {
        for (const int64_t out : {1, 16, 40, 64, 300})
          EXPECT_GE(table.layer_seconds(layer, in, out), 0) << layer << ' ' << in << ' ' << out;
      }
    }
  }
  const auto cut_to = [&](int64_t divisor) {
    return remove_channels(graph, groups, pruning::keep_first(groups, share_of_units(groups, divisor)));
  };
  EXPECT_GT(table.predict(cut_to(4)), 0);
  EXPECT_GT(table.predict(graph), table.predict(cut_to(4)));
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (node.type != OpType::kConv) continue;
    const auto widths = pruning::layer_widths(graph, node);
    EXPECT_GT(table.layer_seconds(node.name, widths.in, widths.out), 0) << node.name;
  }
}

TEST(LatencyMeasure, Fp32) { expect_sound(small_net(), small_options()); }

TEST(LatencyMeasure, Bf16) {
  LatencyMeasureOptions options = small_options();
  options.exec.precision = Precision::kBf16;
  expect_sound(small_net(), options);
}

TEST(LatencyMeasure, LayersInsideOthersSteps) {
  LatencyMeasureOptions options = small_options();
  options.exec.fusion = FusionLevel::kAggressive;
  expect_sound(small_unfused_net(), options);
}

TEST(LatencyMeasure, Quantized) {
  LatencyMeasureOptions options = small_options();
  options.prepare = quantized_for_timing;
  expect_sound(small_unfused_net(), options);
  const Graph graph = small_unfused_net();
  EXPECT_EQ(measure_latency_table(graph, find_groups(graph), options).data().precision, "int8");
}

TEST(LatencyMeasure, EqualLayersShareAShape) {
  NetBuilder net(1);
  ValueId x = net.conv(net.input(3, 8, 8), 3, 32, {3, 1, 1});
  for (int block = 0; block < 3; ++block) x = net.bottleneck(x, 32, 16, 32, 1);
  const Graph graph = net.finish(net.classifier(x, 32, 10));
  const LatencyTable table = measure_latency_table(graph, find_groups(graph), small_options());
  const auto& shapes = table.data().shapes;
  const auto found = std::find_if(shapes.begin(), shapes.end(), [](const auto& shape) {
    return std::find(shape.layers.begin(), shape.layers.end(), "conv3") != shape.layers.end();
  });
  ASSERT_NE(found, shapes.end());
  EXPECT_EQ(found->layers, (std::vector<std::string>{"conv3", "conv6", "conv9"}));
}

TEST(LatencyMeasure, RefusesTheOracle) {
  LatencyMeasureOptions options = small_options();
  options.exec.isa = Isa::kRef;
  const Graph graph = small_net();
  EXPECT_THROW((void)measure_latency_table(graph, find_groups(graph), options), Error);
}

StepReport step(const std::string& layer) {
  StepReport report;
  report.layer = layer;
  return report;
}

TEST(StepLayers, FindsWhoseTimeAStepIs) {
  const Graph graph = small_unfused_net();
  const LayerMap map(graph);
  const auto place = [&](const std::string& name) {
    for (size_t i = 0; i < graph.order().size(); ++i) {
      if (graph.node(graph.order()[i]).name == name) return i;
    }
    return graph.order().size();
  };
  std::vector<std::string> convs;
  for (const NodeId id : graph.order()) {
    if (graph.node(id).type == OpType::kConv) convs.push_back(graph.node(id).name);
  }
  ASSERT_EQ(convs.size(), 4u);
  const std::string sum = [&] {
    for (const NodeId id : graph.order()) {
      if (graph.node(id).type == OpType::kAdd) return graph.node(id).name;
    }
    return std::string();
  }();
  const StepLayers layers =
      map.layers_of({step("data"), step(convs[0]), step(convs[1]), step("nobody knows"), step(sum)});
  EXPECT_TRUE(layers.parts[0].empty()) << "the input is no layer's";
  ASSERT_EQ(layers.parts[1].size(), 1u);
  EXPECT_EQ(layers.parts[1][0].layer, place(convs[0]));
  for (const size_t s : {3u, 4u}) {
    ASSERT_EQ(layers.parts[s].size(), 2u) << "both convolutions of the sum";
    EXPECT_EQ(layers.parts[s][0].layer, place(convs[2]));
    EXPECT_EQ(layers.parts[s][1].layer, place(convs[3]));
    EXPECT_DOUBLE_EQ(layers.parts[s][0].share, 0.5);
    EXPECT_DOUBLE_EQ(layers.parts[s][1].share, 0.5);
  }
}

TEST(StepLayers, NamesShapes) {
  const Graph graph = small_net();
  EXPECT_EQ(shape_key(graph, graph.node(graph.order()[0])), "Conv 3x3 padded 1x1 3x16x16 -> 32x16x16");
  EXPECT_EQ(kernel_additions("brgemm_i8 6x64 +conv +residual"), " +conv +residual");
  EXPECT_EQ(kernel_additions("max_pool"), "");
}

}  // namespace
}  // namespace xdn::testing
