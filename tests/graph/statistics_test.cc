#include "graph/support.h"

namespace xdn {
namespace {

NodeCost cost(const std::string& declarations, const std::string& expression) {
  return graph_cost(parse_graph(testing::one_node(declarations, expression)));
}

TEST(Statistics, Conv) {
  const NodeCost c = cost("input %x f32[N,3,32,32] const %w f32[64,3,7,7] fill(0) const %b f32[64] fill(0)",
                          "Conv(%x, %w, %b) kernel=[7,7] strides=[2,2] pads_begin=[3,3] pads_end=[3,3]");
  EXPECT_EQ(c.macs, 64 * 3 * 16 * 16 * 49);
  // Per axis: 16 positions of 7 taps, less 3 + 1 beyond the left border and 2 beyond the right one.
  EXPECT_EQ(c.macs_effective, 64 * 3 * (16 * 7 - 6) * (16 * 7 - 6));
  EXPECT_EQ(c.parameters, 64 * 3 * 49 + 64);
}

TEST(Statistics, ThreeByThreeOnOnePixel) {
  const NodeCost c = cost("input %x f32[N,512,1,1] const %w f32[512,512,3,3] fill(0)",
                          "Conv(%x, %w) kernel=[3,3] pads_begin=[1,1] pads_end=[1,1]");
  EXPECT_EQ(c.macs, 9 * 512 * 512);
  EXPECT_EQ(c.macs_effective, 512 * 512);
}

TEST(Statistics, GroupsAxesAndFixedBatch) {
  const NodeCost depthwise =
      cost("input %x f32[N,8,5] const %w f32[8,1,3] fill(0)", "Conv(%x, %w) kernel=[3] group=8");
  EXPECT_EQ(depthwise.macs, 8 * 3 * 3);
  EXPECT_EQ(depthwise.macs_effective, 8 * 3 * 3);
  const NodeCost dilated = cost("input %x f32[4,1,5] const %w f32[1,1,3] fill(0)",
                                "Conv(%x, %w) kernel=[3] dilations=[3] pads_begin=[3] pads_end=[3]");
  EXPECT_EQ(dilated.macs, 5 * 3);
  EXPECT_EQ(dilated.macs_effective, 2 + 5 + 2);
}

TEST(Statistics, GemmAndMatMul) {
  EXPECT_EQ(cost("input %x f32[N,64] const %w f32[10,64] fill(0) const %b f32[10] fill(0)",
                 "Gemm(%x, %w, %b) trans_b=true")
                .macs,
            640);
  EXPECT_EQ(cost("input %x f32[64,N] const %w f32[64,10] fill(0)", "Gemm(%x, %w) trans_a=true").macs, 640);
  EXPECT_EQ(cost("input %x f32[N,7,4] const %w f32[4,5] fill(0)", "MatMul(%x, %w)").macs, 7 * 4 * 5);
  EXPECT_EQ(cost("input %x f32[4] const %w f32[4] fill(0)", "MatMul(%x, %w)").macs_effective, 4);
}

TEST(Statistics, OtherOperatorsHaveParametersOnly) {
  const NodeCost c = cost(
      "input %x f32[N,4,8,8] const %s f32[4] fill(2) const %b f32[4] fill(1) const %m f32[4] fill(3) "
      "const %v f32[4] fill(4)",
      "BatchNorm(%x, %s, %b, %m, %v)");
  EXPECT_EQ(c.macs, 0);
  EXPECT_EQ(c.parameters, 8);
  EXPECT_EQ(cost("input %x f32[N,4]", "Relu(%x)").parameters, 0);
}

TEST(Statistics, BatchNormWithoutScaleAndBiasLearnsNothing) {
  const NodeCost c = cost(
      "input %x f32[N,4,8,8] const %s f32[4] fill(1) const %b f32[4] fill(0) const %m f32[4] fill(3) "
      "const %v f32[4] fill(4)",
      "BatchNorm(%x, %s, %b, %m, %v)");
  EXPECT_EQ(c.parameters, 0);
}

TEST(Statistics, SharedConstantsCountOnce) {
  const Graph graph = parse_graph(R"(graph {
    input %x f32[N,4,8,8]
    const %w f32[4,4,1,1] fill(1)
    const %s f32[4] fill(2)
    %a = Conv(%x, %w) kernel=[1,1]
    %b = Conv(%a, %w, %s) kernel=[1,1]
    %c = BatchNorm(%b, %s, %s, %s, %s)
    output %c
  })");
  const NodeCost total = graph_cost(graph);
  EXPECT_EQ(total.parameters, 16 + 4);
  EXPECT_EQ(total.macs, 2 * 16 * 64);
  EXPECT_EQ(node_cost(graph, graph.node(graph.order()[2])).parameters, 4);
}

TEST(Statistics, OverflowIsAnError) {
  Graph graph;
  const ValueId x = graph.add_input("x", DType::kI8, {kBatch, 1 << 17, 1, 1 << 18});
  const ValueId w = graph.add_input("w", DType::kI8, {1 << 18, 1 << 17, 1, 1});
  ConvAttrs attrs;
  attrs.window = {{1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}};
  graph.set_outputs({graph.output_of(graph.add_node(OpType::kConv, attrs, "huge", {x, w}, "y"))});
  infer_shapes(graph);
  EXPECT_NO_THROW(graph_cost(graph));  // 2^53
  graph.value(x).shape = {kBatch, 1 << 17, 2, 1 << 17};
  graph.value(graph.outputs()[0]).shape = {kBatch, 1 << 18, int64_t{1} << 20, int64_t{1} << 20};
  EXPECT_EQ(testing::error_of([&] { graph_cost(graph); }),
            "layer 'huge': the number of multiply-accumulates does not fit in 63 bits");
}

}  // namespace
}  // namespace xdn
