#include "pruning/width_variants.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "fusion/pipeline.h"
#include "pruning/latency_table.h"
#include "pruning/select.h"
#include "support/nets.h"
#include "training/architectures.h"

namespace xdn::testing {
namespace {

using pruning::find_groups;
using pruning::Groups;

const std::vector<double> kLevels{1, 0.75, 0.5, 0.25, 0.125};

/// Every dense convolution whose input and output are of different groups meets all pairs of their widths;
/// returns how many layers have as many pairs as there can be.
int expect_all_pairs(Graph graph) {
  (void)run_passes(graph, cleanup_passes());
  const Groups groups = find_groups(graph);
  const auto variants = width_variants(graph, groups, kLevels, pruning::granularity_of(groups, 4, 4));
  EXPECT_LE(variants.size(), kLevels.size() * kLevels.size());
  const std::vector<std::string> names = pruning::table_names(graph);
  std::vector<std::set<std::pair<int64_t, int64_t>>> pairs(names.size());
  for (const auto& remaining : variants) {
    const Graph cut = remove_channels(graph, groups, pruning::keep_first(groups, remaining));
    EXPECT_EQ(pruning::table_names(cut), names);
    for (size_t i = 0; i < names.size(); ++i) {
      const auto widths = pruning::layer_widths(cut, cut.node(cut.order()[i]));
      pairs[i].insert({widths.in, widths.out});
    }
  }
  int full = 0;
  for (size_t i = 0; i < names.size(); ++i) {
    const Node& node = graph.node(graph.order()[i]);
    if (node.type != OpType::kConv || node.as<ConvAttrs>().group > 1) continue;
    std::set<int64_t> in, out;
    for (const auto& [a, b] : pairs[i]) {
      in.insert(a);
      out.insert(b);
    }
    EXPECT_EQ(pairs[i].size(), in.size() * out.size()) << names[i];
    EXPECT_LE(in.size(), kLevels.size()) << names[i];
    full += pairs[i].size() == kLevels.size() * kLevels.size() ? 1 : 0;
  }
  return full;
}

Graph architecture(const std::string& name) { return training::build_architecture(name, {}); }

TEST(WidthVariants, CoverBottlenecks) { EXPECT_EQ(expect_all_pairs(architecture("resnet50")), 52); }
TEST(WidthVariants, CoverBasicBlocks) { EXPECT_EQ(expect_all_pairs(architecture("resnet18")), 19); }
TEST(WidthVariants, CoverProjections) { EXPECT_GE(expect_all_pairs(architecture("resnet20")), 12); }
TEST(WidthVariants, CoverInvertedResiduals) { EXPECT_GE(expect_all_pairs(architecture("mobilenetv2")), 30); }

/// Shortcuts padded with zeros: stage 2's trunk has stage 1's inside (He et al. 2015, option A).
TEST(WidthVariants, CoverPaddedShortcuts) {
  NetBuilder net(1);
  ValueId x = net.conv(net.input(3, 8, 8), 3, 32, {3, 1, 1});
  x = net.conv(net.conv(x, 32, 32, {3, 1, 1}), 32, 32, {3, 1, 1, 1, 1, x});
  const ValueId branch =
      net.conv(net.conv(x, 32, 64, {3, 1, 1}), 64, 64, {3, 1, 1, 1, 1, kNoValue, ActKind::kNone});
  PadAttrs pad;
  pad.begin = {0, 16, 0, 0};
  pad.end = {0, 16, 0, 0};
  x = net.add(OpType::kAdd, NoAttrs{}, {branch, net.add(OpType::kPad, pad, {x})});
  x = net.conv(net.conv(x, 64, 64, {3, 1, 1}), 64, 64, {3, 1, 1, 1, 1, x});
  EXPECT_GE(expect_all_pairs(net.finish(net.classifier(x, 64, 10))), 6);
}

TEST(WidthVariants, KeepsGranularityAndNarrowGroups) {
  NetBuilder net(1);
  ValueId x = net.conv(net.input(3, 8, 8), 3, 40, {});
  x = net.conv(x, 40, 8, {});
  const Graph graph = net.finish(net.classifier(x, 8, 10));
  const Groups groups = find_groups(graph);
  ASSERT_EQ(groups.groups.size(), 2u);
  std::set<int64_t> wide, narrow;
  for (const auto& remaining : width_variants(graph, groups, kLevels, {16, 16})) {
    wide.insert(remaining[0]);
    narrow.insert(remaining[1]);
  }
  EXPECT_EQ(wide, (std::set<int64_t>{16, 32, 40}));
  EXPECT_EQ(narrow, (std::set<int64_t>{8}));
}

TEST(WidthVariants, AreDifferent) {
  const Graph graph = architecture("resnet20");
  const Groups groups = find_groups(graph);
  auto variants = width_variants(graph, groups, kLevels, pruning::granularity_of(groups, 16, 16));
  EXPECT_TRUE(std::equal(variants[0].begin(), variants[0].end(), groups.groups.begin(),
                         [](int64_t units, const pruning::Group& group) { return units == group.units; }))
      << "the whole network comes first";
  std::sort(variants.begin(), variants.end());
  EXPECT_EQ(std::adjacent_find(variants.begin(), variants.end()), variants.end());
}

}  // namespace
}  // namespace xdn::testing
