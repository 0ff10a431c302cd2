#include "fusion/support.h"

namespace xdn {
namespace {

using testing::expect_no_change;
using testing::expect_rewrite;

const std::string kHead = "graph { input %x f32[N,3,4,5] const %w f32[3,3,3,3] random(1) ";

TEST(NormalizeGlobalPool, WholeMaps) {
  const std::string after = kHead + "%p = GlobalAveragePool(%x) %y = Sigmoid(%p) output %y }";
  for (const std::string pool : {
           "AveragePool(%x) kernel=[4,5]",
           "AveragePool(%x) kernel=[4,5] strides=[4,5] count_include_pad=true ceil_mode=true",
           "ReduceMean(%x) axes=[2,3]",
       }) {
    SCOPED_TRACE(pool);
    expect_rewrite("normalize_global_pool", kHead + "%p = " + pool + " %y = Sigmoid(%p) output %y }", after);
  }
  expect_rewrite("normalize_global_pool",
                 kHead + "%p = ReduceMean(%x) axes=[2,3] keepdims=false %y = Sigmoid(%p) output %y }",
                 kHead + "%p = GlobalAveragePool(%x) %f = Flatten(%p) %y = Sigmoid(%f) output %y }");
  expect_rewrite("normalize_global_pool",
                 "graph { input %x f32[N,3,7] %y = AveragePool(%x) kernel=[7] output %y }",
                 "graph { input %x f32[N,3,7] %y = GlobalAveragePool(%x) output %y }");
}

TEST(NormalizeGlobalPool, NoChange) {
  for (const std::string& text : {
           kHead + "%y = AveragePool(%x) kernel=[4,4] strides=[4,4] output %y }",
           kHead + "%y = AveragePool(%x) kernel=[4,5] pads_begin=[1,0] output %y }",
           kHead + "%y = AveragePool(%x) kernel=[4,5] strides=[3,3] pads_end=[3,0] output %y }",
           kHead + "%y = MaxPool(%x) kernel=[4,5] output %y }",
           kHead + "%y = ReduceMean(%x) axes=[1,2,3] output %y }",
           kHead + "%y = ReduceMean(%x) axes=[3] output %y }",
           std::string("graph { input %x f16[N,3,4,5] %y = ReduceMean(%x) axes=[2,3] output %y }"),
       }) {
    expect_no_change("normalize_global_pool", text);
  }
}

TEST(NormalizeFlatten, OneFormOnly) {
  const std::string after = kHead + "%f = Flatten(%x) %y = Sigmoid(%f) output %y }";
  expect_rewrite("normalize_flatten", kHead + "%f = Reshape(%x) shape=[N,60] %y = Sigmoid(%f) output %y }",
                 after);
  const std::string dead = kHead + "%d = Reshape(%x) shape=[N,6,10] ";
  expect_rewrite("normalize_flatten", dead + "%f = Flatten(%d) %y = Sigmoid(%f) output %y }",
                 dead + "%f = Flatten(%x) %y = Sigmoid(%f) output %y }");
  expect_rewrite("normalize_flatten",
                 dead + "%f = Reshape(%d) shape=[N,5,12] %y = Sigmoid(%f) output %y output %d }",
                 dead + "%f = Reshape(%x) shape=[N,5,12] %y = Sigmoid(%f) output %y output %d }");
}

TEST(NormalizeFlatten, NoChange) {
  for (const std::string& text : {
           kHead + "%y = Flatten(%x) output %y }",
           kHead + "%y = Reshape(%x) shape=[N,12,5] output %y }",
           std::string("graph { input %x f32[3,4] %y = Reshape(%x) shape=[2,6] output %y }"),
           std::string("graph { input %x f32[3,N] %y = Reshape(%x) shape=[3,N,1] output %y }"),
           std::string(
               "graph { input %x f32[4,N] %t = Transpose(%x) perm=[1,0] %y = Flatten(%t) output %y }"),
       }) {
    expect_no_change("normalize_flatten", text);
  }
}

TEST(TurnMatmulIntoGemm, OfConstantMatrices) {
  const std::string head = "graph { input %x f32[N,3] const %w f32[3,2] random(1) ";
  expect_rewrite("turn_matmul_into_gemm", head + "%y = MatMul(%x, %w) output %y }",
                 head + "%y = Gemm(%x, %w) output %y }");
}

TEST(TurnMatmulIntoGemm, NoChange) {
  for (const std::string text : {
           "graph { input %x f32[N,4,3] const %w f32[3,2] random(1) %y = MatMul(%x, %w) output %y }",
           "graph { input %x f32[N,3] input %w f32[3,2] %y = MatMul(%x, %w) output %y }",
           "graph { input %x f32[N,3] const %w f32[3] random(1) %y = MatMul(%x, %w) output %y }",
           "graph { input %x f32[N,3] const %w i8[3,2] iota const %s f32[] [0.5] "
           "%d = DequantizeLinear(%w, %s) dtype=i8 %y = MatMul(%x, %d) output %y }",
       }) {
    expect_no_change("turn_matmul_into_gemm", text);
  }
}

const std::string kSame = " kernel=[3,3] pads_begin=[1,1] pads_end=[1,1] ";

TEST(HoistRelu, AcrossMaxPool) {
  const std::string pool = " kernel=[3,3] strides=[2,2] pads_begin=[1,1] ceil_mode=true ";
  const std::string conv = kHead + "%c = Conv(%x, %w)" + kSame;
  for (const std::string relu :
       {"Relu(%p)", "Clip(%p) min=-0.25 max=0.5", "LeakyRelu(%p) alpha=0.25", "LeakyRelu(%p) alpha=0"}) {
    SCOPED_TRACE(relu);
    std::string hoisted = relu;
    hoisted.replace(hoisted.find("%p"), 2, "%c");
    expect_rewrite("hoist_relu", conv + "%p = MaxPool(%c)" + pool + "%y = " + relu + " output %y }",
                   conv + "%r = " + hoisted + " %y = MaxPool(%r)" + pool + "output %y }");
  }
}

TEST(HoistRelu, NoChange) {
  const std::string conv = kHead + "%c = Conv(%x, %w)" + kSame;
  const std::string pool = "%p = MaxPool(%c) kernel=[2,2] ";
  for (const std::string& text : {
           conv + pool + "%y = LeakyRelu(%p) alpha=-0.5 output %y }",
           conv + pool + "%y = Clip(%p) min=1 max=0 output %y }",
           conv + pool + "%y = Sigmoid(%p) output %y }",
           conv + pool + "%y = Relu(%p) output %y output %p }",
           conv + pool + "%y = Relu(%p) output %y output %c }",
           conv + pool + "%r = Relu(%p) %y = Add(%r, %p) output %y }",
           conv + "act=relu " + pool + "%y = Relu(%p) output %y }",
           conv + "%p = AveragePool(%c) kernel=[2,2] %y = Relu(%p) output %y }",
           conv + "%p = MaxPool(%c) kernel=[2,2] dilations=[2,2] pads_begin=[2,2] %y = Relu(%p) output %y }",
           kHead + "%p = MaxPool(%x) kernel=[2,2] %y = Relu(%p) output %y }",
       }) {
    expect_no_change("hoist_relu", text);
  }
}

/// Rounding lies between: the levels decide, and stay where they are.
TEST(Traditional, NothingMovesAcrossQuantization) {
  const std::string text = kHead + R"(
    const %s f32[] [0.125]
    const %z u8[] [128]
    const %k f32[3,1,1] [0.5, 2, 1]
    %c = Conv(%x, %w) kernel=[3,3]
    %q = QuantizeLinear(%c, %s, %z)
    %d = DequantizeLinear(%q, %s, %z)
    %m = Mul(%d, %k)
    %p = MaxPool(%m) kernel=[2,2]
    %q2 = QuantizeLinear(%p, %s, %z)
    %d2 = DequantizeLinear(%q2, %s, %z)
    %y = Relu(%d2)
    output %y
  })";
  const Graph before = parse_graph(text);
  Graph graph = parse_graph(text);
  const PipelineReport report = run_passes(graph, aggressive_passes());
  EXPECT_TRUE(report.steps.empty());
  EXPECT_EQ(print(graph), print(before));
}

}  // namespace
}  // namespace xdn
