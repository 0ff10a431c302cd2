// Removal and masking themselves: what is sliced, what becomes zero, what is refused.
#include "pruning/surgery.h"

#include "base/error.h"
#include "pruning/support.h"

namespace xdn::testing {
namespace {

using pruning::find_groups;
using pruning::Groups;
using pruning::mask_channels;
using pruning::Removal;
using pruning::remove_channels;

std::vector<float> numbers(const Graph& graph, const std::string& name) {
  const auto id = graph.find_value(name);
  const auto data = graph.constant(*id).data<float>();
  return {data.begin(), data.end()};
}

Removal without(const Groups& groups, std::initializer_list<size_t> units) {
  Removal removed = remove_none(groups);
  for (const size_t unit : units) removed[unit] = true;
  return removed;
}

/// Pointwise, so that numbers can be told.
const char* const kTwoLayers = R"(
graph "g" {
  input %x f32[N,2,3,3]
  const %w f32[3,2,1,1] [1, 2, 3, 4, 5, 6]
  const %b f32[3] [7, 8, 9]
  const %v f32[2,3,1,1] [1, 2, 3, 4, 5, 6]
  %a = Conv(%x, %w, %b) kernel=[1,1] act=relu
  %y = Conv(%a, %v) kernel=[1,1]
  output %y
})";

TEST(Surgery, SlicesFiltersBiasesAndInputs) {
  const Graph graph = parse_graph(kTwoLayers);
  const Groups groups = find_groups(graph);
  const Graph smaller = expect_masked_equals_removed(graph, groups, without(groups, {1}));
  EXPECT_EQ(numbers(smaller, "w"), (std::vector<float>{1, 2, 5, 6}));
  EXPECT_EQ(numbers(smaller, "b"), (std::vector<float>{7, 9}));
  EXPECT_EQ(numbers(smaller, "v"), (std::vector<float>{1, 3, 4, 6}));
  EXPECT_EQ(numbers(graph, "w"), (std::vector<float>{1, 2, 3, 4, 5, 6}));  // the original is what it was
}

TEST(Surgery, MaskingLeavesTheInputsOfWhoeverReadsZeros) {
  const Graph graph = parse_graph(kTwoLayers);
  const Groups groups = find_groups(graph);
  const Graph masked = mask_channels(graph, groups, without(groups, {1}));
  EXPECT_EQ(numbers(masked, "w"), (std::vector<float>{1, 2, 0, 0, 5, 6}));
  EXPECT_EQ(numbers(masked, "b"), (std::vector<float>{7, 0, 9}));
  EXPECT_EQ(numbers(masked, "v"), (std::vector<float>{1, 2, 3, 4, 5, 6}));
}

/// The same, with something between the two that makes no zero of zero.
TEST(Surgery, MaskingCoversWhatIsNotZero) {
  for (const std::string op :
       {"Sigmoid(%a)", "HardSigmoid(%a)", "Clip(%a) min=1 max=2", "Add(%a, %one)", "Sub(%one, %a)",
        "Max(%a, %one)", "Pow(%a, %zero)", "Pad(%a) begin=[0,0,1,1] end=[0,0,0,0] value=2"}) {
    SCOPED_TRACE(op);
    std::string text = kTwoLayers;
    text.replace(text.find("  %y = "), std::string("  %y = Conv(%a, %v)").size(),
                 "  const %one f32[] [1]\n  const %zero f32[] [0]\n  %s = " + op + "\n  %y = Conv(%s, %v)");
    const Graph graph = parse_graph(text);
    const Groups groups = find_groups(graph);
    ASSERT_EQ(groups.unit_count(), 3);
    const Removal removed = without(groups, {1});
    expect_masked_equals_removed(graph, groups, removed);
    EXPECT_EQ(numbers(mask_channels(graph, groups, removed), "v"), (std::vector<float>{1, 0, 3, 4, 0, 6}));
  }
}

TEST(Surgery, ActivationsInsideLayersAreSeen) {
  std::string text = kTwoLayers;
  text.replace(text.find("act=relu"), 8, "act=clip(0.5,2)");
  const Graph graph = parse_graph(text);
  const Groups groups = find_groups(graph);
  const Removal removed = without(groups, {0, 2});
  expect_masked_equals_removed(graph, groups, removed);
  EXPECT_EQ(numbers(mask_channels(graph, groups, removed), "v"), (std::vector<float>{0, 2, 0, 0, 5, 0}));
}

const char* const kEveryConstant = R"(
graph "g" {
  input %x f32[N,2,3,3]
  const %w f32[3,2,1,1] random(1)
  const %scale f32[3] [1, 2, 3]
  const %bias f32[3] [4, 5, 6]
  const %mean f32[3] [7, 8, 9]
  const %variance f32[3] [1, 2, 3]
  const %m f32[3,1,1] [1, 2, 3]
  const %p f32[1,3,1,1] [4, 5, 6]
  const %d f32[3,1,1] [7, 8, 9]
  const %v f32[2,3,1,1] random(2)
  %a = Conv(%x, %w) kernel=[1,1]
  %n = BatchNorm(%a, %scale, %bias, %mean, %variance)
  %k = Mul(%n, %m)
  %l = Sub(%k, %p)
  %q = Div(%l, %d)
  %y = Conv(%q, %v) kernel=[1,1]
  output %y
})";

