// The shared networks: what they are made of, and that they can lose it.
#include <algorithm>
#include <map>

#include "base/error.h"
#include "formats/model_io.h"
#include "fusion/pipeline.h"
#include "pruning/blocks.h"
#include "pruning/importance.h"
#include "pruning/plan.h"
#include "pruning/support.h"
#include "support/shared_data.h"

namespace xdn::testing {
namespace {

using pruning::find_groups;
using pruning::Group;
using pruning::Groups;

class SharedModelPruning : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!models_) GTEST_SKIP() << "skipped: no shared models";
  }
  Graph load(const std::string& folder, const std::string& file, const std::string& weights = "") const {
    const std::string at = (*models_ / folder).string() + "/";
    return load_model(at + file + (weights.empty() ? "" : ":" + at + weights));
  }
  Graph load_resnet50() const { return load("resnet50-cifar10", "resnet50.prototxt", "resnet50.caffemodel"); }

  const std::optional<std::filesystem::path> models_ = models_dir();
};

/// Widths of trunks, in order, and how many inner groups of which width there are.
struct Shape {
  std::vector<int32_t> trunks;
  std::map<int32_t, int> inner;
};
Shape shape_of(const Groups& groups) {
  Shape out;
  for (const Group& group : groups.groups) {
    if (group.trunk) {
      out.trunks.push_back(group.units);
    } else {
      ++out.inner[group.units];
    }
  }
  return out;
}

/// Removes a share of every group by its weights: masked equals removed, and the plan makes the same again.
Graph prune(const Graph& graph, const Groups& groups, double ratio) {
  const std::vector<double> scores = importance(graph, groups, {});
  pruning::SelectOptions options;
  options.ranking = pruning::Ranking::kPerLayer;
  options.ratio = ratio;
  const pruning::Selection chosen = select_units(graph, groups, scores, options);
  EXPECT_TRUE(chosen.reached);
  const Graph smaller = expect_masked_equals_removed(graph, groups, chosen.removed);
  expect_zero_channels(graph, groups, chosen.removed);
  EXPECT_EQ(graph_cost(smaller).macs_effective, chosen.macs_effective);
  const pruning::Plan plan{{plan_step(graph, groups, chosen.removed, scores)}};
  const Graph again = apply_plan(graph, pruning::parse_plan(pruning::to_json(plan)));
  EXPECT_EQ(print(again), print(smaller));
  return smaller;
}

void expect_only_ends_kept(const Groups& groups, const std::string& input, const std::string& output) {
  ASSERT_EQ(groups.kept.size(), 2u);
  EXPECT_EQ(groups.kept[0].reason, "graph input '" + input + "'");
  EXPECT_EQ(groups.kept[0].channels, 3);
  EXPECT_EQ(groups.kept[1].channels, 10);
  EXPECT_EQ(groups.kept[1].at.empty() ? groups.kept[1].reason : groups.kept[1].at, output);
}

TEST_F(SharedModelPruning, Resnet50HasFourTrunks) {
  const Graph graph = load_resnet50();
  const Groups groups = find_groups(graph);
  const Shape shape = shape_of(groups);
  EXPECT_EQ(shape.trunks, (std::vector<int32_t>{256, 512, 1024, 2048}));
  // Two per block, and the stem's 64.
  EXPECT_EQ(shape.inner, (std::map<int32_t, int>{{64, 7}, {128, 8}, {256, 12}, {512, 6}}));
  EXPECT_EQ(pruning::find_blocks(graph).size(), 12u);
}

TEST_F(SharedModelPruning, Resnet50WithoutAThirdOfAllChannels) {
  const Graph graph = load_resnet50();
  const Groups groups = find_groups(graph);
  const Graph smaller = prune(graph, groups, 0.3);
  const double left = static_cast<double>(graph_cost(smaller).macs_effective) /
                      static_cast<double>(graph_cost(graph).macs_effective);
  EXPECT_GT(left, 0.45);
  EXPECT_LT(left, 0.55);  // 0.7 squared, but for the stem and the classifier
}

