#include "evaluator/removal_check.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "pruning/surgery.h"

namespace xdn::testing {
namespace {

const char* const kNet = R"(
graph "g" {
  input %x f32[N,3,4,4]
  const %w1 f32[8,3,3,3] random(1)
  const %w2 f32[2,8,1,1] random(2)
  %a = Conv(%x, %w1) kernel=[3,3] pads_begin=[1,1] pads_end=[1,1]
  %r = Relu(%a)
  %b = Conv(%r, %w2) kernel=[1,1]
  %y = GlobalAveragePool(%b)
  output %y
})";

struct Case {
  Graph graph = parse_graph(kNet);
  pruning::Groups groups = pruning::find_groups(graph);
  PixelMap pixels{{0.01f, 0.01f, 0.01f}, {-1, -1, -1}, {0, 1, 2}};
  std::vector<uint8_t> images = std::vector<uint8_t>(2 * 4 * 4 * 3);

  Case() {
    for (size_t i = 0; i < images.size(); ++i) images[i] = static_cast<uint8_t>(i * 37);
  }
  pruning::Removal without(size_t unit) const {
    pruning::Removal removal(static_cast<size_t>(groups.unit_count()), false);
    removal[unit] = true;
    return removal;
  }
  RemovalCheck check(const Graph& masked, const Graph& removed) const {
    return check_removal(masked, removed, pixels, images.data(), 2);
  }
};

TEST(RemovalCheck, MaskedAndRemovedAgree) {
  const Case c;
  const auto removal = c.without(3);
  const RemovalCheck check = c.check(pruning::mask_channels(c.graph, c.groups, removal),
                                     pruning::remove_channels(c.graph, c.groups, removal));
  EXPECT_EQ(check.images, 2);
  EXPECT_LT(check.executor_error, 1e-5);
}

TEST(RemovalCheck, AnotherChannelIsFound) {
  const Case c;
  EXPECT_THROW(c.check(pruning::mask_channels(c.graph, c.groups, c.without(3)),
                       pruning::remove_channels(c.graph, c.groups, c.without(4))),
               Error);
  EXPECT_THROW(c.check(c.graph, pruning::remove_channels(c.graph, c.groups, c.without(3))), Error);
}

}  // namespace
}  // namespace xdn::testing
