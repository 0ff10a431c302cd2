#include "graph/support.h"

namespace xdn {
namespace {

Graph chain() {
  return parse_graph(R"(graph {
    input %x f32[N,3]
    const %c f32[3] iota
    const %unused f32[1] [0]
    %a = Relu(%x)
    %b = Add(%a, %c)
    %side = Sigmoid(%a)
    %d = Mul(%b, %a)
    output %d
  })");
}

NodeId producer(const Graph& graph, const std::string& name) {
  return graph.value(*graph.find_value(name)).producer;
}

TEST(Edit, NamesAreMadeUnique) {
  Graph graph;
  const ValueId a = graph.add_input("a", DType::kF32, {1});
  const ValueId b = graph.add_constant("a", Tensor(DType::kF32, {1}));
  const ValueId c = graph.add_constant("", Tensor(DType::kF32, {1}));
  EXPECT_EQ(graph.value(a).name, "a");
  EXPECT_EQ(graph.value(b).name, "a.1");
  EXPECT_EQ(graph.value(c).name, "v.1");
  EXPECT_EQ(graph.unique_name("a"), "a.2");
  EXPECT_EQ(graph.find_value("a.1"), b);
  EXPECT_FALSE(graph.find_value("zzz").has_value());
}

TEST(Edit, AddNodeBefore) {
  Graph graph = chain();
  const NodeId b = producer(graph, "b");
  const NodeId fresh = graph.add_node(OpType::kRelu, NoAttrs{}, "new", {*graph.find_value("a")}, "new", b);
  ASSERT_EQ(graph.order().size(), 5u);
  EXPECT_EQ(graph.order()[1], fresh);
  EXPECT_EQ(graph.order()[2], b);
  graph.node(b).inputs[0] = graph.output_of(fresh);
  infer_shapes(graph);
  EXPECT_NO_THROW(verify(graph));
}

TEST(Edit, MoveBefore) {
  Graph graph = chain();
  const NodeId side = producer(graph, "side"), b = producer(graph, "b"), d = producer(graph, "d");
  graph.move_before(side, b);
  EXPECT_EQ(graph.order()[1], side);
  graph.move_before(side, d);
  EXPECT_EQ(graph.order()[2], side);
  graph.move_before(side, side);
  EXPECT_EQ(graph.order()[2], side);
  EXPECT_NO_THROW(verify(graph));
}

TEST(Edit, UsersCountReadsTwice) {
  Graph graph = parse_graph("graph { input %x f32[N,3] %y = Mul(%x, %x) output %y }");
  const auto users = graph.users();
  EXPECT_EQ(users[static_cast<size_t>(*graph.find_value("x"))].size(), 2u);
  EXPECT_TRUE(users[static_cast<size_t>(*graph.find_value("y"))].empty());
}

TEST(Edit, ReplaceUses) {
  Graph graph = chain();
  const ValueId a = *graph.find_value("a"), b = *graph.find_value("b");
  graph.replace_uses(b, a);
  EXPECT_EQ(graph.node(producer(graph, "d")).inputs, (std::vector<ValueId>{a, a}));
  EXPECT_EQ(graph.value(a).name, "a");
  EXPECT_EQ(graph.eliminate_dead(), 2u);
  EXPECT_NO_THROW(verify(graph));
}

TEST(Edit, ReplacingAnOutputKeepsItsName) {
  Graph graph = chain();
  const ValueId b = *graph.find_value("b"), d = *graph.find_value("d");
  graph.replace_uses(d, b);
  ASSERT_EQ(graph.outputs(), std::vector<ValueId>{b});
  EXPECT_EQ(graph.value(b).name, "d");
  EXPECT_EQ(graph.find_value("d"), b);
  EXPECT_EQ(graph.find_value("b"), d);
  graph.eliminate_dead();
  EXPECT_NO_THROW(verify(graph));
}

TEST(Edit, AnInputThatBecomesAnOutputKeepsItsName) {
  Graph graph = chain();
  const ValueId x = *graph.find_value("x");
  graph.replace_uses(*graph.find_value("d"), x);
  EXPECT_EQ(graph.outputs(), std::vector<ValueId>{x});
  EXPECT_EQ(graph.value(x).name, "x");
}

TEST(Edit, EliminateDead) {
  Graph graph = chain();
  EXPECT_EQ(graph.eliminate_dead(), 1u);
  EXPECT_EQ(graph.order().size(), 3u);
  EXPECT_FALSE(graph.node(producer(graph, "side")).alive);
  EXPECT_EQ(graph.eliminate_dead(), 0u);
  EXPECT_NO_THROW(verify(graph));
}

TEST(Edit, UnusedConstantsAreFreed) {
  Graph graph = chain();
  const ValueId unused = *graph.find_value("unused"), c = *graph.find_value("c");
  graph.drop_unused_constants();
  EXPECT_FALSE(graph.is_constant(unused));
  EXPECT_TRUE(graph.is_constant(c));
  graph.replace_uses(*graph.find_value("b"), *graph.find_value("a"));
  graph.erase(producer(graph, "b"));
  graph.drop_unused_constants();
  EXPECT_FALSE(graph.is_constant(c));
  verify(graph);
  // One that is an output stays.
  Graph constant;
  constant.set_outputs({constant.add_constant("c", Tensor(DType::kF32, {1}))});
  constant.drop_unused_constants();
  EXPECT_TRUE(constant.is_constant(constant.outputs()[0]));
}

TEST(Edit, CompactKeepsTheGraph) {
  Graph graph = chain();
  graph.metadata["a"] = "b";
  graph.eliminate_dead();
  const std::string before = print(graph);
  const size_t values = graph.value_count();
  graph.compact();
  EXPECT_EQ(graph.value_count(), values - 2);  // side and unused
  EXPECT_FALSE(graph.find_value("side").has_value());
  EXPECT_FALSE(graph.find_value("unused").has_value());
  EXPECT_EQ(print(graph), before);
  EXPECT_NO_THROW(verify(graph));
  EXPECT_EQ(graph.unique_name("side"), "side");
  graph.compact();
  EXPECT_EQ(print(graph), before);
}

TEST(Edit, EraseTakesOneNode) {
  Graph graph = chain();
  graph.erase(producer(graph, "side"));
  EXPECT_EQ(graph.order().size(), 3u);
  EXPECT_NO_THROW(verify(graph));
}

}  // namespace
}  // namespace xdn