TEST_F(SharedModelPruning, Resnet50ByEveryCriterion) {
  const Graph graph = load_resnet50();
  const Groups groups = find_groups(graph);
  std::vector<std::vector<double>> all;
  for (const auto criterion : {pruning::Criterion::kL1, pruning::Criterion::kL2, pruning::Criterion::kFpgm,
                               pruning::Criterion::kBnScale, pruning::Criterion::kRandom}) {
    pruning::ImportanceOptions options;
    options.criterion = criterion;
    all.push_back(importance(graph, groups, options));
    for (const Group& group : groups.groups) {
      double mean = 0;
      for (auto unit = group.first_unit; unit < group.end_unit(); ++unit)
        mean += all.back()[static_cast<size_t>(unit)] / group.units;
      EXPECT_NEAR(mean, 1, 1e-9) << describe(graph, group);
    }
  }
  std::sort(all.begin(), all.end());
  EXPECT_EQ(std::unique(all.begin(), all.end()), all.end());
}

TEST_F(SharedModelPruning, FoldedScoresAreThoseOfTheFoldedModel) {
  const Graph graph = load_resnet50();
  Graph folded = graph;
  run_passes(folded, traditional_passes());
  const Groups groups = find_groups(graph), folded_groups = find_groups(folded);
  ASSERT_EQ(groups.unit_count(), folded_groups.unit_count());
  const std::vector<double> a = importance(graph, groups, {}), b = importance(folded, folded_groups, {});
  for (size_t u = 0; u < a.size(); ++u) EXPECT_NEAR(a[u], b[u], 1e-5) << u;
}

TEST_F(SharedModelPruning, Resnet56HasOneTrunkInThreeWidths) {
  const Graph graph = load("resnet56-cifar10", "resnet56.onnx");
  const Groups groups = find_groups(graph);
  const Shape shape = shape_of(groups);
  // Stage 1's 16 channels go on as a window of 32, and these as a window of 64.
  EXPECT_EQ(shape.trunks, (std::vector<int32_t>{16, 16, 32}));
  EXPECT_EQ(shape.inner, (std::map<int32_t, int>{{16, 9}, {32, 9}, {64, 9}}));
  EXPECT_EQ(pruning::find_blocks(graph).size(), 25u);  // of 27; two shortcuts are cut and padded
  prune(graph, groups, 0.3);
}

TEST_F(SharedModelPruning, Resnet20LosesBlocksAndChannels) {
  const Graph graph = load("resnet20-cifar10", "resnet20.onnx");
  const std::vector<pruning::Block> blocks = pruning::find_blocks(graph);
  ASSERT_EQ(blocks.size(), 7u);
  const Graph shallow = pruning::remove_blocks(graph, {blocks[1], blocks[4]});
  EXPECT_EQ(graph_cost(shallow).macs_effective,
            graph_cost(graph).macs_effective - blocks[1].macs_effective - blocks[4].macs_effective);
  const Groups groups = find_groups(shallow);
  expect_only_ends_kept(groups, "input", "graph output 'logits'");
  prune(shallow, groups, 0.5);
}

TEST_F(SharedModelPruning, Resnet20WithoutShortcutsLosesTheirChannelsOneByOne) {
  Graph graph = load("resnet20-cifar10", "resnet20.onnx");
  const auto residual_trunks = shape_of(find_groups(graph)).trunks;
  EXPECT_EQ(residual_trunks.size(), 3u);
  FuseOptions options;
  options.forced = {"reserve_and_merge"};
  run_passes(graph, aggressive_passes(), options);
  const Groups groups = find_groups(graph);
  int coupled = 0;
  for (const Group& group : groups.groups) coupled += group.producers.size() > 1 ? 1 : 0;
  EXPECT_EQ(coupled, 2);  // where the shortcut is cut and padded
  prune(graph, groups, 0.3);
}

TEST_F(SharedModelPruning, TheQuantizedResnet50IsRefused) {
  const Graph graph = load("resnet50-cifar10", "resnet50-qdq.onnx");
  try {
    find_groups(graph);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_FALSE(error.layer().empty());
    EXPECT_EQ(error.message(), "the model is quantized: prune the float model, then quantize it");
  }
}

}  // namespace
}  // namespace xdn::testing
