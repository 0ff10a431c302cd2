#include "fusion/support.h"

namespace xdn {
namespace {

using testing::expect_no_change;
using testing::expect_rewrite;

TEST(EliminateDead, DropsWhatNobodyReads) {
  expect_rewrite("eliminate_dead", R"(graph {
    input %x f32[N,3]
    %a = Relu(%x)
    %b = Sigmoid(%a)
    %c = Sigmoid(%b)
    output %a
  })",
                 R"(graph {
    input %x f32[N,3]
    %a = Relu(%x)
    output %a
  })");
}

TEST(EliminateDead, NoChange) {
  expect_no_change("eliminate_dead", R"(graph {
    input %x f32[N,3]
    input %unused f32[N,3]
    %a = Relu(%x)
    %b = Sigmoid(%a)
    output %b
    output %a
  })");
}

/// %x -> EXPRESSION on %r -> Sigmoid.
std::string around(const std::string& expression, const std::string& constant = "") {
  return "graph { input %x f32[N,3,4,4] " + constant + " %r = Relu(%x) %i = " + expression +
         " %y = Sigmoid(%i) output %y }";
}

TEST(EliminateIdentity, EveryKind) {
  const std::string ones = "const %c f32[3,1,1] fill(1)", zeros = "const %c f32[1] fill(0)";
  const std::vector<std::string> cases{
      around("Identity(%r)"),
      around("Reshape(%r) shape=[N,3,4,4]"),
      around("Transpose(%r) perm=[0,1,2,3]"),
      around("Pad(%r) begin=[0,0,0,0] end=[0,0,0,0]"),
      around("Pad(%r) mode=reflect begin=[0,0,0,0] end=[0,0,0,0]"),
      around("Slice(%r)"),
      around("Slice(%r) axes=[0,3] starts=[0,0] ends=[9223372036854775807,4] steps=[1,1]"),
      around("Cast(%r) to=f32"),
      around("Concat(%r)"),
      around("Clip(%r)"),
      around("Mul(%r, %c)", ones),
      around("Mul(%c, %r)", ones),
      around("Div(%r, %c)", ones),
      around("Add(%r, %c)", zeros),
      around("Add(%c, %r)", zeros),
      around("Sub(%r, %c)", zeros),
      around("MaxPool(%r) kernel=[1,1] dilations=[2,3]"),
      around("AveragePool(%r) kernel=[1,1]"),
  };
  for (const std::string& text : cases) {
    SCOPED_TRACE(text);
    expect_rewrite("eliminate_identity", text,
                   "graph { input %x f32[N,3,4,4] %r = Relu(%x) %y = Sigmoid(%r) output %y }");
  }
  expect_rewrite("eliminate_identity",
                 "graph { input %x f32[N,3] %r = Relu(%x) %f = Flatten(%r) %y = Sigmoid(%f) output %y }",
                 "graph { input %x f32[N,3] %r = Relu(%x) %y = Sigmoid(%r) output %y }");
}

TEST(EliminateIdentity, NoChange) {
  for (const std::string& text : {
           around("Reshape(%r) shape=[N,4,3,4]"),
           around("Flatten(%r)"),
           around("Transpose(%r) perm=[0,1,3,2]"),
           around("Pad(%r) begin=[0,0,1,0] end=[0,0,-1,0]"),
           around("Slice(%r) axes=[3] starts=[3] ends=[-1] steps=[-1]"),
           around("Slice(%r) axes=[3] starts=[1] ends=[4] steps=[1]"),
           around("Cast(%r) to=f64"),
           around("Concat(%r, %r)"),
           around("Clip(%r) min=0"),
           around("Mul(%r, %c)", "const %c f32[3,1,1] [1,1,2]"),
           around("Mul(%r, %c)", "const %c f32[1,1,1,1,1] [1]"),
           around("Div(%c, %r)", "const %c f32[] [1]"),
           around("Sub(%c, %r)", "const %c f32[] [0]"),
           around("Add(%r, %c)", "const %c f32[] [1e-30]"),
           around("Pow(%r, %c)", "const %c f32[] [1]"),
           around("MaxPool(%r) kernel=[1,1] strides=[2,1]"),
           around("AveragePool(%r) kernel=[3,1] pads_begin=[1,0] pads_end=[1,0]"),
       }) {
    expect_no_change("eliminate_identity", text);
  }
}

TEST(EliminateIdentity, TheOutputKeepsItsName) {
  expect_rewrite("eliminate_identity",
                 "graph { input %x f32[N,3] %r = Relu(%x) %y = Identity(%r) output %y }",
                 "graph { input %x f32[N,3] %y = Relu(%x) output %y }");
}

TEST(EliminateIdentity, NoChangeWhereAnOutputWouldLoseItsName) {
  expect_no_change("eliminate_identity", "graph { input %x f32[N,3] %y = Identity(%x) output %y }");
  expect_no_change("eliminate_identity",
                   "graph { input %x f32[N,3] %r = Relu(%x) %y = Identity(%r) output %y output %r }");
  expect_no_change("eliminate_identity", "graph { const %c f32[3] iota %y = Identity(%c) output %y }");
}

