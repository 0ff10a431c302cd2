#include "graph/support.h"

namespace xdn {
namespace {

using testing::contains;
using testing::error_of;

/// x -> a: Relu -> b: Add(a, c) -> output.
struct Sample {
  Graph graph;
  ValueId x, c;
  NodeId a, b;

  Sample() {
    x = graph.add_input("x", DType::kF32, {kBatch, 3});
    c = graph.add_constant("c", Tensor(DType::kF32, {3}));
    a = graph.add_node(OpType::kRelu, NoAttrs{}, "a", {x}, "a");
    b = graph.add_node(OpType::kAdd, NoAttrs{}, "b", {graph.output_of(a), c}, "b");
    graph.set_outputs({graph.output_of(b)});
    infer_shapes(graph);
  }

  void expect(const std::string& part) const {
    const std::string message = error_of([&] { verify(graph); });
    EXPECT_TRUE(contains(message, part)) << message;
  }
};

TEST(Verify, AcceptsAValidGraph) { EXPECT_NO_THROW(verify(Sample().graph)); }

TEST(Verify, AcceptsInputsAndConstantsAsOutputs) {
  Sample s;
  s.graph.set_outputs({s.x, s.c, s.graph.output_of(s.b), s.graph.output_of(s.a)});
  EXPECT_NO_THROW(verify(s.graph));
}

TEST(Verify, AttributesOfAnotherOperator) {
  Sample s;
  s.graph.node(s.a).attrs = ConvAttrs{};
  s.expect("layer 'a': the attributes are not those of Relu");
}

TEST(Verify, NumberOfInputs) {
  Sample s;
  s.graph.node(s.b).inputs.pop_back();
  s.expect("layer 'b': Add takes 2 inputs, but has 1");
}

TEST(Verify, AbsentInput) {
  Sample s;
  s.graph.node(s.b).inputs[1] = kNoValue;
  s.expect("layer 'b': input 1 of Add must not be absent");
}

TEST(Verify, InputThatDoesNotExist) {
  Sample s;
  for (const ValueId id : {99, -2}) {
    s.graph.node(s.b).inputs[1] = id;
    s.expect("layer 'b': input 1 does not exist");
  }
}

TEST(Verify, UseBeforeDefinition) {
  Sample s;
  s.graph.move_before(s.b, s.a);
  s.expect("layer 'b': input 0, 'a', is not computed before its use");
}

TEST(Verify, Cycle) {
  Sample s;
  s.graph.node(s.a).inputs[0] = s.graph.output_of(s.b);
  s.expect("layer 'a': input 0, 'b', is not computed before its use");
}

TEST(Verify, ReadsTheOutputOfAnErasedNode) {
  Sample s;
  s.graph.erase(s.a);
  s.expect("layer 'b': input 0, 'a', is not computed before its use");
}

TEST(Verify, DanglingOutput) {
  Sample s;
  s.graph.erase(s.b);
  s.expect("graph output 'b' is computed by no node");
  s.graph.set_outputs({77});
  s.expect("graph output 77 is computed by no node");
  s.graph.set_outputs({kNoValue});
  s.expect("graph output -1 is computed by no node");
  s.graph.set_outputs({});
  s.expect("the graph has no outputs");
}

TEST(Verify, ErasedNodeInTheOrder) {
  Sample s;
  s.graph.node(s.a).alive = false;
  s.expect("an erased node stands in the order");
}

TEST(Verify, ValueDefinedTwice) {
  Sample s;
  s.graph.node(s.b).output = s.graph.output_of(s.a);
  s.expect("layer 'b': value 'a' names another producer");
  Sample t;
  t.graph.node(t.b).output = t.x;
  t.graph.value(t.x).producer = t.b;
  t.expect("graph input 'x' has a definition besides");
}

TEST(Verify, NodeWithoutOutput) {
  Sample s;
  s.graph.node(s.b).output = kNoValue;
  s.expect("a node has no output");
}

TEST(Verify, ConstantWithAProducer) {
  Sample s;
  s.graph.value(s.graph.output_of(s.a)).constant = Tensor(DType::kF32, {3});
  s.expect("constant 'a' has a producer");
}

TEST(Verify, ConstantOfAnotherShape) {
  Sample s;
  s.graph.value(s.c).shape = {4};
  s.expect("constant 'c' has shape [3], but is declared as [4]");
  s.graph.value(s.c).shape = {3};
  s.graph.value(s.c).dtype = DType::kF64;
  s.expect("constant 'c'");
}

TEST(Verify, DuplicateNames) {
  Sample s;
  s.graph.value(s.graph.output_of(s.a)).name = "x";
  s.expect("two values have the name 'x'");
  s.graph.value(s.graph.output_of(s.a)).name.clear();
  s.expect("a value has no name");
}

TEST(Verify, UnusedValuesMayShareANameOrLackOne) {
  Sample s;
  const ValueId spare = s.graph.add_constant("spare", Tensor(DType::kF32, {1}));
  s.graph.value(spare).name = "x";
  EXPECT_NO_THROW(verify(s.graph));
}

TEST(Verify, ShapesThatDisagree) {
  Sample s;
  s.graph.value(s.graph.output_of(s.a)).shape = {kBatch, 3, 1};
  s.expect("layer 'a': the output is declared as f32[N,3,1], but is f32[N,3]");
  s.graph.value(s.graph.output_of(s.a)).shape = {kBatch, 3};
  s.graph.value(s.graph.output_of(s.b)).dtype = DType::kF64;
  s.expect("layer 'b': the output is declared as f64[N,3], but is f32[N,3]");
}

TEST(Verify, NegativeInputExtent) {
  Sample s;
  s.graph.value(s.x).shape = {-5, 3};
  s.expect("graph input 'x' has a negative extent in shape [-5,3]");
}

}  // namespace
}  // namespace xdn
