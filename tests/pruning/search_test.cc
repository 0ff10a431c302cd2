#include "pruning/search.h"

#include "pruning/importance.h"
#include "pruning/support.h"
#include "support/nets.h"

namespace xdn::testing {
namespace {

using pruning::find_groups;
using pruning::Groups;
using pruning::NodeCostOf;
using pruning::plan_by_search;
using pruning::search_widths;
using pruning::SearchOptions;
using pruning::SearchResult;
using pruning::Widths;

/// A stem of 8 channels and two residual branches with 8 inner channels each.
const char* const kTwoBlocks = R"(
graph "g" {
  input %x f32[N,2,3,3]
  const %ws f32[8,2,1,1] random(1)
  const %w1 f32[8,8,3,3] random(2)
  const %w2 f32[8,8,3,3] random(3)
  const %w3 f32[8,8,3,3] random(4)
  const %w4 f32[8,8,3,3] random(5)
  const %wy f32[2,8,1,1] random(6)
  %s = Conv(%x, %ws) kernel=[1,1]
  %a = Conv(%s, %w1) kernel=[3,3] pads_begin=[1,1] pads_end=[1,1]
  %b = Conv(%a, %w2) kernel=[3,3] pads_begin=[1,1] pads_end=[1,1]
  %t = Add(%s, %b)
  %c = Conv(%t, %w3) kernel=[3,3] pads_begin=[1,1] pads_end=[1,1]
  %d = Conv(%c, %w4) kernel=[3,3] pads_begin=[1,1] pads_end=[1,1]
  %u = Add(%t, %d)
  %y = Conv(%u, %wy) kernel=[1,1]
  output %y
})";

struct Case {
  Graph graph = parse_graph(kTwoBlocks);
  Groups groups = find_groups(graph);
  std::vector<double> scores = std::vector<double>(static_cast<size_t>(groups.unit_count()), 1);
  NodeCostOf cost = pruning::macs_cost()(graph);

