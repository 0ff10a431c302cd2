// Element types, broadcasting, matrix products, quantization; windows and shape operators have files of their
// own.
#include "graph/support.h"

namespace xdn {
namespace {

const char* const kImage = "input %x f32[N,3,8,8]";

TEST(Infer, ElementwiseKeepsShapeAndType) {
  for (const char* op : {"Relu(%x)", "LeakyRelu(%x) alpha=0.2", "Clip(%x) min=0 max=6", "Sigmoid(%x)",
                         "HardSigmoid(%x)", "HardSwish(%x)", "Identity(%x)"}) {
    EXPECT_TYPE("f32[N,3,8,8]", kImage, op);
    EXPECT_TYPE("f64[2]", "input %x f64[2]", op);
    EXPECT_TYPE("f32[]", "input %x f32[]", op);
    EXPECT_TYPE("f32[0,3]", "input %x f32[0,3]", op);
  }
}

TEST(Infer, PReluSlopeBroadcastsToX) {
  EXPECT_TYPE("f32[N,3,8,8]", "input %x f32[N,3,8,8] const %s f32[3,1,1] fill(1)", "PRelu(%x, %s)");
  EXPECT_TYPE("f32[N,3,8,8]", "input %x f32[N,3,8,8] const %s f32[] fill(1)", "PRelu(%x, %s)");
  EXPECT_REFUSED("the slope has shape [3], which does not broadcast to [N,3,8,8]",
                 "input %x f32[N,3,8,8] const %s f32[3] fill(1)", "PRelu(%x, %s)");
  EXPECT_REFUSED("does not broadcast", "input %x f32[3] const %s f32[1,3] fill(1)", "PRelu(%x, %s)");
}

TEST(Infer, BinaryBroadcasts) {
  for (const std::string op : {"Add", "Sub", "Mul", "Div", "Pow", "Max"}) {
    const std::string call = op + "(%a, %b)";
    EXPECT_TYPE("f32[N,3,8,8]", "input %a f32[N,3,8,8] input %b f32[N,3,8,8]", call);
    EXPECT_TYPE("f32[N,3,8,8]", "input %a f32[3,1,1] input %b f32[N,3,8,8]", call);
    EXPECT_TYPE("f32[N,3,8,8]", "input %a f32[N,1,8,1] input %b f32[1,3,1,8]", call);
    EXPECT_TYPE("f32[2,3]", "input %a f32[2,1] input %b f32[3]", call);
    EXPECT_TYPE("f32[0]", "input %a f32[0] input %b f32[1]", call);
    EXPECT_TYPE("f32[]", "input %a f32[] input %b f32[]", call);
    EXPECT_REFUSED("shapes [3] and [4] do not broadcast", "input %a f32[3] input %b f32[4]", call);
    EXPECT_REFUSED("N fits only N or 1, not 4", "input %a f32[N,3] input %b f32[4,3]", call);
    EXPECT_REFUSED("N fits only N or 1, not 3", "input %a f32[N,3] input %b f32[3,1]", call);
    EXPECT_REFUSED("free batch dimension N twice", "input %a f32[N,1] input %b f32[1,N]", call);
  }
}

TEST(Infer, BinaryNeedsEqualTypesButPow) {
  for (const std::string op : {"Add", "Sub", "Mul", "Div", "Max"}) {
    EXPECT_REFUSED("input 1 is f64, but input 0 is f32", "input %a f32[3] input %b f64[3]", op + "(%a, %b)");
  }
  EXPECT_TYPE("f32[3]", "input %a f32[3] input %b i64[3]", "Pow(%a, %b)");
  EXPECT_TYPE("i32[3]", "input %a i32[3] input %b f32[]", "Pow(%a, %b)");
}

TEST(Infer, Gemm) {
  EXPECT_TYPE("f32[N,10]", "input %a f32[N,64] const %b f32[64,10] fill(0) const %c f32[10] fill(0)",
              "Gemm(%a, %b, %c)");
  EXPECT_TYPE("f32[N,10]", "input %a f32[N,64] const %b f32[10,64] fill(0)",
              "Gemm(%a, %b) trans_b=true act=relu");
  EXPECT_TYPE("f32[N,10]", "input %a f32[64,N] const %b f32[64,10] fill(0) const %c f32[] [1]",
              "Gemm(%a, %b, %c) trans_a=true alpha=0.5 beta=2");
  EXPECT_TYPE("f32[4,10]", "input %a f32[4,64] input %b f32[64,10] input %c f32[4,1]", "Gemm(%a, %b, %c)");
  EXPECT_REFUSED("64 columns meet 63 rows", "input %a f32[N,64] input %b f32[63,10]", "Gemm(%a, %b)");
  EXPECT_REFUSED("input a must have exactly 2 axes, but its shape is [N,64,1]",
                 "input %a f32[N,64,1] input %b f32[1,10]", "Gemm(%a, %b)");
  EXPECT_REFUSED("input b must have exactly 2 axes", "input %a f32[N,64] input %b f32[64]", "Gemm(%a, %b)");
  EXPECT_REFUSED("input c has shape [9], which does not broadcast to [N,10]",
                 "input %a f32[N,64] input %b f32[64,10] input %c f32[9]", "Gemm(%a, %b, %c)");
  EXPECT_REFUSED("does not broadcast", "input %a f32[N,64] input %b f32[64,10] input %c f32[4,10]",
                 "Gemm(%a, %b, %c)");
  EXPECT_REFUSED("the summed axis of a", "input %a f32[N,64] input %b f32[64,10]",
                 "Gemm(%a, %b) trans_a=true");
  EXPECT_REFUSED("element types must be equal", "input %a f32[N,64] input %b f64[64,10]", "Gemm(%a, %b)");
}

TEST(Infer, MatMulAsNumpy) {
  const auto type = [](const std::string& a, const std::string& b) {
    return testing::result_type("input %a f32" + a + " input %b f32" + b, "MatMul(%a, %b)");
  };
  EXPECT_EQ(type("[N,4]", "[4,5]"), "f32[N,5]");
  EXPECT_EQ(type("[4]", "[4,5]"), "f32[5]");
  EXPECT_EQ(type("[N,4]", "[4]"), "f32[N]");
  EXPECT_EQ(type("[4]", "[4]"), "f32[]");
  EXPECT_EQ(type("[N,7,3,4]", "[4,5]"), "f32[N,7,3,5]");
  EXPECT_EQ(type("[N,7,3,4]", "[N,1,4,5]"), "f32[N,7,3,5]");
  EXPECT_EQ(type("[3,4]", "[N,4,5]"), "f32[N,3,5]");
  EXPECT_TRUE(testing::contains(type("[N,4]", "[5,4]"), "4 columns meet 5 rows"));
  EXPECT_TRUE(testing::contains(type("[N,4]", "[N,5]"), "the summed axis of b"));
  EXPECT_TRUE(testing::contains(type("[2,3,4]", "[3,4,5]"), "do not broadcast"));
  EXPECT_TRUE(testing::contains(type("[]", "[4]"), "input a must have at least 1"));
}

TEST(Infer, CastAndIdentity) {
  EXPECT_TYPE("u8[N,3,8,8]", kImage, "Cast(%x) to=u8");
  EXPECT_TYPE("b8[N,3,8,8]", kImage, "Cast(%x) to=b8");
}

TEST(Infer, Softmax) {
  EXPECT_TYPE("f32[N,10]", "input %x f32[N,10]", "Softmax(%x)");
  EXPECT_TYPE("f32[N,10,4]", "input %x f32[N,10,4]", "Softmax(%x) axis=1 to_end=true");
  EXPECT_TYPE("f32[4,N]", "input %x f32[4,N]", "Softmax(%x) axis=0");
  EXPECT_REFUSED("normalising over the batch", "input %x f32[N,10]", "Softmax(%x) axis=0");
  EXPECT_REFUSED("normalising over the batch", "input %x f32[4,N]", "Softmax(%x) axis=0 to_end=true");
  EXPECT_REFUSED("axis 2 is not an axis of an input with 2 axes", "input %x f32[N,10]", "Softmax(%x) axis=2");
  EXPECT_REFUSED("axis -1 is not an axis", "input %x f32[N,10]", "Softmax(%x) axis=-1");
}

TEST(Infer, QuantizeLinear) {
  const std::string x = "input %x f32[N,3,8,8] ";
  EXPECT_TYPE("u8[N,3,8,8]", x + "const %s f32[] [0.5]", "QuantizeLinear(%x, %s)");
  EXPECT_TYPE("i8[N,3,8,8]", x + "const %s f32[] [0.5] const %z i8[] [0]",
              "QuantizeLinear(%x, %s, %z) dtype=i8");
  EXPECT_TYPE("i8[N,3,8,8]", x + "const %s f32[3] fill(1) const %z i8[3] fill(0)",
              "QuantizeLinear(%x, %s, %z) dtype=i8");
  EXPECT_TYPE("u16[N,3,8,8]", x + "const %s f32[8] fill(1)", "QuantizeLinear(%x, %s) axis=3 dtype=u16");
  EXPECT_REFUSED("the scale has 4 elements, but axis 1", x + "const %s f32[4] fill(1)",
                 "QuantizeLinear(%x, %s)");
  EXPECT_REFUSED("axis 4 is not an axis", x + "const %s f32[3] fill(1)", "QuantizeLinear(%x, %s) axis=4");
  EXPECT_REFUSED("the quantized axis", x + "const %s f32[3] fill(1)", "QuantizeLinear(%x, %s) axis=0");
  EXPECT_REFUSED("the scale must have", x + "const %s f32[3,1,1] fill(1)", "QuantizeLinear(%x, %s)");
  EXPECT_REFUSED("the zero point has shape []", x + "const %s f32[3] fill(1) const %z u8[] [0]",
                 "QuantizeLinear(%x, %s, %z)");
  EXPECT_REFUSED("the zero point is u8, but quantized elements are i8",
                 x + "const %s f32[] [1] const %z u8[] [0]", "QuantizeLinear(%x, %s, %z) dtype=i8");
  EXPECT_REFUSED("must be i8, u8, i16, u16 or i32, not f32", x + "const %s f32[] [1]",
                 "QuantizeLinear(%x, %s) dtype=f32");
  EXPECT_REFUSED("cannot quantize to i32", x + "const %s f32[] [1]", "QuantizeLinear(%x, %s) dtype=i32");
  EXPECT_REFUSED("the scale must be of a floating-point type", x + "const %s i32[] [1]",
                 "QuantizeLinear(%x, %s)");
}

TEST(Infer, DequantizeLinear) {
  EXPECT_TYPE("f32[N,3]", "input %x u8[N,3] const %s f32[] [0.5]", "DequantizeLinear(%x, %s)");
  EXPECT_TYPE("f16[N,3]", "input %x i8[N,3] const %s f16[3] fill(1) const %z i8[3] fill(0)",
              "DequantizeLinear(%x, %s, %z)");
  EXPECT_TYPE("f32[4]", "input %x i32[4] const %s f32[4] fill(1)", "DequantizeLinear(%x, %s) axis=0");
  EXPECT_REFUSED("not f32", "input %x f32[N,3] const %s f32[] [0.5]", "DequantizeLinear(%x, %s)");
  EXPECT_REFUSED("the zero point is u8", "input %x i8[N,3] const %s f32[] [1] const %z u8[] [0]",
                 "DequantizeLinear(%x, %s, %z)");
}

TEST(Infer, NumberOfInputs) {
  EXPECT_REFUSED("Relu takes 1 inputs, but has 2", kImage, "Relu(%x, %x)");
  EXPECT_REFUSED("Conv takes 2 to 4 inputs, but has 1", kImage, "Conv(%x) kernel=[1,1]");
  EXPECT_REFUSED("Concat takes 1 or more inputs, but has 0", kImage, "Concat()");
  EXPECT_REFUSED("input 0 of Add must not be absent", kImage, "Add(none, %x)");
  EXPECT_REFUSED("input 1 of Concat must not be absent", kImage, "Concat(%x, none)");
}

TEST(Infer, RefusesAbsurdShapes) {
  EXPECT_REFUSED("larger than 64 GiB", "input %a f32[1,1000000,1] input %b f32[1000000,1,1000000]",
                 "Add(%a, %b)");
  EXPECT_REFUSED("has an absurd extent", "input %x f32[0,9000000000000000000]", "Relu(%x)");
  EXPECT_REFUSED("has 17 axes", "input %x f32[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1] const %i i64[1,1] [0]",
                 "Gather(%x, %i) axis=0");
}

TEST(Infer, NamesTheNode) {
  Graph graph;
  const ValueId x = graph.add_input("x", DType::kF32, {kBatch, 3});
  const NodeId add = graph.add_node(OpType::kAdd, NoAttrs{}, "res2a/add",
                                    {x, graph.add_constant("c", Tensor(DType::kF32, {4}))}, "y");
  graph.set_outputs({graph.output_of(add)});
  EXPECT_EQ(testing::error_of([&] { infer_shapes(graph); }),
            "layer 'res2a/add': shapes [N,3] and [4] do not broadcast");
  graph.node(add).name.clear();
  EXPECT_EQ(layer_name(graph, graph.node(add)), "y");
}

TEST(Infer, ChecksGraphInputs) {
  Graph graph;
  const ValueId x = graph.add_input("x", DType::kF32, {kBatch, -7});
  graph.set_outputs({graph.output_of(graph.add_node(OpType::kRelu, NoAttrs{}, "r", {x}, "y"))});
  EXPECT_TRUE(testing::contains(testing::error_of([&] { infer_shapes(graph); }), "negative extent"));
  graph.value(x).shape = {kBatch, kBatch};
  EXPECT_TRUE(testing::contains(testing::error_of([&] { infer_shapes(graph); }), "N twice"));
}

TEST(Infer, FillsTheWholeGraph) {
  Graph graph;
  const ValueId x = graph.add_input("x", DType::kF32, {kBatch, 3, 4, 4});
  const NodeId pool = graph.add_node(OpType::kGlobalAveragePool, NoAttrs{}, "pool", {x}, "p");
  const NodeId flat = graph.add_node(OpType::kFlatten, FlattenAttrs{}, "flat", {graph.output_of(pool)}, "f");
  graph.set_outputs({graph.output_of(flat)});
  infer_shapes(graph);
  EXPECT_EQ(graph.value(graph.output_of(pool)).shape, (Dims{kBatch, 3, 1, 1}));
  EXPECT_EQ(graph.value(graph.output_of(flat)).shape, (Dims{kBatch, 3}));
  graph.value(x).shape = {2, 5, 4, 4};
  infer_shapes(graph);
  EXPECT_EQ(graph.value(graph.output_of(flat)).shape, (Dims{2, 5}));
}

}  // namespace
}  // namespace xdn
