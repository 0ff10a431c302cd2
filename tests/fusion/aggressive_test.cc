#include "base/error.h"
#include "fusion/support.h"

namespace xdn {
namespace {

using testing::expect_no_change;
using testing::expect_rewrite;

const std::string kSame3 = " kernel=[3,3] pads_begin=[1,1] pads_end=[1,1] ";
const std::string kOne = " kernel=[1,1] ";
const std::string kInputs = "graph { input %x f32[N,4,5,6] input %y f32[N,3,5,6] ";
const std::string kWeights =
    "const %w1 f32[6,4,1,1] random(1) const %w3 f32[6,4,3,3] random(2) const %v1 f32[6,3,1,1] random(3) "
    "const %v3 f32[6,3,3,3] random(4) const %u1 f32[6,4,1,1] random(9) "
    "const %b f32[6] random(5) const %c f32[6] random(6) ";
const std::string kHead = kInputs + kWeights;
/// What remains where constants are merged.
const std::string kMerged1 = kInputs + "const %w f32[6,7,1,1] random(1) const %b f32[6] random(2) ";
const std::string kMerged3 = kInputs + "const %w f32[6,7,3,3] random(1) const %b f32[6] random(2) ";

TEST(MergeProjection, BecomesOneConvOverAConcat) {
  expect_rewrite(
      "merge_projection",
      kHead + "%p = Conv(%y, %v1, %c)" + kOne + "%z = Conv(%x, %w1, %b, %p)" + kOne + "act=relu output %z }",
      kMerged1 + "%k = Concat(%x, %y) %z = Conv(%k, %w, %b)" + kOne + "act=relu output %z }", true);
  // The smaller window moves into the middle of the larger, on either side.
  expect_rewrite("merge_projection",
                 kHead + "%p = Conv(%y, %v1)" + kOne + "%z = Conv(%x, %w3, %b, %p)" + kSame3 + "output %z }",
                 kMerged3 + "%k = Concat(%x, %y) %z = Conv(%k, %w, %b)" + kSame3 + "output %z }", true);
  expect_rewrite(
      "merge_projection",
      kHead + "%p = Conv(%y, %v3, %c)" + kSame3 + "%z = Conv(%x, %w1, none, %p)" + kOne + "output %z }",
      kMerged3 + "%k = Concat(%x, %y) %z = Conv(%k, %w, %b)" + kSame3 + "output %z }", true);
  // Without any bias.
  expect_rewrite("merge_projection",
                 kHead + "%p = Conv(%y, %v1)" + kOne + "%z = Conv(%x, %w1, none, %p)" + kOne + "output %z }",
                 kInputs + "const %w f32[6,7,1,1] random(1) %k = Concat(%x, %y) %z = Conv(%k, %w)" + kOne +
                     "output %z }",
                 true);
}

TEST(MergeProjection, KeepsTheResidualBehind) {
  expect_rewrite(
      "merge_projection",
      kHead + "input %r f32[N,6,5,6] %p = Conv(%y, %v1, %c, %r)" + kOne + "%z = Conv(%x, %w1, %b, %p)" +
          kOne + "output %z }",
      kMerged1 + "input %r f32[N,6,5,6] %k = Concat(%x, %y) %z = Conv(%k, %w, %b, %r)" + kOne + "output %z }",
      true);
}

TEST(MergeProjection, OfOneInputAddsWeights) {
  for (const bool forced : {false, true}) {
    expect_rewrite("merge_projection",
                   kHead + "%p = Conv(%x, %w1, %c)" + kOne + "%z = Conv(%x, %w3, %b, %p)" + kSame3 +
                       "act=relu output %z }",
                   kHead + "%z = Conv(%x, %w3, %b)" + kSame3 + "act=relu output %z }", forced);
    // Three branches, and one that is depthwise.
    expect_rewrite("merge_projection",
                   kHead + "%p = Conv(%x, %w1)" + kOne + "%q = Conv(%x, %u1, %c, %p)" + kOne +
                       "%z = Conv(%x, %w3, %b, %q)" + kSame3 + "output %z }",
                   kHead + "%z = Conv(%x, %w3, %b)" + kSame3 + "output %z }", forced);
    const std::string depthwise =
        kInputs + "const %w f32[4,1,3,3] random(1) const %v f32[4,1,1,1] random(2) ";
    expect_rewrite("merge_projection",
                   depthwise + "%p = Conv(%x, %v) kernel=[1,1] group=4 %z = Conv(%x, %w, none, %p)" + kSame3 +
                       "group=4 output %z }",
                   depthwise + "%z = Conv(%x, %w)" + kSame3 + "group=4 output %z }", forced);
  }
}

TEST(MergeProjection, DilatedTapsKeepTheirPlaces) {
  expect_rewrite("merge_projection",
                 kHead +
                     "%p = Conv(%y, %v1) kernel=[1,1] %z = Conv(%x, %w3, %b, %p) kernel=[3,3] "
                     "dilations=[2,2] pads_begin=[2,2] pads_end=[2,2] output %z }",
                 kMerged3 +
                     "%k = Concat(%x, %y) %z = Conv(%k, %w, %b) kernel=[3,3] "
                     "dilations=[2,2] pads_begin=[2,2] pads_end=[2,2] output %z }",
                 true);
  // Off the middle: a tap of the 3x3 still reads where the 1x1 does.
  expect_rewrite("merge_projection",
                 kHead +
                     "%p = Conv(%y, %v1) kernel=[1,1] %z = Conv(%x, %w3, %b, %p) kernel=[3,3] "
                     "pads_begin=[0,2] pads_end=[2,0] output %z }",
                 kMerged3 +
                     "%k = Concat(%x, %y) %z = Conv(%k, %w, %b) kernel=[3,3] "
                     "pads_begin=[0,2] pads_end=[2,0] output %z }",
                 true);
}

TEST(MergeProjection, NoChangeWhereItDoesNotPay) {
  expect_no_change("merge_projection", kHead + "%p = Conv(%y, %v1, %c)" + kOne +
                                           "%z = Conv(%x, %w1, %b, %p)" + kOne + "output %z }");
}

TEST(MergeProjection, NoChange) {
  const std::string p = "%p = Conv(%y, %v1)" + kOne;
  for (const std::string& text : {
           kHead + p + "act=relu %z = Conv(%x, %w1, %b, %p)" + kOne + "output %z }",
           kHead + p + "%z = Conv(%x, %w1, %b, %p)" + kOne + "output %z output %p }",
           kHead + p + "%r = Relu(%p) %z = Conv(%x, %w1, %b, %r)" + kOne + "output %z }",
           kHead + p + "%q = Conv(%x, %w1, %b, %p)" + kOne + "%z = Add(%q, %p) output %z }",
           // Strides differ; taps that the other window has no place for; maps of two sizes.
           kInputs + kWeights +
               "input %s f32[N,3,9,11] %p = Conv(%s, %v1) kernel=[1,1] strides=[2,2] "
               "%z = Conv(%x, %w1, %b, %p)" +
               kOne + "output %z }",
           kHead + "const %l f32[6,3,1,3] random(7) const %h f32[6,4,3,1] random(8) "
                   "%p = Conv(%y, %l) kernel=[1,3] pads_begin=[0,1] pads_end=[0,1] "
                   "%z = Conv(%x, %h, %b, %p) kernel=[3,1] pads_begin=[1,0] pads_end=[1,0] output %z }",
           kHead + "input %s f32[N,3,7,8] %p = Conv(%s, %v3) kernel=[3,3] %z = Conv(%x, %w1, %b, %p)" + kOne +
               "output %z }",
           kHead + "%p = Conv(%y, %v1) kernel=[1,1] %z = Conv(%x, %w3, %b, %p) kernel=[3,3] "
                   "dilations=[2,2] pads_begin=[1,1] pads_end=[3,3] output %z }",
           // Groups of different inputs; weights from elsewhere.
           kHead + "input %s f32[N,4,5,6] const %g f32[6,2,1,1] random(7) %p = Conv(%s, %g) kernel=[1,1] "
                   "group=2 %z = Conv(%x, %g, %b, %p) kernel=[1,1] group=2 output %z }",
           kHead + "input %g f32[6,3,1,1] %p = Conv(%y, %g)" + kOne + "%z = Conv(%x, %w1, %b, %p)" + kOne +
               "output %z }",
           kHead +
               "const %g i8[6,3,1,1] iota const %t f32[] [0.5] %d = DequantizeLinear(%g, %t) dtype=i8 "
               "%p = Conv(%y, %d)" +
               kOne + "%z = Conv(%x, %w1, %b, %p)" + kOne + "output %z }",
       }) {
    expect_no_change("merge_projection", text, true);
  }
}

const std::string kSquare =
    "graph { input %x f32[N,4,5,6] input %s f32[N,6,5,6] const %w f32[6,4,3,3] random(1) "
    "const %d f32[6,4,1,1] random(3) const %v f32[4,4,3,3] random(2) const %g f32[4,2,3,3] random(4) ";

TEST(DiracShortcut, BecomesChannelsOfTheConv) {
  expect_rewrite("dirac_shortcut", kSquare + "%z = Conv(%x, %w, none, %s)" + kSame3 + "act=relu output %z }",
                 kSquare + "const %k f32[6,10,3,3] random(1) %c = Concat(%x, %s) %z = Conv(%c, %k)" + kSame3 +
                     "act=relu output %z }",
                 true);
  expect_rewrite(
      "dirac_shortcut", kSquare + "const %b f32[6] iota %z = Conv(%x, %d, %b, %s) kernel=[1,1] output %z }",
      kSquare +
          "const %b f32[6] iota const %k f32[6,10,1,1] random(1) %c = Concat(%x, %s) %z = Conv(%c, %k, %b) "
          "kernel=[1,1] output %z }",
      true);
}

TEST(DiracShortcut, OfItsOwnInputIsPartOfTheWeights) {
  for (const bool forced : {false, true}) {
    expect_rewrite("dirac_shortcut", kSquare + "%z = Conv(%x, %v, none, %x)" + kSame3 + "output %z }",
                   kSquare + "%z = Conv(%x, %v)" + kSame3 + "output %z }", forced);
    expect_rewrite("dirac_shortcut", kSquare + "%z = Conv(%x, %g, none, %x)" + kSame3 + "group=2 output %z }",
                   kSquare + "%z = Conv(%x, %g)" + kSame3 + "group=2 output %z }", forced);
  }
}

TEST(DiracShortcut, TheWeightsAreExact) {
  const Graph graph = expect_rewrite("dirac_shortcut", R"(graph {
    input %x f32[N,1,2,2]
    input %s f32[N,2,2,2]
    const %w f32[2,1,1,1] [3, 4]
    %y = Conv(%x, %w, none, %s) kernel=[1,1]
    output %y
  })",
                                     R"(graph {
    input %x f32[N,1,2,2]
    input %s f32[N,2,2,2]
    const %w f32[2,3,1,1] iota
    %c = Concat(%x, %s)
    %y = Conv(%c, %w) kernel=[1,1]
    output %y
  })",
                                     true);
  const Tensor weights = testing::last_constant(graph, 1);
  const std::vector<float> expected{3, 1, 0, 4, 0, 1};
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), weights.data<float>().begin()));
}

