#include "pruning/select.h"

#include <cmath>

#include "base/error.h"
#include "pruning/importance.h"
#include "pruning/support.h"
#include "pruning/widths.h"
#include "support/nets.h"

namespace xdn::testing {
namespace {

using pruning::find_groups;
using pruning::Group;
using pruning::Groups;
using pruning::Ranking;
using pruning::select_units;
using pruning::Selection;
using pruning::SelectOptions;
using pruning::UnitId;

/// Two inner layers of 8 and 4 channels, of one role.
const char* const kTwoInner = R"(
graph "g" {
  input %x f32[N,2,3,3]
  const %wa f32[8,2,1,1] random(1)
  const %wb f32[4,8,1,1] random(2)
  const %wy f32[2,4,1,1] random(3)
  %a = Conv(%x, %wa) kernel=[1,1]
  %b = Conv(%a, %wb) kernel=[1,1]
  %y = Conv(%b, %wy) kernel=[1,1]
  output %y
})";

struct Case {
  Graph graph = parse_graph(kTwoInner);
  Groups groups = find_groups(graph);
  /// Of a, then of b.
  std::vector<double> scores{0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.15, 0.25, 1, 2};

  Selection select(const SelectOptions& options) const {
    return select_units(graph, groups, scores, options);
  }
};

std::vector<UnitId> units_of(const Selection& selection) {
  std::vector<UnitId> out;
  for (size_t u = 0; u < selection.removed.size(); ++u) {
    if (selection.removed[u]) out.push_back(static_cast<UnitId>(u));
  }
  return out;
}

SelectOptions share(Ranking ranking, double ratio) {
  SelectOptions options;
  options.ranking = ranking;
  options.ratio = ratio;
  return options;
}

TEST(Select, GlobalRankingTakesTheLeast) {
  const Case c;
  const Selection found = c.select(share(Ranking::kGlobal, 0.4));  // 4.8 of 12
  EXPECT_EQ(units_of(found), (std::vector<UnitId>{0, 1, 2, 8, 9}));
  EXPECT_EQ(found.units, 5);
  EXPECT_TRUE(found.reached);
  EXPECT_EQ(units_of(c.select(share(Ranking::kGlobal, 0))), (std::vector<UnitId>{}));
}

TEST(Select, PerLayerRankingTakesTheSameShareOfAll) {
  const Case c;
  EXPECT_EQ(units_of(c.select(share(Ranking::kPerLayer, 0.5))), (std::vector<UnitId>{0, 1, 2, 3, 8, 9}));
  EXPECT_EQ(units_of(c.select(share(Ranking::kPerLayer, 0.3))), (std::vector<UnitId>{0, 1, 8}));
}

TEST(Select, IsomorphicRankingComparesWithinARole) {
  Case c;
  // One role: as global, by share of the role.
  EXPECT_EQ(c.groups.groups[0].role, c.groups.groups[1].role);
  EXPECT_EQ(units_of(c.select(share(Ranking::kIsomorphic, 0.25))), (std::vector<UnitId>{0, 1, 8}));
  // Two roles: the same share of each.
  c.groups.groups[1].role = "another";
  EXPECT_EQ(units_of(c.select(share(Ranking::kIsomorphic, 0.5))), (std::vector<UnitId>{0, 1, 2, 3, 8, 9}));
}

TEST(Select, TiesGoToTheEarlierGroupAndUnit) {
  Case c;
  c.scores.assign(12, 1.0);
  EXPECT_EQ(units_of(c.select(share(Ranking::kGlobal, 0.25))), (std::vector<UnitId>{0, 1, 2}));
}

TEST(Select, WidthsAreChosenInMultiples) {
  Case c;
  SelectOptions options = share(Ranking::kGlobal, 0.25);
  options.granularity = {3, 4};
  // 8 goes to 6, 3, 0; 4 stays, for it would go to 0. 2 and then 3 units of a: 3 at least are wanted.
  EXPECT_EQ(units_of(c.select(options)), (std::vector<UnitId>{0, 1, 2, 3, 4}));
  options.ratio = 0.15;
  EXPECT_EQ(units_of(c.select(options)), (std::vector<UnitId>{0, 1}));
  // A portion counts as a whole: {0.1, 2} is worth more than {0.8, 0.9}.
  options.granularity = {2, 2};
  options.ratio = 2.0 / 12;
  c.scores = {0.1, 5, 5, 5, 5, 5, 5, 5, 0.8, 0.9, 1, 1};
  EXPECT_EQ(units_of(c.select(options)), (std::vector<UnitId>{8, 9}));
}

TEST(Select, NothingBecomesNarrowerThanTheLeastWidth) {
  const Case c;
  SelectOptions options = share(Ranking::kGlobal, 0.9);
  options.min_width = 3;
  const Selection found = c.select(options);
  EXPECT_EQ(units_of(found), (std::vector<UnitId>{0, 1, 2, 3, 4, 8}));
  EXPECT_FALSE(found.reached);
  options.min_width = 100;
  EXPECT_EQ(c.select(options).units, 0);
}

TEST(Select, MultiplyAccumulatesAsTheSmallerGraphHasThem) {
  const Case c;
  const int64_t all = graph_cost(c.graph).macs_effective;
  for (const int64_t target : {all, all * 3 / 4, all / 2, all / 5}) {
    SelectOptions options;
    options.macs_effective = target;
    const Selection found = c.select(options);
    EXPECT_TRUE(found.reached);
    EXPECT_LE(found.macs_effective, target);
    const Graph smaller = pruning::remove_channels(c.graph, c.groups, found.removed);
    EXPECT_EQ(graph_cost(smaller).macs_effective, found.macs_effective);
  }
  SelectOptions options;
  options.macs_effective = 1;
  EXPECT_FALSE(c.select(options).reached);
}

TEST(Select, GranularityOfTrunksAndOthers) {
  const Graph graph = make_resnet50(32, 10);
  const Groups groups = find_groups(graph);
  SelectOptions options;
  options.granularity = pruning::granularity_of(groups, 16, 32);
  options.macs_effective = graph_cost(graph).macs_effective / 4;
  options.min_width = 16;
  const std::vector<double> scores = importance(graph, groups, {});
  for (const Ranking ranking : {Ranking::kGlobal, Ranking::kPerLayer, Ranking::kIsomorphic}) {
    options.ranking = ranking;
    const Selection found = select_units(graph, groups, scores, options);
    EXPECT_TRUE(found.reached);
    for (const Group& group : groups.groups) {
      int64_t kept = 0;
      for (UnitId u = group.first_unit; u < group.end_unit(); ++u) {
        if (!found.removed[static_cast<size_t>(u)]) ++kept;
      }
      EXPECT_GE(kept, 16);
      EXPECT_EQ(kept % (group.trunk ? 32 : 16), 0) << describe(graph, group);
    }
    const Graph smaller = pruning::remove_channels(graph, groups, found.removed);
    EXPECT_EQ(graph_cost(smaller).macs_effective, found.macs_effective);
    EXPECT_EQ(units_of(select_units(graph, groups, scores, options)), units_of(found));
  }
}

TEST(Select, WidthsOfLayers) {
  const Case c;
  pruning::Widths widths(c.graph, c.groups);
  EXPECT_EQ(widths.macs_effective(), graph_cost(c.graph).macs_effective);
  widths.remove(0, 3);
  EXPECT_EQ(widths.remaining(0), 5);
  EXPECT_EQ(widths.width(*c.graph.find_value("wa"), 0), 5);
  EXPECT_EQ(widths.width(*c.graph.find_value("wb"), 1), 5);
  EXPECT_EQ(widths.macs_effective(c.graph.order()[1]), 5 * 4 * 9);
  EXPECT_TRUE(widths.can_remove(0, 4, 1));
  EXPECT_FALSE(widths.can_remove(0, 5, 1));
  EXPECT_FALSE(widths.can_remove(0, 6, 0));
}

TEST(Select, TheLeastOfEveryGroupForGivenWidths) {
  Case c;
  c.scores = {3, 1, 2, 2, 5, 6, 7, 8, 4, 3, 3, 3};
  EXPECT_EQ(remove_least(c.groups, c.scores, {5, 2}), (pruning::Removal{0, 1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 0}));
  EXPECT_EQ(remove_least(c.groups, c.scores, {8, 4}), remove_none(c.groups));
}

TEST(Select, OptionsThatMakeNoSense) {
  const Case c;
  EXPECT_THROW(c.select({}), Error);
  SelectOptions both = share(Ranking::kGlobal, 0.5);
  both.macs_effective = 7;
  EXPECT_THROW(c.select(both), Error);
  EXPECT_THROW(c.select(share(Ranking::kGlobal, 1)), Error);
  EXPECT_THROW(c.select(share(Ranking::kGlobal, -0.1)), Error);
  EXPECT_THROW(c.select(share(Ranking::kGlobal, std::nan(""))), Error);
  SelectOptions narrow = share(Ranking::kGlobal, 0.5);
  narrow.min_width = 0;
  EXPECT_THROW(c.select(narrow), Error);
  SelectOptions multiples = share(Ranking::kGlobal, 0.5);
  multiples.granularity = {1, 0};
  EXPECT_THROW(c.select(multiples), Error);
}

}  // namespace
}  // namespace xdn::testing
