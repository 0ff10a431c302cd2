// What is coupled with what, as text graphs.
#include "pruning/groups.h"

#include "base/error.h"
#include "fusion/pipeline.h"
#include "pruning/support.h"
#include "support/nets.h"

namespace xdn::testing {
namespace {

/// A graph with these lines between the input, f32[N,2,6,6] as %x, and the output %y.
std::string net(const std::string& lines, const std::string& outputs = "  output %y\n") {
  return "graph \"g\" {\n  input %x f32[N,2,6,6]\n" + lines + outputs + "}\n";
}

/// "%y = Conv(%x, w)", 3x3, padded, with random weights.
std::string conv(const std::string& y, const std::string& x, int oc, int ic, const std::string& more = "",
                 const std::string& residual = "") {
  const std::string n = std::to_string(oc), w = "%w_" + y, b = "%b_" + y;
  return "  const " + w + " f32[" + n + "," + std::to_string(ic) + ",3,3] random(" + n + ")\n  const " + b +
         " f32[" + n + "] random(3)\n  %" + y + " = Conv(%" + x + ", " + w + ", " + b +
         (residual.empty() ? "" : ", %" + residual) + ") kernel=[3,3] pads_begin=[1,1] pads_end=[1,1]" +
         more + "\n";
}

/// Groups are as told; every unit alone, and random sets of them, masked equal removed.
void expect_groups(const std::string& text, const std::string& expected) {
  const Graph graph = parse_graph(text);
  const pruning::Groups groups = pruning::find_groups(graph);
  EXPECT_EQ(summary(graph, groups), expected) << text;
  for (size_t u = 0; u < static_cast<size_t>(groups.unit_count()); ++u) {
    pruning::Removal removed = remove_none(groups);
    removed[u] = true;
    expect_masked_equals_removed(graph, groups, removed);
  }
  for (uint64_t seed = 0; seed < 4; ++seed)
    expect_masked_equals_removed(graph, groups, random_removal(graph, groups, 40, seed));
}

const char* const kEnds = "!  x2: graph input 'x'\n";
std::string ends(const std::string& last, int channels) {
  return kEnds + ("! " + last + " x" + std::to_string(channels) + ": graph output 'y'\n");
}

TEST(Groups, AChainOfConvolutions) {
  expect_groups(net(conv("a", "x", 5, 2) + "  %r = Relu(%a)\n" + conv("b", "r", 4, 5) + conv("y", "b", 3, 4)),
                "a x5 > b\nb x4 > y\n" + ends("y", 3));
}

TEST(Groups, FiltersOfTheOutputsProducerStay) {
  expect_groups(net(conv("a", "x", 5, 2) + "  %y = Relu(%a)\n"), ends("a", 5));
}

TEST(Groups, ASumCouplesItsTerms) {
  expect_groups(net(conv("a", "x", 4, 2) + conv("b", "a", 3, 4) + conv("c", "b", 4, 3) +
                    "  %s = Add(%c, %a)\n" + conv("y", "s", 2, 4)),
                "a + c x4 > b + y\nb x3 > c\n" + ends("y", 2));
}

TEST(Groups, AResidualInputCouplesAsASumDoes) {
  expect_groups(net(conv("a", "x", 4, 2) + conv("b", "a", 3, 4) + conv("c", "b", 4, 3, " act=relu", "a") +
                    conv("y", "c", 2, 4)),
                "a + c x4 > b + y\nb x3 > c\n" + ends("y", 2));
}

TEST(Groups, EveryElementwiseOperatorCouples) {
  for (const std::string op : {"Sub", "Mul", "Max"}) {
    expect_groups(net(conv("a", "x", 4, 2) + conv("b", "x", 4, 2) + "  %s = " + op + "(%a, %b)\n" +
                      conv("y", "s", 2, 4)),
                  "a + b x4 > y\n" + ends("y", 2));
  }
}

TEST(Groups, DivisorsAreKept) {
  expect_groups(net(conv("a", "x", 4, 2) + conv("b", "x", 4, 2, " act=clip(1,2)") + "  %s = Div(%a, %b)\n" +
                    conv("y", "s", 2, 4)),
                "!  x2: graph input 'x'\n! a + b x4: s: Div divides by its channels\n"
                "! y x2: graph output 'y'\n");
}

TEST(Groups, PowersOfKnownExponents) {
  expect_groups(net(conv("a", "x", 4, 2) + "  const %e f32[4,1,1] [1, 2, 0, 2]\n  %s = Pow(%a, %e)\n" +
                    conv("y", "s", 2, 4)),
                "a x4 > y\n" + ends("y", 2));
  expect_groups(
      net(conv("a", "x", 4, 2) + "  const %e f32[] [-1]\n  %s = Pow(%a, %e)\n" + conv("y", "s", 2, 4)),
      "!  x2: graph input 'x'\n! a x4: s: Pow has an exponent that may be negative\n"
      "! y x2: graph output 'y'\n");
}

TEST(Groups, ConstantsPerChannelGoWithTheirChannel) {
  expect_groups(
      net("  const %m f32[4,1,1] random(1)\n  const %p f32[1,4,1,1] random(2)\n  const %q f32[4,1,1] "
          "[2, 3, 4, 5]\n  const %one f32[] [0.5]\n  const %slope f32[4,1,1] random(5)\n" +
          conv("a", "x", 4, 2) +
          "  %b = Mul(%a, %m)\n  %c = Add(%p, %b)\n  %d = Div(%c, %q)\n"
          "  %e = PRelu(%d, %slope)\n  %f = Sub(%one, %e)\n" +
          conv("y", "f", 2, 4)),
      "a x4 > y\n" + ends("y", 2));
}

TEST(Groups, ADivisorThatOthersReadIsKept) {
  expect_groups(net("  const %q f32[4,1,1] [2, 3, 4, 5]\n" + conv("a", "x", 4, 2) +
                    "  %b = Div(%a, %q)\n  %c = Mul(%b, %q)\n" + conv("y", "c", 2, 4)),
                "!  x2: graph input 'x'\n! a x4: b: Div divides by its channels\n! y x2: graph output 'y'\n");
}

TEST(Groups, BatchNormGoesWithItsChannel) {
  expect_groups(net("  const %s f32[4] random(1)\n  const %b f32[4] random(2)\n  const %m f32[4] random(3)\n"
                    "  const %v f32[4] [1, 0.5, 0, 2]\n" +
                    conv("a", "x", 4, 2) + "  %n = BatchNorm(%a, %s, %b, %m, %v)\n  %r = Relu(%n)\n" +
                    conv("y", "r", 2, 4)),
                "a x4 > y\n" + ends("y", 2));
}

TEST(Groups, ConcatenationKeepsItsPartsApart) {
  expect_groups(net(conv("a", "x", 3, 2) + conv("b", "x", 4, 2) + "  %c = Concat(%a, %b) axis=1\n" +
                    conv("y", "c", 2, 7)),
                "a x3 > y\nb x4 > y\n" + ends("y", 2));
}

TEST(Groups, ASumOverAConcatenation) {
  expect_groups(net(conv("a", "x", 3, 2) + conv("b", "x", 4, 2) + "  %c = Concat(%a, %b) axis=1\n" +
                    conv("d", "x", 7, 2) + "  %s = Add(%c, %d)\n" + conv("y", "s", 2, 7)),
                "a + d x3 > y\nb + d x4 > y\n" + ends("y", 2));
}

TEST(Groups, DepthwiseConvolutionsPassChannelsOn) {
  expect_groups(net(conv("a", "x", 4, 2) + conv("d", "a", 4, 1, " group=4") + conv("y", "d", 2, 4)),
                "a + d x4 > y\n" + ends("y", 2));
  expect_groups(net(conv("a", "x", 4, 2) + conv("d", "a", 8, 1, " group=4") + conv("y", "d", 2, 8)),
                "a + d x4 > y\n" + ends("y", 2));
}

TEST(Groups, GroupsOfAConvolutionGoAsAWhole) {
  const std::string text =
      net(conv("a", "x", 6, 2) + conv("d", "a", 9, 2, " group=3") + conv("y", "d", 2, 9));
  expect_groups(text, "a + d x3 > y\n" + ends("y", 2));
  const Graph graph = parse_graph(text);
  const pruning::Groups groups = pruning::find_groups(graph);
  EXPECT_EQ(groups.groups[0].filters, (std::vector<int32_t>{0, 2, 4}));
  EXPECT_FALSE(groups.groups[0].trunk);
  pruning::Removal removed = remove_none(groups);
  removed[1] = true;
  const Graph smaller = pruning::remove_channels(graph, groups, removed);
  EXPECT_EQ(smaller.node(smaller.order()[1]).as<ConvAttrs>().group, 2);
}

TEST(Groups, PoolsAndActivationsPassChannelsOn) {
  expect_groups(
      net(conv("a", "x", 4, 2) +
          "  %m = MaxPool(%a) kernel=[2,2] pads_begin=[1,1]\n  %v = AveragePool(%m) kernel=[2,2] "
          "count_include_pad=true\n  %s = Sigmoid(%v)\n  %h = HardSigmoid(%s)\n  %i = Identity(%h)\n"
          "  %c = Clip(%i) min=0.25 max=0.5\n  %z = HardSwish(%c)\n  %l = LeakyRelu(%z)\n" +
          conv("y", "l", 2, 4)),
      "a x4 > y\n" + ends("y", 2));
}

TEST(Groups, AChannelOwnsItsFeaturesBehindAFlatten) {
  const std::string fc = "  const %w f32[3,144] random(8)\n  %y = Gemm(%f, %w) trans_b=true\n";
  for (const std::string flatten : {"  %f = Flatten(%a)\n", "  %f = Reshape(%a) shape=[N,144]\n"}) {
    const std::string text = net(conv("a", "x", 4, 2) + flatten + fc);
    expect_groups(text, "a x4 > y\n" + ends("y", 3));
    const Graph graph = parse_graph(text);
    const pruning::Groups groups = pruning::find_groups(graph);
    const auto& consumer = groups.groups[0].consumers[0];
    EXPECT_EQ(groups.groups[0].axes[consumer.axis].per_unit, 36);
  }
}

TEST(Groups, PooledFlattenedAndMultiplied) {
  const std::string head = net(conv("a", "x", 4, 2) +
                               "  %p = GlobalAveragePool(%a)\n  %f = Flatten(%p)\n"
                               "  const %w f32[4,3] random(8)\n  const %b f32[3] random(9)\n");
  const std::string tail = "  %y = Gemm(%f, %w, %b)\n  output %y\n}\n";
  expect_groups(head.substr(0, head.find("  output")) + tail, "a x4 > y\n" + ends("y", 3));
  expect_groups(net(conv("a", "x", 4, 2) +
                    "  %p = ReduceMean(%a) axes=[2,3] keepdims=false\n"
                    "  const %w f32[4,5] random(8)\n  const %b f32[5] random(9)\n  %h = MatMul(%p, %w)\n"
                    "  %k = Add(%h, %b)\n  %r = Relu(%k)\n  const %v f32[5,3] random(4)\n"
                    "  %y = Gemm(%r, %v)\n"),
                "a x4 > h\nh x5 > y\n" + ends("y", 3));
}

TEST(Groups, ReshapesAndTransposes) {
  // To n, positions, c and back.
  expect_groups(
      net(conv("a", "x", 4, 2) +
          "  %r = Reshape(%a) shape=[N,4,36]\n  %t = Transpose(%r) perm=[0,2,1]\n"
          "  const %w f32[4,5] random(8)\n  %m = MatMul(%t, %w)\n  %u = Transpose(%m) perm=[0,2,1]\n"
          "  %v = Reshape(%u) shape=[N,5,6,6]\n" +
          conv("y", "v", 2, 5)),
      "a x4 > m\nm x5 > y\n" + ends("y", 2));
  // Features become channels of maps: they go map by map.
  expect_groups(net("  %f = Flatten(%x)\n  const %w f32[72,27] random(8)\n  %g = Gemm(%f, %w)\n"
                    "  %v = Reshape(%g) shape=[N,3,3,3]\n" +
                    conv("y", "v", 2, 3)),
                "g x3 > y\n!  x2: graph input 'x'\n! y x2: graph output 'y'\n");
}

/// What is added to positions is added to the zeros of masked channels.
TEST(Groups, ChannelsThatAreNotAlongTheirAxis) {
  const std::string params =
      "  const %s f32[36] random(1)\n  const %b f32[36] random(2)\n  const %m f32[36] random(3)\n"
      "  const %v f32[36] fill(2)\n  const %w f32[4,3] random(8)\n";
  const std::string tail = "  %y = MatMul(%n, %w)\n";
  expect_groups(net(params + conv("a", "x", 4, 2) +
                    "  %r = Reshape(%a) shape=[N,4,36]\n  %t = Transpose(%r) perm=[0,2,1]\n"
                    "  %n = BatchNorm(%t, %s, %b, %m, %v)\n" +
                    tail),
                "a x4 > y\n" + ends("y", 3));
  // Channels as images of a Conv with a bias.
  expect_groups("graph \"g\" {\n  input %x f32[1,2,6,6]\n" + conv("a", "x", 4, 2) +
                    "  %t = Transpose(%a) perm=[1,0,2,3]\n" + conv("d", "t", 3, 1) +
                    "  %u = Transpose(%d) perm=[1,0,2,3]\n" + conv("y", "u", 2, 4) + "  output %y\n}\n",
                "a x4 > y\n!  x3: graph input 'x'\n! d x3: graph output 'y'\n! y x2: graph output 'y'\n");
}

TEST(Groups, ShuffledChannelsAreKept) {
  expect_groups(net(conv("a", "x", 6, 2) +
                    "  %r = Reshape(%a) shape=[N,2,3,6,6]\n"
                    "  %t = Transpose(%r) perm=[0,2,1,3,4]\n  %s = Reshape(%t) shape=[N,6,6,6]\n" +
                    conv("y", "s", 2, 6)),
                "!  x2: graph input 'x'\n! a x2: s: Reshape mixes its axis with others\n"
                "! y x2: graph output 'y'\n");
  // As a Gather they go one by one.
  expect_groups(
      net(conv("a", "x", 6, 2) + "  const %i i64[6] [0, 3, 1, -2, 2, 5]\n  %s = Gather(%a, %i) axis=1\n" +
          conv("y", "s", 2, 6)),
      "a x6 > y\n" + ends("y", 2));
}

TEST(Groups, GatheringAChannelTwiceCouplesBoth) {
  expect_groups(
      net(conv("a", "x", 4, 2) + "  const %i i32[5] [3, 0, 3, 1, 0]\n  %s = Gather(%a, %i) axis=1\n" +
          conv("d", "x", 5, 2) + "  %t = Mul(%s, %d)\n" + conv("y", "t", 2, 5)),
      "a + d x2 > y\na + d x1 > y\na x1 > \n" + ends("y", 2));
}

TEST(Groups, SlicedChannelsAreAWindow) {
  expect_groups(net(conv("a", "x", 6, 2) +
                    "  %p = Slice(%a) axes=[1] starts=[0] ends=[2] steps=[1]\n"
                    "  %q = Slice(%a) axes=[1] starts=[2] ends=[2147483647] steps=[1]\n" +
                    conv("d", "p", 4, 2) + "  %s = Add(%d, %q)\n" + conv("y", "s", 2, 4)),
                "a x2 > d\na + d x4 > y\n" + ends("y", 2));
  expect_groups(net(conv("a", "x", 6, 2) + "  %p = Slice(%a) axes=[1] starts=[0] ends=[6] steps=[2]\n" +
                    conv("y", "p", 2, 3)),
                "!  x2: graph input 'x'\n! a x6: p: Slice steps over its axis\n! y x2: graph output 'y'\n");
}

TEST(Groups, PaddedShortcutsAreAWindowOfTheWiderSum) {
  expect_groups(net(conv("a", "x", 4, 2) + conv("b", "a", 3, 4, " strides=[2,2]") + conv("c", "b", 8, 3) +
                    "  %s = Slice(%a) axes=[2,3] starts=[0,0] ends=[6,6] steps=[2,2]\n"
                    "  %p = Pad(%s) begin=[0,2,0,0] end=[0,2,0,0]\n  %t = Add(%c, %p)\n" +
                    conv("y", "t", 2, 8)),
                "a + c x4 > b + y\nb x3 > c\nc x4 > y\n" + ends("y", 2));
}

TEST(Groups, PadsThatCropChannels) {
  expect_groups(net(conv("a", "x", 6, 2) + "  %p = Pad(%a) begin=[0,-2,1,0] end=[0,1,0,0]\n" +
                    conv("b", "a", 3, 6) + conv("c", "x", 5, 2) + conv("y", "p", 2, 5)),
                "a x2 > b\na x4 > b + y\nb x3 > \nc x5 > \n" + ends("y", 2));
}

TEST(Groups, ChannelsPaddedWithOnesAreKept) {
  expect_groups(net(conv("a", "x", 4, 2) + "  %p = Pad(%a) begin=[0,1,0,0] end=[0,1,0,0] value=1\n" +
                    conv("y", "p", 2, 6)),
                "!  x2: graph input 'x'\n! a x4: p: Pad pads its channels with other than zeros\n"
                "! y x2: graph output 'y'\n");
}

TEST(Groups, SqueezeAndExcite) {
  expect_groups(net(conv("a", "x", 4, 2) +
                    "  %g = GlobalAveragePool(%a)\n  const %w1 f32[2,4,1,1] random(1)\n"
                    "  const %w2 f32[4,2,1,1] random(2)\n  const %b2 f32[4] random(3)\n"
                    "  %s = Conv(%g, %w1) kernel=[1,1] act=relu\n  %e = Conv(%s, %w2, %b2) kernel=[1,1]\n"
                    "  %h = HardSigmoid(%e)\n  %m = Mul(%h, %a)\n" +
                    conv("y", "m", 2, 4)),
                "a + e x4 > s + y\ns x2 > e\n" + ends("y", 2));
}

TEST(Groups, SumsOverChannelsAreKept) {
  const struct {
    std::string lines, reason;
    int channels;
  } cases[] = {
      {"  %s = Softmax(%a) axis=1\n", "Softmax normalises over its axis", 4},
      {"  %s = Lrn(%a)\n", "Lrn normalises over channels", 4},
      {"  %m = ReduceMean(%a) axes=[1]\n  %s = Mul(%a, %m)\n", "ReduceMean averages over its axis", 4},
  };
  for (const auto& c : cases) {
    const std::string at = c.lines.find("%m") == std::string::npos ? "s" : "m";
    expect_groups(net(conv("a", "x", 4, 2) + c.lines + conv("y", "s", 2, 4)),
                  "!  x2: graph input 'x'\n! a x4: " + at + ": " + c.reason + "\n! y x2: graph output 'y'\n");
  }
}

TEST(Groups, OneChannelForManyIsKept) {
  expect_groups(net(conv("a", "x", 4, 2) + conv("b", "x", 1, 2) + "  %g = Sigmoid(%b)\n  %s = Mul(%a, %g)\n" +
                    conv("y", "s", 2, 4)),
                "a x4 > y\n!  x2: graph input 'x'\n! b x1: s: Mul takes one channel for many\n"
                "! y x2: graph output 'y'\n");
}

TEST(Groups, WeightsThatSeveralReadGoTogether) {
  expect_groups(net("  const %w f32[3,2,3,3] random(1)\n  %a = Conv(%x, %w) kernel=[3,3]\n"
                    "  %b = Conv(%x, %w) kernel=[3,3] dilations=[2,2]\n" +
                    conv("c", "a", 4, 3) + conv("d", "b", 4, 3) +
                    "  %p = GlobalAveragePool(%c)\n  %q = GlobalAveragePool(%d)\n"
                    "  %r = Concat(%p, %q) axis=1\n  const %v f32[2,8,1,1] random(4)\n"
                    "  %y = Conv(%r, %v) kernel=[1,1]\n"),
                "a + b x3 > c + d\nc x4 > y\nd x4 > y\n" + ends("y", 2));
}

TEST(Groups, ComputedWeightsAreKept) {
  expect_groups(net("  const %w f32[3,2,3,3] random(1)\n  const %k f32[] [2]\n  %v = Mul(%w, %k)\n"
                    "  %a = Conv(%x, %v) kernel=[3,3]\n  %b = Relu(%a)\n" +
                    conv("y", "b", 2, 3)),
                "! a x3: a: Conv has weights that are computed\n! y x2: graph output 'y'\n");
}

TEST(Groups, OutputsInTheMiddleAreKept) {
  expect_groups(net(conv("a", "x", 4, 2) + "  %r = Relu(%a)\n" + conv("b", "r", 3, 4) + conv("y", "b", 2, 3),
                    "  output %y\n  output %r\n"),
                "b x3 > y\n!  x2: graph input 'x'\n! a x4: graph output 'r'\n! y x2: graph output 'y'\n");
}

TEST(Groups, NamedLayersAreKept) {
  const Graph graph = parse_graph(net(conv("a", "x", 5, 2) + conv("b", "a", 4, 5) + conv("y", "b", 3, 4)));
  EXPECT_EQ(summary(graph, pruning::find_groups(graph, {"a"})),
            "b x4 > y\n!  x2: graph input 'x'\n! a x5: a: is to be kept\n! y x3: graph output 'y'\n");
  try {
    pruning::find_groups(graph, {"nobody"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "layer 'nobody': cannot be kept: no Conv, Gemm or MatMul has this name");
  }
}

TEST(Groups, QuantizedModelsAreRefused) {
  const Graph graph = parse_graph(net(
      "  const %s f32[] [0.1]\n  %q = QuantizeLinear(%x, %s) dtype=u8\n  %d = DequantizeLinear(%q, %s)\n" +
      conv("y", "d", 3, 2)));
  try {
    pruning::find_groups(graph);
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "layer 'q': the model is quantized: prune the float model, then quantize it");
  }
}

TEST(Groups, TrunksAndRoles) {
  const Graph graph = parse_graph(net(conv("a", "x", 4, 2) + conv("b", "a", 3, 4) + conv("c", "b", 4, 3) +
                                      "  %s = Add(%c, %a)\n" + conv("d", "s", 5, 4) + conv("e", "d", 4, 5) +
                                      "  %t = Add(%e, %s)\n" + conv("y", "t", 2, 4)));
  const pruning::Groups groups = pruning::find_groups(graph);
  for (const pruning::Group& group : groups.groups) {
    for (auto unit = group.first_unit; unit < group.end_unit(); ++unit)
      EXPECT_EQ(&groups.group_of(unit), &group);
  }
  EXPECT_EQ(describe(graph, groups.groups[0]), "a + c + e");
  EXPECT_TRUE(group_of_layer(graph, groups, "a").trunk);
  EXPECT_FALSE(group_of_layer(graph, groups, "b").trunk);
  EXPECT_EQ(group_of_layer(graph, groups, "b").role, group_of_layer(graph, groups, "d").role);
  EXPECT_NE(group_of_layer(graph, groups, "b").role, group_of_layer(graph, groups, "a").role);
}

TEST(Groups, AfterReserveAndMergeShortcutChannelsGoOneByOne) {
  // a's channels are never negative, so that Relu passes them on.
  Graph graph = parse_graph(net(conv("a", "x", 4, 2, " act=relu") + conv("b", "a", 3, 4, " act=relu") +
                                conv("c", "b", 4, 3, " act=relu", "a") + conv("y", "c", 2, 4)));
  FuseOptions options;
  options.forced = {"reserve_and_merge"};
  run_passes(graph, aggressive_passes(), options);
  const pruning::Groups groups = pruning::find_groups(graph);
  EXPECT_EQ(summary(graph, groups), "a x4 > b\nb x7 > c\nc x4 > y\n" + ends("y", 2));
  for (uint64_t seed = 0; seed < 4; ++seed)
    expect_masked_equals_removed(graph, groups, random_removal(graph, groups, 40, seed));
}

TEST(Groups, AfterMergedProjectionsAndDiracShortcuts) {
  const std::string text =
      net(conv("a", "x", 4, 2, " act=relu") + conv("b", "a", 3, 4, " act=relu") + conv("p", "a", 6, 4) +
          conv("c", "b", 6, 3, " act=relu", "p") + conv("d", "c", 5, 6, " act=relu") +
          conv("e", "d", 6, 5, " act=relu", "c") + conv("y", "e", 2, 6));
  const Graph before = parse_graph(text);
  EXPECT_EQ(summary(before, pruning::find_groups(before)),
            "a x4 > b + p\nb x3 > c\np + c + e x6 > d + y\nd x5 > e\n" + ends("y", 2));
  Graph graph = before;
  FuseOptions options;
  options.disabled = {"reserve_and_merge"};
  options.forced = {"merge_projection", "dirac_shortcut"};
  run_passes(graph, aggressive_passes(), options);
  const pruning::Groups groups = pruning::find_groups(graph);
  EXPECT_EQ(summary(graph, groups),
            "a x4 > b + c\nb x3 > c\nc x6 > d + e\nd x5 > e\ne x6 > y\n" + ends("y", 2));
  for (uint64_t seed = 0; seed < 4; ++seed)
    expect_masked_equals_removed(graph, groups, random_removal(graph, groups, 40, seed));
}

TEST(Groups, OfAResNet50OfFullSize) {
  const Graph graph = make_resnet50(224, 1000);
  const pruning::Groups groups = pruning::find_groups(graph);
  std::vector<int32_t> trunks;
  int inner = 0;
  for (const pruning::Group& group : groups.groups) {
    if (group.trunk) {
      trunks.push_back(group.units);
    } else {
      ++inner;
    }
  }
  EXPECT_EQ(trunks, (std::vector<int32_t>{256, 512, 1024, 2048}));
  EXPECT_EQ(inner, 33);  // two in each of 16 blocks, and the stem
  ASSERT_EQ(groups.kept.size(), 2u);
  EXPECT_EQ(groups.kept[0].reason, "graph input 'data'");
  EXPECT_EQ(groups.kept[1].channels, 1000);
}

}  // namespace
}  // namespace xdn::testing