TEST(DiracShortcut, NoChangeWhereItDoesNotPay) {
  expect_no_change("dirac_shortcut", kSquare + "%z = Conv(%x, %w, none, %s)" + kSame3 + "output %z }");
}

TEST(DiracShortcut, NoChange) {
  for (const std::string& text : {
           kSquare + "%z = Conv(%x, %w)" + kSame3 + "output %z }",
           kSquare + "input %r f32[N,6,3,3] %z = Conv(%x, %w, none, %r)" + kSame3 +
               "strides=[2,2] output %z }",
           kSquare + "const %h f32[6,2,3,3] random(4) %z = Conv(%x, %h, none, %s)" + kSame3 +
               "group=2 output %z }",
           // No tap reads the output's own position; the map shrinks.
           kSquare + "%z = Conv(%x, %w, none, %s) kernel=[3,3] dilations=[2,2] pads_begin=[1,1] "
                     "pads_end=[3,3] output %z }",
           kSquare + "input %r f32[N,6,3,4] %z = Conv(%x, %w, none, %r) kernel=[3,3] output %z }",
           // A projection is no identity.
           kSquare + "%p = Conv(%x, %d) kernel=[1,1] %z = Conv(%x, %w, none, %p)" + kSame3 + "output %z }",
           kSquare + "input %h f32[6,4,3,3] %z = Conv(%x, %h, none, %s)" + kSame3 + "output %z }",
       }) {
    expect_no_change("dirac_shortcut", text, true);
  }
}

