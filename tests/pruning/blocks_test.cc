#include "pruning/blocks.h"

#include "base/error.h"
#include "executor/reference.h"
#include "fusion/support.h"
#include "pruning/support.h"
#include "support/nets.h"

namespace xdn::testing {
namespace {

using pruning::Block;
using pruning::find_blocks;
using pruning::remove_blocks;
using pruning::remove_named_blocks;

std::string net(const std::string& lines, const std::string& outputs = "  output %y\n") {
  return "graph \"g\" {\n  input %x f32[N,2,4,4]\n  const %w f32[2,2,3,3] random(1)\n"
         "  const %v f32[2,2,1,1] random(2)\n" +
         lines + outputs + "}\n";
}
std::string conv(const std::string& y, const std::string& x, const std::string& residual = "",
                 const std::string& more = "") {
  return "  %" + y + " = Conv(%" + x + ", %w" + (residual.empty() ? "" : ", none, %" + residual) +
         ") kernel=[3,3] pads_begin=[1,1] pads_end=[1,1]" + more + "\n";
}

/// "t: a b" per block: the sum and its branch.
std::string blocks_of(const std::string& text) {
  const Graph graph = parse_graph(text);
  std::string out;
  for (const Block& block : find_blocks(graph)) {
    out += block.name + ":";
    for (const NodeId id : block.branch) out += " " + layer_name(graph, graph.node(id));
    out += "\n";
  }
  return out;
}

/// What is left of the graph without the named blocks.
void expect_removed(const std::string& before, const std::vector<std::string>& names,
                    const std::string& after) {
  const Graph graph = parse_graph(before);
  const Graph left = remove_named_blocks(graph, names);
  const Graph expected = parse_graph(after);
  EXPECT_EQ(structure(left), structure(expected));
  expect_same_outputs(left, expected);
}

TEST(Blocks, AnAddOfABranchAndItsInput) {
  const std::string tail = "  %y = Relu(%t)\n";
  for (const std::string sum : {"  %t = Add(%b, %r)\n", "  %t = Add(%r, %b)\n"}) {
    const std::string text = net("  %r = Relu(%x)\n" + conv("a", "r") + conv("b", "a") + sum + tail);
    EXPECT_EQ(blocks_of(text), "t: a b\n");
    expect_removed(text, {"t"}, net("  %r = Relu(%x)\n  %y = Relu(%r)\n"));
  }
}

TEST(Blocks, AConvWithAResidual) {
  const std::string text = net(conv("a", "x") + conv("b", "a", "x") + conv("y", "b"));
  EXPECT_EQ(blocks_of(text), "b: a b\n");
  expect_removed(text, {"b"}, net(conv("y", "x")));
}

TEST(Blocks, TheActivationOfTheSumStays) {
  const struct {
    const char *act, *op;
  } cases[] = {{"relu", "Relu(%x)"},
               {"leaky_relu(0.5)", "LeakyRelu(%x) alpha=0.5"},
               {"clip(0,0.25)", "Clip(%x) min=0 max=0.25"}};
  for (const auto& c : cases) {
    const std::string text =
        net(conv("a", "x") + conv("b", "a", "x", std::string(" act=") + c.act) + conv("y", "b"));
    expect_removed(text, {"b"}, net("  %b = " + std::string(c.op) + "\n" + conv("y", "b")));
  }
}

TEST(Blocks, BranchesThatFork) {
  const std::string text = net(conv("a", "x") +
                               "  %p = GlobalAveragePool(%a)\n"
                               "  %e = Conv(%p, %v) kernel=[1,1]\n  %h = Sigmoid(%e)\n  %m = Mul(%a, %h)\n"
                               "  %t = Add(%m, %x)\n" +
                               conv("y", "t"));
  EXPECT_EQ(blocks_of(text), "t: a p e h m\n");
  expect_removed(text, {"t"}, net(conv("y", "x")));
}

TEST(Blocks, TheOutputKeepsItsName) {
  const std::string text = net(conv("a", "x") + "  %y = Add(%a, %x)\n");
  expect_removed(text, {"y"}, net("  %y = Identity(%x)\n"));
  EXPECT_EQ(remove_named_blocks(parse_graph(text), {"y"}).outputs().size(), 1u);
}

TEST(Blocks, SeveralAtOnce) {
  const std::string text =
      net(conv("a", "x") + "  %s = Add(%a, %x)\n" + conv("b", "s") + "  %t = Add(%b, %s)\n" + conv("c", "t") +
          "  %u = Add(%c, %t)\n" + conv("y", "u"));
  EXPECT_EQ(blocks_of(text), "s: a\nt: b\nu: c\n");
  expect_removed(text, {"s", "t"}, net(conv("c", "x") + "  %u = Add(%c, %x)\n" + conv("y", "u")));
  expect_removed(text, {"u", "s", "t"}, net(conv("y", "x")));
}

TEST(Blocks, OneInsideAnother) {
  const std::string text =
      net(conv("a", "x") + conv("b", "a") + "  %s = Add(%b, %a)\n  %t = Add(%s, %x)\n" + conv("y", "t"));
  EXPECT_EQ(blocks_of(text), "s: b\nt: a b s\n");
  expect_removed(text, {"s"}, net(conv("a", "x") + "  %t = Add(%a, %x)\n" + conv("y", "t")));
  expect_removed(text, {"t", "s"}, net(conv("y", "x")));
  expect_removed(text, {"s", "t"}, net(conv("y", "x")));
}

TEST(Blocks, NoneWhereSomebodyElseReads) {
  EXPECT_EQ(blocks_of(net(conv("a", "x") + conv("b", "a") + "  %t = Add(%b, %x)\n" + conv("c", "t") +
                          "  %y = Mul(%c, %a)\n")),
            "");
  EXPECT_EQ(blocks_of(net(conv("a", "x") + conv("b", "a") + "  %t = Add(%b, %x)\n" + conv("y", "t"),
                          "  output %y\n  output %b\n")),
            "");
}

TEST(Blocks, NoneWithAProjection) {
  EXPECT_EQ(blocks_of(net(conv("a", "x") + conv("b", "a") +
                          "  %p = Conv(%x, %v) kernel=[1,1]\n"
                          "  %t = Add(%b, %p)\n" +
                          conv("y", "t"))),
            "");
}

TEST(Blocks, NoneOfASumWithTwoInputsOfItsOwn) {
  EXPECT_EQ(blocks_of("graph \"g\" {\n  input %x f32[N,2,4,4]\n  input %z f32[N,2,4,4]\n"
                      "  const %w f32[2,2,3,3] random(1)\n" +
                      conv("a", "z") + "  %t = Add(%a, %x)\n  %y = Relu(%t)\n  output %y\n}\n"),
            "");
  EXPECT_EQ(blocks_of(net("  %t = Add(%x, %x)\n" + conv("y", "t"))), "");
  EXPECT_EQ(blocks_of(net("  const %c f32[2,1,1] random(4)\n  %t = Add(%x, %c)\n" + conv("y", "t"))), "");
}

TEST(Blocks, TheShortcutHasTheShapeOfTheSum) {
  EXPECT_EQ(blocks_of(net("  %p = GlobalAveragePool(%x)\n  %t = Add(%p, %x)\n" + conv("y", "t"))), "t: p\n");
  EXPECT_EQ(blocks_of(net("  %p = GlobalAveragePool(%x)\n  %q = Pad(%p) begin=[0,0,3,3] end=[0,0,0,0]\n"
                          "  %t = Add(%p, %q)\n" +
                          conv("y", "t"))),
            "");
}

TEST(Blocks, AnUnknownNameIsAnError) {
  const Graph graph = parse_graph(net(conv("a", "x") + "  %t = Add(%a, %x)\n" + conv("y", "t")));
  try {
    remove_named_blocks(graph, {"a"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "layer 'a': is not the sum at the end of a residual block");
  }
}

TEST(Blocks, OfAResNet50) {
  const Graph graph = make_resnet50(32, 10);
  const std::vector<Block> blocks = find_blocks(graph);
  EXPECT_EQ(blocks.size(), 12u);  // of 16; four have projections
  int64_t macs = 0;
  for (const Block& block : blocks) {
    EXPECT_EQ(block.branch.size(), 3u);
    macs += block.macs_effective;
  }
  const Graph left = remove_blocks(graph, blocks);
  EXPECT_EQ(graph_cost(left).macs_effective, graph_cost(graph).macs_effective - macs);
  EXPECT_TRUE(find_blocks(left).empty());
}

}  // namespace
}  // namespace xdn::testing