TEST(EliminateIdentity, OfTwoNamesForOneValueOneStays) {
  expect_rewrite(
      "eliminate_identity",
      "graph { input %x f32[N,3] %r = Relu(%x) %y = Identity(%r) %z = Identity(%r) output %y output %z }",
      "graph { input %x f32[N,3] %y = Relu(%x) %z = Identity(%y) output %y output %z }");
}

/// INPUT -> MIDDLE on %a -> LAST on %b.
std::string relus(const std::string& middle, const std::string& last) {
  return "graph { input %x f32[N,3,4,4] const %w f32[3,3,1,1] random(1) %a = " + middle + " %y = " + last +
         " output %y }";
}

TEST(EliminateRelu, OfWhatIsNeverNegative) {
  const std::string tail = " %y = Sigmoid(%r) output %y }";
  const std::string head = "graph { input %x f32[N,3,4,4] const %w f32[3,3,1,1] random(1) ";
  for (const std::string chain : {
           "%b = Relu(%x)",
           "%a = Relu(%x) %b = MaxPool(%a) kernel=[2,2] strides=[2,2]",
           "%a = Relu(%x) %c = AveragePool(%a) kernel=[3,3] pads_begin=[1,1] pads_end=[1,1] "
           "count_include_pad=true %b = Concat(%c, %a)",
           "%a = Sigmoid(%x) %c = Relu(%x) %b = Add(%a, %c)",
           "%b = Clip(%x) min=0.5 max=0.75",
           "%b = Conv(%x, %w) kernel=[1,1] act=relu",
           "%b = Conv(%x, %w) kernel=[1,1] act=clip(0,0.5)",
           "%a = Softmax(%x) %c = GlobalAveragePool(%a) %b = Flatten(%c)",
       }) {
    SCOPED_TRACE(chain);
    std::string after = head + chain + tail;
    after.replace(after.find("Sigmoid(%r)"), 11, "Sigmoid(%b)");
    for (const std::string relu : {"Relu(%b)", "LeakyRelu(%b) alpha=-2", "Clip(%b) min=0", "Clip(%b) min=-1"})
      expect_rewrite("eliminate_relu", head + chain + " %r = " + relu + tail, after);
  }
}

TEST(EliminateRelu, NoChange) {
  for (const std::string& text : {
           relus("Identity(%x)", "Relu(%a)"),
           relus("LeakyRelu(%x)", "Relu(%a)"),
           relus("Clip(%x) min=-1", "Relu(%a)"),
           relus("Conv(%x, %w) kernel=[1,1] act=clip(-1,1)", "Relu(%a)"),
           relus("Relu(%x)", "Clip(%a) max=1"),
           relus("Relu(%x)", "Clip(%a) min=0.5"),
           // A window in the padding alone gives -inf.
           std::string("graph { input %x f32[N,1,1,1] %r = Relu(%x) %m = MaxPool(%r) kernel=[2,2] "
                       "dilations=[2,2] pads_begin=[1,1] pads_end=[1,1] %y = Relu(%m) output %y }"),
           // Both names are wanted.
           std::string("graph { input %x f32[N,3] %r = Relu(%x) %y = Relu(%r) output %r output %y }"),
       }) {
    expect_no_change("eliminate_relu", text);
  }
}

TEST(FoldConstants, EvaluatesWhatDependsOnNoInput) {
  const Graph graph = expect_rewrite("fold_constants", R"(graph {
    input %x f32[N,2]
    const %a f32[2] [1, 2]
    const %b f32[1] [3]
    %sum = Add(%a, %b)
    %square = Mul(%sum, %sum)
    %y = Add(%x, %square)
    output %y
  })",
                                     R"(graph {
    input %x f32[N,2]
    const %square f32[2] [16, 25]
    %y = Add(%x, %square)
    output %y
  })");
  EXPECT_EQ(graph.value(graph.node(graph.order()[0]).input(1)).name, "square");
  const Tensor folded = testing::last_constant(graph, 1);
  EXPECT_EQ(folded.data<float>()[0], 16);
  EXPECT_EQ(folded.data<float>()[1], 25);
}

TEST(FoldConstants, NoChange) {
  // An input; a graph output; a quantized weight; 256 MiB; too much arithmetic.
  expect_no_change("fold_constants",
                   "graph { input %x f32[N,2] const %c f32[2] iota %y = Add(%x, %c) output %y }");
  expect_no_change("fold_constants", "graph { const %c f32[2] iota %y = Relu(%c) output %y }");
  expect_no_change("fold_constants", R"(graph {
    input %x f32[N,2]
    const %w i8[2,2] iota
    const %s f32[] [0.5]
    %d = DequantizeLinear(%w, %s) dtype=i8
    %y = MatMul(%x, %d)
    output %y
  })");
  expect_no_change("fold_constants", R"(graph {
    input %x f32[N,1,1]
    const %a f32[8192,1] iota
    const %b f32[1,8192] iota
    %c = Add(%a, %b)
    %y = Add(%x, %c)
    output %y
  })");
  expect_no_change("fold_constants", R"(graph {
    input %x f32[N,1,1,1]
    const %a f32[1,1,100,100] iota
    %c = MaxPool(%a) kernel=[1000,1000] pads_begin=[999,999] pads_end=[999,999]
    %y = Add(%x, %c)
    output %y
  })");
}

}  // namespace
}  // namespace xdn