const std::string kBlockHead =
    "graph { input %in f32[N,6,6,6] const %w1 f32[3,6,1,1] random(1) const %w2 f32[3,3,3,3] random(2) "
    "const %w3 f32[6,3,1,1] random(3) const %b1 f32[3] random(4) const %b3 f32[6] random(5) "
    "const %wp f32[6,6,1,1] random(6) const %bp f32[6] random(7) %x = Relu(%in) ";
const std::string kRemovedHead =
    "graph { input %in f32[N,6,6,6] const %w1 f32[9,6,1,1] random(1) const %w2 f32[9,9,3,3] random(2) "
    "const %w3 f32[6,9,1,1] random(3) const %b1 f32[9] random(4) const %b3 f32[6] random(5) %x = Relu(%in) ";

TEST(ReserveAndMerge, RemovesTheIdentityShortcut) {
  expect_rewrite("reserve_and_merge",
                 kBlockHead + "%a = Conv(%x, %w1, %b1) kernel=[1,1] act=relu %c = Conv(%a, %w2)" + kSame3 +
                     "act=leaky_relu(0.5) %y = Conv(%c, %w3, %b3, %x) kernel=[1,1] act=relu output %y }",
                 kRemovedHead + "%a = Conv(%x, %w1, %b1) kernel=[1,1] act=relu %c = Conv(%a, %w2)" + kSame3 +
                     "act=leaky_relu(0.5) %y = Conv(%c, %w3, %b3) kernel=[1,1] act=relu output %y }",
                 true);
}

