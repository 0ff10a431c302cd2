// Random networks pruned at random: what is left is valid and computes what masking does, nothing is narrower
// than it may be, and what does not let go is kept and reported.
#include <map>

#include "executor/reference.h"
#include "fusion/pipeline.h"
#include "pruning/blocks.h"
#include "pruning/importance.h"
#include "pruning/plan.h"
#include "pruning/random_prunable.h"
#include "pruning/support.h"
#include "pruning/widths.h"
#include "support/random_graph.h"

namespace xdn::testing {
namespace {

using pruning::find_groups;
using pruning::Group;
using pruning::Groups;
using pruning::kNoUnit;
using pruning::Removal;

/// Filters of layers with constant weights that belong to a group, and that do not.
struct Filters {
  std::map<std::string, int64_t> free, kept;
};
Filters count_filters(const Graph& graph, const Groups& groups) {
  Filters out;
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    const bool weighted =
        node.type == OpType::kConv || node.type == OpType::kGemm || node.type == OpType::kMatMul;
    if (!weighted || !graph.is_constant(node.inputs[1])) continue;
    const size_t axis =
        node.type == OpType::kConv || (node.type == OpType::kGemm && node.as<GemmAttrs>().trans_b) ? 0 : 1;
    const auto units = groups.units_of(node.inputs[1], axis);
    for (int64_t i = 0; i < graph.value(node.inputs[1]).shape[axis]; ++i) {
      const bool free = !units.empty() && units[static_cast<size_t>(i)] != kNoUnit;
      ++(free ? out.free : out.kept)[layer_name(graph, node)];
    }
  }
  return out;
}

/// Whoever keeps filters stands in the report, with a reason; graph inputs and outputs have no units.
void expect_reported(const Graph& graph, const Groups& groups, const Filters& filters) {
  std::set<std::string> reported;
  for (const pruning::Kept& kept : groups.kept) {
    EXPECT_FALSE(kept.reason.empty());
    EXPECT_GT(kept.channels, 0);
    reported.insert(kept.layers.begin(), kept.layers.end());
  }
  for (const auto& [layer, count] : filters.kept)
    EXPECT_TRUE(reported.contains(layer)) << layer << " keeps " << count;
  for (const auto& ids : {graph.inputs(), graph.outputs()}) {
    for (const ValueId id : ids) {
      for (size_t axis = 0; axis < graph.value(id).shape.size(); ++axis)
        EXPECT_TRUE(groups.units_of(id, axis).empty()) << graph.value(id).name;
    }
  }
}

/// No axis of a unit is narrower than `least`, unless it was.
void expect_widths(const Graph& before, const Groups& groups, const Graph& after, int64_t least) {
  for (const Group& group : groups.groups) {
    for (const pruning::GroupAxis& axis : group.axes) {
      const Value& value = before.value(axis.value);
      const int64_t width = after.value(*after.find_value(value.name)).shape[axis.axis];
      EXPECT_GE(width, std::min(least, value.shape[axis.axis])) << value.name;
    }
  }
}

struct Totals {
  int graphs = 0, removed = 0, groups = 0;
  std::set<std::string> parts;
};

void prune_at_random(const Graph& graph, uint64_t seed, Totals& totals) {
  const Groups groups = find_groups(graph);
  expect_reported(graph, groups, count_filters(graph, groups));
  const int64_t least = seed % 3 == 0 ? 2 : 1;
  const Removal removed = random_removal(graph, groups, seed % 2 == 0 ? 30 : 70, seed, least);
  const Graph smaller = expect_masked_equals_removed(graph, groups, removed);
  if (::testing::Test::HasFailure()) return;
  expect_widths(graph, groups, smaller, least);

  pruning::SelectOptions options;
  options.ranking = static_cast<pruning::Ranking>(seed % 3);
  options.ratio = 0.4;
  options.min_width = least;
  const std::vector<double> scores = importance(graph, groups, {});
  const pruning::Selection chosen = select_units(graph, groups, scores, options);
  const Graph selected = pruning::remove_channels(graph, groups, chosen.removed);
  EXPECT_EQ(graph_cost(selected).macs_effective, chosen.macs_effective);
  expect_widths(graph, groups, selected, least);
  const pruning::Plan plan{{plan_step(graph, groups, chosen.removed, scores)}};
  EXPECT_EQ(print(apply_plan(graph, pruning::parse_plan(pruning::to_json(plan)))), print(selected));

  ++totals.graphs;
  totals.groups += static_cast<int>(groups.groups.size());
  for (const bool goes : removed) totals.removed += goes ? 1 : 0;
}

/// As prune_at_random for graphs that have been fused, too.
void check_seeds(uint64_t first, uint64_t last, bool aggressive) {
  Totals totals;
  for (uint64_t seed = first; seed < last && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomPrunable random(seed);
    Graph graph = random.make();
    totals.parts.insert(random.parts().begin(), random.parts().end());
    if (aggressive) {
      FuseOptions options;
      options.forced = {"reserve_and_merge", "merge_projection", "dirac_shortcut"};
      run_passes(graph, aggressive_passes(), options);
    }
    prune_at_random(graph, seed, totals);
  }
  EXPECT_EQ(totals.graphs, static_cast<int>(last - first));
  EXPECT_GT(totals.groups, 2 * totals.graphs);
  EXPECT_GT(totals.removed, 4 * totals.graphs);
  EXPECT_EQ(totals.parts.size(), 18u);  // every kind of block and tail
}

/// The graph with what the block's branch gives multiplied by 0.
Graph silenced(const Graph& graph, const pruning::Block& block) {
  Graph out = graph;
  const ValueId zero = out.add_constant("zero", Tensor::scalar(0.0f));
  if (out.node(block.sum).type == OpType::kAdd) {
    const ValueId branch = out.node(block.sum).inputs[1 - block.shortcut];
    const NodeId mul = out.add_node(OpType::kMul, NoAttrs{}, "silence", {branch, zero}, "silence", block.sum);
    out.node(block.sum).inputs[1 - block.shortcut] = out.output_of(mul);
  } else {
    Node& conv = out.node(block.sum);
    conv.inputs[1] = out.add_constant("silence", Tensor(DType::kF32, out.value(conv.inputs[1]).shape));
    conv.inputs[2] = kNoValue;
  }
  infer_shapes(out);
  return out;
}

TEST(PruningProperty, OfRandomBlocks) {
  int blocks = 0, convs = 0;
  for (uint64_t seed = 0; seed < 300 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Graph graph = seed % 2 == 0 ? RandomPrunable(seed).make() : RandomGraph(seed).make();
    for (const pruning::Block& block : pruning::find_blocks(graph)) {
      const Graph left = pruning::remove_blocks(graph, {block});
      EXPECT_LT(left.order().size(),
                graph.order().size() + (graph.node(block.sum).type == OpType::kAdd ? 0 : 1));
      const std::vector<Tensor> images = random_images(graph);
      const std::vector<Tensor> a = run_reference(left, images),
                                b = run_reference(silenced(graph, block), images);
      for (size_t o = 0; o < a.size(); ++o) {
        for (int64_t i = 0; i < a[o].size(); ++i)
          EXPECT_EQ(a[o].as_double(i), b[o].as_double(i)) << block.name;
      }
      ++blocks;
      convs += graph.node(block.sum).type == OpType::kConv ? 1 : 0;
    }
  }
  EXPECT_GT(blocks, 200);
  EXPECT_GT(convs, 20);
}

TEST(PruningProperty, OfRandomNetworks) { check_seeds(0, 400, false); }
TEST(PruningProperty, OfRandomNetworksAfterAggressiveFusion) { check_seeds(400, 550, true); }

TEST(PruningProperty, OfRandomResidualGraphs) {
  Totals totals;
  for (uint64_t seed = 0; seed < 200 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    prune_at_random(RandomGraph(seed).make(), seed, totals);
  }
  EXPECT_EQ(totals.graphs, 200);
  EXPECT_GT(totals.removed, totals.graphs);
}

}  // namespace
}  // namespace xdn::testing