  size_t group_of(const std::string& layer) const {
    for (size_t g = 0; g < groups.groups.size(); ++g) {
      for (const std::string& name : pruning::producer_names(graph, groups.groups[g])) {
        if (name == layer) return g;
      }
    }
    ADD_FAILURE() << "no group of " << layer;
    return 0;
  }
  void set_scores(const std::string& layer, double score) {
    const auto& group = groups.groups[group_of(layer)];
    for (auto unit = group.first_unit; unit < group.end_unit(); ++unit)
      scores[static_cast<size_t>(unit)] = score;
  }
  SearchResult search(double target, SearchOptions options = {}) const {
    options.target = target;
    return search_widths(graph, groups, scores, cost, options);
  }
  double whole() const { return static_cast<double>(graph_cost(graph).macs_effective); }
};

TEST(SearchWidths, KeepsEverythingAtTheWholeCost) {
  const Case c;
  const SearchResult found = c.search(c.whole());
  EXPECT_TRUE(found.reached);
  EXPECT_EQ(found.loss, 0);
  EXPECT_TRUE(found.blocks.empty());
  EXPECT_EQ(found.remaining, (std::vector<int64_t>{8, 8, 8}));
}

TEST(SearchWidths, TakesFromTheGroupThatIsWorthLess) {
  Case c;
  c.set_scores("a", 0.01);
  SearchOptions options;
  options.blocks = false;
  const SearchResult found = c.search(0.8 * c.whole(), options);
  EXPECT_TRUE(found.reached);
  EXPECT_LE(found.cost, 0.8 * c.whole());
  EXPECT_LT(found.remaining[c.group_of("a")], 8);
  EXPECT_EQ(found.remaining[c.group_of("c")], 8);
  EXPECT_EQ(found.remaining[c.group_of("s")], 8);
}

TEST(SearchWidths, LossIsTheSumOfTheScoresThatGo) {
  Case c;
  for (size_t u = 0; u < c.scores.size(); ++u) c.scores[u] = 1 + 0.25 * static_cast<double>(u % 5);
  SearchOptions options;
  options.blocks = false;
  const SearchResult found = c.search(0.5 * c.whole(), options);
  const auto removed = pruning::remove_least(c.groups, c.scores, found.remaining);
  double loss = 0;
  for (size_t u = 0; u < removed.size(); ++u) loss += removed[u] ? c.scores[u] : 0;
  EXPECT_NEAR(found.loss, loss, 1e-9);
  const Graph pruned = pruning::remove_channels(c.graph, c.groups, removed);
  EXPECT_EQ(found.cost, static_cast<double>(graph_cost(pruned).macs_effective));
}

TEST(SearchWidths, LeavesTrunksWhereTold) {
  Case c;
  c.set_scores("s", 1e-6);
  SearchOptions options;
  options.trunks = options.blocks = false;
  const SearchResult found = c.search(0.5 * c.whole(), options);
  EXPECT_EQ(found.remaining[c.group_of("s")], 8);
  EXPECT_TRUE(found.reached);
}

TEST(SearchWidths, DropsABlockThatIsWorthLittle) {
  Case c;
  c.set_scores("c", 1e-6);
  const SearchResult found = c.search(0.53 * c.whole());
  EXPECT_EQ(found.blocks, std::vector<std::string>{"u"});
  EXPECT_TRUE(found.reached);
  SearchOptions options;
  options.keep = {"d"};
  EXPECT_TRUE(c.search(0.53 * c.whole(), options).blocks.empty());
}

TEST(SearchWidths, StaysAboveLeastWidthsAndInMultiples) {
  const Case c;
  SearchOptions options;
  options.blocks = false;
  options.min_width = 3;
  options.inner = 4;
  options.trunk = 2;
  const SearchResult found = c.search(0, options);
  EXPECT_FALSE(found.reached);
  EXPECT_EQ(found.remaining[c.group_of("s")], 4);
  EXPECT_EQ(found.remaining[c.group_of("a")], 4);
  EXPECT_EQ(found.remaining[c.group_of("c")], 4);
}

/// A kernel whose time falls in steps of four channels: the first three bring nothing.
TEST(SearchWidths, CrossesAStepOfTime) {
  Case c;
  c.cost = [graph = c.graph](NodeId node, const Widths& widths) {
    const int64_t out = widths.width(graph.node(node).output, 1);
    return graph.node(node).type == OpType::kConv ? static_cast<double>((out + 3) / 4) : 0.0;
  };
  SearchOptions options;
  options.blocks = false;
  // Convolutions of 8, 8, 8, 8, 8 and 2 channels: 11 steps.
  const SearchResult found = c.search(9, options);
  EXPECT_TRUE(found.reached);
  EXPECT_LE(found.cost, 9);
}

TEST(SearchWidths, ReturnsWhatFitsUnderTheTarget) {
  Case c;
  SearchOptions options;
  options.blocks = false;
  for (const double share : {0.3, 0.45, 0.6, 0.75, 0.9}) {
    const SearchResult found = c.search(share * c.whole(), options);
    ASSERT_TRUE(found.reached);
    for (size_t g = 0; g < found.remaining.size(); ++g) {
      if (found.remaining[g] == c.groups.groups[g].units) continue;
      Widths widths(c.graph, c.groups);
      for (size_t other = 0; other < found.remaining.size(); ++other)
        widths.remove(other, c.groups.groups[other].units - found.remaining[other] - (other == g ? 1 : 0));
      EXPECT_GT(static_cast<double>(widths.macs_effective()), share * c.whole());
    }
  }
}

/// Seconds that grow with what is read and written, and a constant for the rest.
pruning::LatencyTable table_of(const Graph& graph) {
  pruning::LatencyData data;
  data.structure = pruning::structure_digest(graph);
  data.precision = "fp32";
  data.isa = "avx2";
  data.fusion = "traditional";
  data.fixed = 0.5;
  for (const char* layer : {"s", "a", "b", "c", "d", "y"}) {
    pruning::LatencyShape shape{std::string("Conv of ") + layer, true, {layer}, {}};
    for (const int64_t in : {1, 2, 8}) {
      for (const int64_t out : {1, 2, 8})
        shape.points.push_back({in, out, 0.01 * static_cast<double>(in * out + out)});
    }
    data.shapes.push_back(std::move(shape));
  }
  return pruning::LatencyTable(std::move(data));
}

TEST(CostModel, ATableAddsUpToItsPrediction) {
  const Case c;
  const pruning::LatencyTable table = table_of(c.graph);
  const pruning::CostModel cost = pruning::latency_cost(table);
  EXPECT_NEAR(pruning::total_cost(c.graph, cost) + table.fixed_seconds(), table.predict(c.graph), 1e-12);
  const auto scores = [](const Graph& graph, const Groups& groups) {
    return pruning::importance(graph, groups, {});
  };
  SearchOptions options;
  options.target = 0.4 * table.predict(c.graph) - table.fixed_seconds();
  const auto found = plan_by_search(c.graph, scores, cost, options);
  EXPECT_TRUE(found.reached);
  const Graph pruned = pruning::apply_step(c.graph, found.step);
  EXPECT_NEAR(found.cost + table.fixed_seconds(), table.predict(pruned), 1e-12);
  EXPECT_LE(table.predict(pruned), 0.4 * table.predict(c.graph) + 1e-12);
}

TEST(PlanBySearch, ReplaysToTheCostItPromises) {
  const Case c;
  const auto scores = [](const Graph& graph, const Groups& groups) {
    return pruning::importance(graph, groups, {});
  };
  SearchOptions options;
  options.inner = 2;
  for (const double share : {0.15, 0.4, 0.7}) {
    options.target = share * c.whole();
    const auto found = plan_by_search(c.graph, scores, pruning::macs_cost(), options);
    EXPECT_TRUE(found.reached);
    const Graph pruned = pruning::apply_step(c.graph, found.step);
    EXPECT_EQ(static_cast<double>(graph_cost(pruned).macs_effective), found.cost);
  }
}

}  // namespace
}  // namespace xdn::testing