TEST(ReserveAndMerge, RemovesTheProjectionOnEitherSide) {
  const std::string head = kBlockHead + "%a = Conv(%x, %w1, %b1) kernel=[1,1] act=relu %c = Conv(%a, %w2)" +
                           kSame3 + "strides=[2,2] act=relu ";
  const std::string after =
      kRemovedHead + "%a = Conv(%x, %w1, %b1) kernel=[1,1] act=relu %c = Conv(%a, %w2)" + kSame3 +
      "strides=[2,2] act=relu %y = Conv(%c, %w3, %b3) kernel=[1,1] act=relu output %y }";
  expect_rewrite("reserve_and_merge",
                 head +
                     "%p = Conv(%x, %wp, %bp) kernel=[1,1] strides=[2,2] "
                     "%y = Conv(%c, %w3, none, %p) kernel=[1,1] act=relu output %y }",
                 after, true);
  expect_rewrite("reserve_and_merge",
                 head +
                     "%q = Conv(%c, %w3, %b3) kernel=[1,1] "
                     "%y = Conv(%x, %wp, %bp, %q) kernel=[1,1] strides=[2,2] act=relu output %y }",
                 after, true);
}

TEST(ReserveAndMerge, WithoutActivationsNegativeNumbersPass) {
  expect_rewrite(
      "reserve_and_merge",
      "graph { input %x f32[N,2,4,4] const %w f32[3,2,3,3] random(1) const %v f32[2,3,1,1] random(2) "
      "%a = Conv(%x, %w)" +
          kSame3 + "%y = Conv(%a, %v, none, %x) kernel=[1,1] output %y }",
      "graph { input %x f32[N,2,4,4] const %w f32[5,2,3,3] random(1) const %v f32[2,5,1,1] random(2) "
      "%a = Conv(%x, %w)" +
          kSame3 + "%y = Conv(%a, %v) kernel=[1,1] output %y }",
      true);
}

TEST(ReserveAndMerge, NoChangeWhereItDoesNotPay) {
  expect_no_change("reserve_and_merge",
                   kBlockHead + "%a = Conv(%x, %w1, %b1) kernel=[1,1] act=relu %c = Conv(%a, %w2)" + kSame3 +
                       "act=relu %y = Conv(%c, %w3, %b3, %x) kernel=[1,1] act=relu output %y }");
}

