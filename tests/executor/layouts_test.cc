// What a tuning record may ask of a plan changes how fast it is, and nothing else.
#include <gtest/gtest.h>

#include <map>

#include "base/error.h"
#include "executor/plan_support.h"
#include "executor/quantized_cases.h"
#include "support/nets.h"

namespace xdn::testing {
namespace {

constexpr int64_t kImages = 20;

/// Layers of one to several panels, grouped, strided, with a residual.
Graph float_net() {
  NetBuilder net(7);
  ValueId x = net.conv(net.input(3, 13, 11), 3, 24, {3, 2, 1});
  x = net.bottleneck(x, 24, 80, 144, 1);
  x = net.conv(x, 144, 144, {3, 1, 1, 3});
  return net.finish(net.classifier(x, 144, 10));
}

std::map<std::string, LayerLayout> layouts_of(const Executor& executor) {
  std::map<std::string, LayerLayout> layouts;
  for (const StepReport& step : executor.steps()) {
    if (step.layout.panel_vectors > 0) layouts[step.layer] = step.layout;
  }
  return layouts;
}

/// Every panel width in every loop order, in all layers, gives the bytes of the plan's own choice.
void expect_layouts_keep_results(const Graph& graph, ExecOptions options) {
  options.data_parallel = 1;
  const std::vector<float> input = random_input(graph, kImages, 3);
  for (const int mp : {1, 2}) {
    options.threads = options.model_parallel = mp;
    options.layouts.clear();
    Executor chosen(graph, options);
    const std::vector<float> want = run(chosen, input, kImages);
    const auto own = layouts_of(chosen);
    for (int panel = 1; panel <= 4; ++panel) {
      for (const LoopOrder order : {LoopOrder::kChosen, LoopOrder::kRowsOuter, LoopOrder::kPanelsOuter}) {
        for (const auto& [layer, layout] : own) options.layouts[layer] = {panel, order};
        Executor executor(graph, options);
        const std::vector<float> got = run(executor, input, kImages);
        ASSERT_TRUE(std::memcmp(got.data(), want.data(), got.size() * sizeof(float)) == 0)
            << isa_name(executor.settings().isa) << " mp " << mp << " panel " << panel;
        for (const auto& [layer, layout] : layouts_of(executor)) {
          EXPECT_LE(layout.panel_vectors, panel) << layer;
          if (order != LoopOrder::kChosen && layout.order != LoopOrder::kChosen) {
            EXPECT_EQ(layout.order, order);
          }
        }
      }
    }
  }
}

TEST(Layouts, KeepFloatResultsToTheBit) {
  const Graph graph = float_net();
  for (const Isa isa : present_isas()) {
    if (isa == Isa::kRef) continue;
    ExecOptions options;
    options.isa = isa;
    expect_layouts_keep_results(graph, options);
    options.fusion = FusionLevel::kAggressive;
    expect_layouts_keep_results(graph, options);
    options.precision = Precision::kBf16;
    expect_layouts_keep_results(graph, options);
  }
}

TEST(Layouts, KeepIntegerResultsToTheBit) {
  for (const QuantCase& quant : all_cases()) {
    SCOPED_TRACE(quant.name);
    expect_layouts_keep_results(quant.make().graph, {});
  }
}

TEST(Layouts, AreWhatWasAskedFor) {
  const Graph graph = float_net();
  ExecOptions options;
  options.threads = 1;
  const auto own = layouts_of(Executor(graph, options));
  ASSERT_GE(own.size(), 5u);
  const auto widest = [&] {
    for (const auto& [layer, layout] : own) {
      if (layout.order != LoopOrder::kChosen) return layer;
    }
    return std::string();
  }();
  ASSERT_NE(widest, "") << "no layer has several panels";
  for (const LoopOrder order : {LoopOrder::kRowsOuter, LoopOrder::kPanelsOuter}) {
    options.layouts = {{widest, {2, order}}, {"nobody", {3, order}}};
    auto got = layouts_of(Executor(graph, options));
    EXPECT_EQ(got[widest], (LayerLayout{2, order}));
    got[widest] = own.at(widest);
    EXPECT_EQ(got, own) << "other layers keep theirs";
  }
}

TEST(Layouts, OutOfRangeAreRefused) {
  ExecOptions options;
  for (const int panel : {-1, 5}) {
    options.layouts = {{"conv1", {panel, LoopOrder::kChosen}}};
    EXPECT_THROW(Executor(float_net(), options), Error) << panel;
  }
}

TEST(HugePages, OnOrOffChangeNoByte) {
  const Graph graph = make_resnet50(32, 10);  // weights of more than 2 MiB
  const std::vector<float> input = random_input(graph, 3, 1);
  ExecOptions options;
  options.threads = 1;
  const std::vector<float> want = run(graph, options, input, 3);
  options.huge_pages = false;
  Executor executor(graph, options);
  EXPECT_FALSE(executor.settings().huge_pages);
  EXPECT_EQ(run(executor, input, 3), want);
}

}  // namespace
}  // namespace xdn::testing