TEST(Surgery, MaskingMakesEveryChannelZero) {
  const Graph graph = parse_graph(kEveryConstant);
  const Groups groups = find_groups(graph);
  const Removal removed = without(groups, {1});
  expect_zero_channels(graph, groups, removed);
  expect_masked_equals_removed(graph, groups, removed);
  const Graph masked = mask_channels(graph, groups, removed);
  EXPECT_EQ(numbers(masked, "scale"), (std::vector<float>{1, 0, 3}));
  EXPECT_EQ(numbers(masked, "bias"), (std::vector<float>{4, 0, 6}));
  EXPECT_EQ(numbers(masked, "mean"), (std::vector<float>{7, 0, 9}));
  EXPECT_EQ(numbers(masked, "variance"), (std::vector<float>{1, 1, 3}));
  EXPECT_EQ(numbers(masked, "d"), (std::vector<float>{7, 1, 9}));
  EXPECT_EQ(numbers(masked, "v"), numbers(graph, "v"));
}

TEST(Surgery, NothingRemovedIsTheGraphItself) {
  const Graph graph = parse_graph(kEveryConstant);
  const Groups groups = find_groups(graph);
  EXPECT_EQ(print(remove_channels(graph, groups, remove_none(groups))), print(graph));
  EXPECT_EQ(print(mask_channels(graph, groups, remove_none(groups))), print(graph));
  EXPECT_TRUE(pruning::masked_axes(graph, groups, remove_none(groups)).empty());
}

TEST(Surgery, ALayerKeepsAChannel) {
  const Graph graph = parse_graph(kTwoLayers);
  const Groups groups = find_groups(graph);
  try {
    remove_channels(graph, groups, Removal(3, true));
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "layer 'a': all its channels would be removed");
  }
}

TEST(Surgery, OtherElementTypes) {
  for (const std::string type : {"f64", "f16", "bf16"}) {
    std::string text = kTwoLayers;
    for (size_t at = 0; (at = text.find("f32", at)) != std::string::npos;) text.replace(at, 3, type);
    const Graph graph = parse_graph(text);
    const Groups groups = find_groups(graph);
    const Graph smaller = remove_channels(graph, groups, without(groups, {0}));
    EXPECT_EQ(smaller.constant(*smaller.find_value("b")).as_double(0), 8) << type;
    const Graph masked = mask_channels(graph, groups, without(groups, {0}));
    EXPECT_EQ(masked.constant(*masked.find_value("b")).as_double(0), 0) << type;
    EXPECT_EQ(masked.constant(*masked.find_value("b")).as_double(1), 8) << type;
  }
}

TEST(Surgery, AttributesThatCountChannels) {
  const Graph graph = parse_graph(R"(
graph "g" {
  input %x f32[N,2,4,4]
  const %w f32[6,2,1,1] random(1)
  const %i i64[3] [5, 0, -3]
  const %v f32[3,5,1,1] random(2)
  %a = Conv(%x, %w) kernel=[1,1]
  %s = Slice(%a) axes=[2,1] starts=[0,1] ends=[4,5] steps=[2,1]
  %p = Pad(%s) begin=[0,1,0,0] end=[0,-1,0,0]
  %t = Slice(%p) axes=[1,2] starts=[0,0] ends=[2,2147483647] steps=[1,1]
  %g = Gather(%a, %i) axis=1
  %h = Slice(%g) axes=[2] starts=[0] ends=[4] steps=[2]
  %c = Concat(%t, %h) axis=1
  %r = Reshape(%c) shape=[N,5,8]
  %u = Reshape(%r) shape=[N,5,2,4]
  %y = Conv(%u, %v) kernel=[1,1]
  output %y
})");
  const Groups groups = find_groups(graph);
  // Unit 1 is channel 1: the slice's first, the second of what the pad makes.
  const Graph smaller = expect_masked_equals_removed(
      graph, groups, without(groups, {static_cast<size_t>(groups.units_of(*graph.find_value("a"), 1)[1])}));
  const auto node = [&](const std::string& name) -> const Node& {
    return smaller.node(smaller.value(*smaller.find_value(name)).producer);
  };
  EXPECT_EQ(node("s").as<SliceAttrs>().starts, (Dims{0, 1}));
  EXPECT_EQ(node("s").as<SliceAttrs>().ends, (Dims{4, 4}));
  EXPECT_EQ(node("t").as<SliceAttrs>().ends, (Dims{1, 2147483647}));
  EXPECT_EQ(node("p").as<PadAttrs>().begin, (Dims{0, 1, 0, 0}));
  EXPECT_EQ(node("p").as<PadAttrs>().end, (Dims{0, -1, 0, 0}));
  EXPECT_EQ(node("r").as<ReshapeAttrs>().shape, (Dims{kBatch, 4, 8}));
  EXPECT_EQ(smaller.constant(*smaller.find_value("i")).to_ints(), (std::vector<int64_t>{4, 0, 2}));
  for (uint64_t seed = 0; seed < 20; ++seed)
    expect_masked_equals_removed(graph, groups, random_removal(graph, groups, 40, seed));
}

}  // namespace
}  // namespace xdn::testing