TEST(ReserveAndMerge, NoChange) {
  const std::string a = "%a = Conv(%x, %w1, %b1) kernel=[1,1] act=relu ";
  const std::string c = "%c = Conv(%a, %w2)" + kSame3 + "act=relu ";
  const std::string y = "%y = Conv(%c, %w3, %b3, %x) kernel=[1,1] act=relu output %y ";
  const std::string p = "%p = Conv(%x, %wp, %bp) kernel=[1,1] strides=[2,2] ";
  for (const std::string& text : {
           kBlockHead + a + c + y + "output %a }",                                         // read elsewhere
           kBlockHead + a + "%c = Conv(%a, %w2)" + kSame3 + "act=clip(0,0.5) " + y + "}",  // cuts x off
           kBlockHead + a + c + "%r = Sigmoid(%x) %y = Conv(%c, %w3, %b3, %r) kernel=[1,1] output %y }",
           kBlockHead + a + "%c = Conv(%a, %w2, none, %a)" + kSame3 + y + "}",
           kBlockHead + a + "const %g f32[3,1,3,3] random(8) %c = Conv(%a, %g)" + kSame3 + "group=3 " + y +
               "}",
           // x may be negative.
           kBlockHead + "%n = LeakyRelu(%in) %a = Conv(%n, %w1, %b1) kernel=[1,1] act=relu " + c +
               "%y = Conv(%c, %w3, %b3, %n) kernel=[1,1] output %y }",
           // The map shrinks and grows again; strides that are not the projection's.
           kBlockHead + a +
               "%d = Conv(%a, %w2) kernel=[3,3] %c = Conv(%d, %w2) kernel=[3,3] "
               "pads_begin=[2,2] pads_end=[2,2] " +
               y + "}",
           kBlockHead + a +
               "%c = Conv(%a, %w2) kernel=[3,3] dilations=[2,2] pads_begin=[1,1] pads_end=[2,2] "
               "strides=[2,2] act=relu " +
               p + "%y = Conv(%c, %w3, none, %p) kernel=[1,1] output %y }",
           // A shortcut of the last Conv's own input needs no channels carried.
           kBlockHead + "%y = Conv(%x, %wp, %bp, %x) kernel=[1,1] output %y }",
       }) {
    expect_no_change("reserve_and_merge", text, true);
  }
}

TEST(Cost, SaysWhatARewriteGains) {
  const std::string text = kHead + "%p = Conv(%x, %w1, %c)" + kOne + "%q = Conv(%x, %w3, %b)" + kSame3 +
                           "%s = Add(%q, %p) %z = Relu(%s) output %z }";
  Graph graph = parse_graph(text);
  const PredictedCost whole = predicted_cost(graph);
  EXPECT_EQ(whole.operators, 4);
  EXPECT_EQ(whole.macs, graph_cost(graph).macs_effective);
  FuseOptions options;
  options.costs = true;
  const PipelineReport report = run_passes(graph, aggressive_passes(), options);
  ASSERT_EQ(report.steps.size(), 3u);
  EXPECT_EQ(report.steps[0].name, "fuse_residual");
  EXPECT_EQ(report.steps[1].name, "fuse_relu");
  EXPECT_EQ(report.steps[2].name, "merge_projection");
  EXPECT_EQ(report.steps[0].before.seconds, whole.seconds);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_LT(report.steps[i].after.seconds, report.steps[i].before.seconds) << i;
    EXPECT_LT(report.steps[i].after.bytes, report.steps[i].before.bytes) << i;
    if (i > 0) {
      EXPECT_EQ(report.steps[i].before.bytes, report.steps[i - 1].after.bytes);
    }
  }
  EXPECT_EQ(report.steps[2].before.macs - report.steps[2].after.macs, 6 * 4 * 5 * 6);
}

TEST(Force, NeedsANameThatHasAPrice) {
  Graph graph = parse_graph(kHead + "%z = Relu(%x) output %z }");
  FuseOptions options;
  options.forced = {"fuse_relu"};
  try {
    run_passes(graph, aggressive_passes(), options);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_EQ(error.message(),
              "no pass to force: 'fuse_relu'; the passes are reserve_and_merge, merge_projection, "
              "dirac_shortcut");
  }
  options.forced = {"dirac_shortcut"};
  EXPECT_THROW(run_passes(graph, traditional_passes(), options), Error);
}

}  // namespace
}  // namespace xdn
