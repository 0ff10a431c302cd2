#include <cmath>

#include "fusion/support.h"

namespace xdn {
namespace {

using testing::expect_no_change;
using testing::expect_rewrite;
using testing::find_pass;
using testing::last_constant;

const std::string kBn = R"(
  const %scale f32[4] [1.5, -0.5, 0.25, 2]
  const %shift f32[4] [0.1, 0.2, -0.3, 0]
  const %mean f32[4] [0.5, -1, 0, 0.25]
  const %variance f32[4] [0.5, 1, 2, 0.01]
)";
const std::string kConv =
    "graph { input %x f32[N,3,6,6] const %w f32[4,3,3,3] random(1) const %b f32[4] random(2) " + kBn;
const std::string kGemm =
    "graph { input %x f32[N,5] const %w f32[5,4] random(1) const %wt f32[4,5] random(3) "
    "const %b f32[4] random(2) const %row f32[1,4] random(4) const %one f32[1] [0.75] " +
    kBn;

/// What any affine fold leaves of a Conv or Gemm.
const std::string kConvAfter = kConv + "%y = Conv(%x, %w, %b) kernel=[3,3] output %y }";
const std::string kGemmAfter = kGemm + "%y = Gemm(%x, %w, %b) output %y }";

TEST(FoldBatchnorm, IntoConvWithBias) {
  expect_rewrite("fold_batchnorm", kConv + R"(
    %c = Conv(%x, %w, %b) kernel=[3,3]
    %y = BatchNorm(%c, %scale, %shift, %mean, %variance)
    output %y
  })",
                 kConvAfter);
}

TEST(FoldBatchnorm, IntoConvWithoutBias) {
  const Graph graph = expect_rewrite("fold_batchnorm", R"(graph {
    input %x f32[N,1,2,2]
    const %w f32[2,1,1,1] [3, 4]
    const %scale f32[2] [2, 1]
    const %shift f32[2] [1, 0]
    const %mean f32[2] [5, 6]
    const %variance f32[2] [15, 3]
    %c = Conv(%x, %w) kernel=[1,1]
    %y = BatchNorm(%c, %scale, %shift, %mean, %variance) epsilon=1
    output %y
  })",
                                     R"(graph {
    input %x f32[N,1,2,2]
    const %w f32[2,1,1,1] iota
    const %b f32[2] iota
    %y = Conv(%x, %w, %b) kernel=[1,1]
    output %y
  })");
  EXPECT_EQ(last_constant(graph, 1).data<float>()[0], 1.5f);   // 3 * 2 / sqrt(15 + 1)
  EXPECT_EQ(last_constant(graph, 1).data<float>()[1], 2.0f);   // 4 * 1 / sqrt(3 + 1)
  EXPECT_EQ(last_constant(graph, 2).data<float>()[0], -1.5f);  // (0 - 5) / 2 + 1
  EXPECT_EQ(last_constant(graph, 2).data<float>()[1], -3.0f);
}

TEST(FoldBatchnorm, IntoGroupedConv) {
  expect_rewrite("fold_batchnorm",
                 R"(graph { input %x f32[N,8,6,6] const %w f32[4,2,3,3] random(1) )" + kBn + R"(
    %c = Conv(%x, %w) kernel=[3,3] group=4
    %y = BatchNorm(%c, %scale, %shift, %mean, %variance)
    output %y
  })",
                 R"(graph { input %x f32[N,8,6,6] const %w f32[4,2,3,3] random(1) const %b f32[4] iota
    %y = Conv(%x, %w, %b) kernel=[3,3] group=4
    output %y
  })");
}

TEST(FoldBatchnorm, IntoGemm) {
  for (const std::string call :
       {"Gemm(%x, %w, %b) beta=0.5", "Gemm(%x, %w, %row)", "Gemm(%x, %w, %one)", "Gemm(%x, %w)"}) {
    SCOPED_TRACE(call);
    expect_rewrite(
        "fold_batchnorm",
        kGemm + "%c = " + call + "%y = BatchNorm(%c, %scale, %shift, %mean, %variance) output %y }",
        kGemmAfter);
  }
  expect_rewrite("fold_batchnorm", kGemm + R"(
    %c = Gemm(%x, %wt, %b) alpha=3 trans_b=true
    %y = BatchNorm(%c, %scale, %shift, %mean, %variance)
    output %y
  })",
                 kGemm + "%y = Gemm(%x, %wt, %b) alpha=3 trans_b=true output %y }");
}

TEST(FoldBatchnorm, SharedWeightsAreCopied) {
  const Graph graph = expect_rewrite(
      "fold_batchnorm", R"(graph { input %x f32[N,4,6,6] const %w f32[4,4,1,1] random(1) )" + kBn + R"(
    %a = Conv(%x, %w, %scale) kernel=[1,1]
    %r = Relu(%a)
    %c = Conv(%r, %w, %scale) kernel=[1,1]
    %y = BatchNorm(%c, %scale, %shift, %mean, %variance)
    output %y
  })",
      R"(graph { input %x f32[N,4,6,6] const %w f32[4,4,1,1] random(1) const %v f32[4,4,1,1] random(1)
    const %b f32[4] iota const %d f32[4] iota
    %a = Conv(%x, %w, %b) kernel=[1,1]
    %r = Relu(%a)
    %y = Conv(%r, %v, %d) kernel=[1,1]
    output %y
  })");
  EXPECT_EQ(graph.value(graph.node(graph.order()[0]).input(1)).name, "w");
}

/// The last weight's product is no number of its type: not even the first may have changed.
TEST(FoldMul, WeightsThatWouldOverflowAreLeftAlone) {
  for (const char* last : {"3e38", "-3e38", "inf", "nan"}) {
    expect_no_change("fold_mul_into_conv", "graph { input %x f32[N,1,2,2] const %w f32[2,1,1,1] [1, " +
                                               std::string(last) + R"(] const %s f32[2,1,1] [3, 1.5]
      %c = Conv(%x, %w) kernel=[1,1] %y = Mul(%c, %s) output %y })");
  }
  for (const char* type : {"trans_b=true", "trans_b=false"}) {
    expect_no_change("fold_mul_into_conv", std::string("graph { input %x f32[N,2] const %w f32[2,2] "
                                                       "[1, 2, -4, 3e38] const %s f32[1,2] [3, 2]\n"
                                                       "%c = Gemm(%x, %w) ") +
                                               type + " %y = Mul(%c, %s) output %y }");
  }
}

/// Each product is rounded once, from double; which channel an element belongs to depends on the layout.
TEST(FoldMul, ProductsAreRoundedOnce) {
  const auto folded = [](const std::string& op, const std::string& scale) {
    Graph graph = parse_graph("graph { input %x " + scale + op + " %y = Mul(%c, %s) output %y }");
    EXPECT_TRUE(find_pass("fold_mul_into_conv").run(graph));
    const auto data = last_constant(graph, 1).data<float>();
    return std::vector<float>(data.begin(), data.end());
  };
  const float w[] = {0.1f, -0.7f, 1e-3f, 123.456f, 7e20f, -3.3f};
  const std::string weights = "[0.1, -0.7, 0.001, 123.456, 7e20, -3.3]";
  const std::vector<double> s = {static_cast<double>(1 / 3.0f), static_cast<double>(-1.7f)};
  const std::string values = "[0.33333334, -1.7]";
  std::vector<float> by_row, by_column;
  for (size_t i = 0; i < 6; ++i) {
    by_row.push_back(static_cast<float>(static_cast<double>(w[i]) * s[i / 3]));
    by_column.push_back(static_cast<float>(static_cast<double>(w[i]) * s[i % 2]));
  }
  EXPECT_EQ(folded("const %w f32[2,3,1,1] " + weights + " %c = Conv(%x, %w) kernel=[1,1]",
                   "f32[N,3,2,2] const %s f32[2,1,1] " + values),
            by_row);
  EXPECT_EQ(folded("const %w f32[2,3] " + weights + " %c = Gemm(%x, %w) trans_b=true",
                   "f32[N,3] const %s f32[2] " + values),
            by_row);
  EXPECT_EQ(
      folded("const %w f32[3,2] " + weights + " %c = Gemm(%x, %w)", "f32[N,3] const %s f32[2] " + values),
      by_column);
}

/// A copy of the graph keeps its weights.
TEST(FoldMul, WeightsSharedWithACopyAreNotWritten) {
  Graph graph = parse_graph(R"(graph { input %x f32[N,1,2,2] const %w f32[2,1,1,1] [1, 2]
    const %s f32[2,1,1] [3, 4] %c = Conv(%x, %w) kernel=[1,1] %y = Mul(%c, %s) output %y })");
  const Graph copy = graph;
  run_passes(graph, traditional_passes());
  EXPECT_EQ(last_constant(graph, 1).data<float>()[1], 8.0f);
  EXPECT_EQ(copy.constant(*copy.find_value("w")).data<float>()[1], 2.0f);
}

TEST(FoldBatchnorm, DoublePrecision) {
  expect_rewrite("fold_batchnorm",
                 R"(graph { input %x f64[N,4,2,2] const %w f64[4,4,1,1] random(1) const %s f64[4] fill(0.5)
    %c = Conv(%x, %w) kernel=[1,1]
    %y = BatchNorm(%c, %s, %s, %s, %s)
    output %y
  })",
                 R"(graph { input %x f64[N,4,2,2] const %w f64[4,4,1,1] random(1) const %s f64[4] fill(0.5)
    %y = Conv(%x, %w, %s) kernel=[1,1]
    output %y
  })");
}

/// The Conv's result is read twice, is an output, or has passed an activation or a residual; weights, bias or
/// statistics are no constants; the variance is negative; there is no Conv.
TEST(FoldBatchnorm, NoChange) {
  const std::string bn = "BatchNorm(%c, %scale, %shift, %mean, %variance)";
  for (const std::string& text : {
           kConv + "%c = Conv(%x, %w) kernel=[3,3] %n = " + bn + " %y = Add(%c, %n) output %y }",
           kConv + "%c = Conv(%x, %w) kernel=[3,3] %y = " + bn + " output %y output %c }",
           kConv + "%c = Conv(%x, %w) kernel=[3,3] act=relu %y = " + bn + " output %y }",
           kConv + "input %r f32[N,4,4,4] %c = Conv(%x, %w, %b, %r) kernel=[3,3] %y = " + bn + " output %y }",
           kConv + "input %v f32[4,3,3,3] %c = Conv(%x, %v) kernel=[3,3] %y = " + bn + " output %y }",
           kConv + "input %v f32[4] %c = Conv(%x, %w, %v) kernel=[3,3] %y = " + bn + " output %y }",
           kConv + "input %v f32[4] %c = Conv(%x, %w) kernel=[3,3] %y = BatchNorm(%c, %v, %shift, %mean, "
                   "%variance) output %y }",
           kConv + "const %v f32[4] fill(-1) %c = Conv(%x, %w) kernel=[3,3] %y = BatchNorm(%c, %scale, "
                   "%shift, %mean, %v) output %y }",
           kConv + "const %v f32[4] fill(3e38) %c = Conv(%x, %w, %v) kernel=[3,3] %y = " + bn +
               " output %y }",
           kGemm + "input %v f32[2,4] input %z f32[2,5] %c = Gemm(%z, %w, %v) %y = " + bn + " output %y }",
           kGemm + "const %v f32[2,4] random(1) input %z f32[2,5] %c = Gemm(%z, %w, %v) %y = " + bn +
               " output %y }",
           kGemm + "%c = Gemm(%x, %w) act=relu %y = " + bn + " output %y }",
           "graph { input %x f32[N,4,2,2] " + kBn + " %c = Relu(%x) %y = " + bn + " output %y }",
           "graph { input %c f32[N,4,2,2] " + kBn + " %y = " + bn + " output %y }",
       }) {
    expect_no_change("fold_batchnorm", text);
  }
}

TEST(FoldMulIntoConv, ConstantsPerChannel) {
  for (const std::string constant :
       {"f32[4,1,1] random(9)", "f32[1,4,1,1] random(9)", "f32[] [3]", "f32[1] [-2]", "f32[1,1,1] [0]"}) {
    for (const std::string call : {"Mul(%c, %k)", "Mul(%k, %c)"}) {
      SCOPED_TRACE(constant + call);
      expect_rewrite("fold_mul_into_conv",
                     kConv + "const %k " + constant + " %c = Conv(%x, %w, %b) kernel=[3,3] %y = " + call +
                         " output %y }",
                     kConvAfter);
    }
  }
  expect_rewrite("fold_mul_into_conv",
                 kConv +
                     "const %k f32[4,1,1] [1,2,4,-8] %c = Conv(%x, %w, %b) kernel=[3,3] "
                     "%y = Div(%c, %k) output %y }",
                 kConvAfter);
  for (const std::string constant : {"f32[4] random(9)", "f32[1,4] random(9)", "f32[] [3]"}) {
    expect_rewrite("fold_mul_into_conv",
                   kGemm + "const %k " + constant + " %c = Gemm(%x, %w, %b) %y = Mul(%c, %k) output %y }",
                   kGemmAfter);
  }
}

TEST(FoldMulIntoConv, NoChange) {
  const std::string conv = " %c = Conv(%x, %w, %b) kernel=[3,3] ";
  for (const std::string& text : {
           kConv + "const %k f32[4] iota" + conv + "%y = Mul(%c, %k) output %y }",  // along w
           kConv + "const %k f32[4,4,1] random(1)" + conv + "%y = Mul(%c, %k) output %y }",
           kConv + "const %k f32[1,1,1,1,1] [2]" + conv + "%y = Mul(%c, %k) output %y }",  // one more axis
           kConv + "const %k f32[] [0]" + conv + "%y = Div(%c, %k) output %y }",
           kConv + "const %k f32[] [2]" + conv + "%y = Div(%k, %c) output %y }",
           kConv + "const %k f32[] [2]" + conv + "%m = Mul(%c, %k) %y = Add(%m, %c) output %y }",
           kConv + "const %k f32[] [2]" + conv + "%y = Mul(%c, %k) output %y output %c }",
           kConv +
               "const %k f32[] [2] %c = Conv(%x, %w, %b) kernel=[3,3] act=relu %y = Mul(%c, %k) output %y }",
           kConv + conv + "%y = Mul(%c, %c) output %y }",
           kConv + "const %k f32[] [nan]" + conv + "%y = Mul(%c, %k) output %y }",
           kConv + "input %k f32[]" + conv + "%y = Mul(%c, %k) output %y }",
       }) {
    expect_no_change("fold_mul_into_conv", text);
  }
  // Broadcasting one channel to four.
  expect_no_change("fold_mul_into_conv",
                   R"(graph { input %x f32[N,3,2,2] const %w f32[1,3,1,1] random(1) const %k f32[4,1,1] iota
    %c = Conv(%x, %w) kernel=[1,1] %y = Mul(%c, %k) output %y })");
}

TEST(FoldAddIntoConv, BothSides) {
  for (const std::string call : {"Add(%c, %k)", "Add(%k, %c)", "Sub(%c, %k)", "Sub(%k, %c)"}) {
    for (const std::string constant : {"f32[4,1,1] random(9)", "f32[] [3]"}) {
      SCOPED_TRACE(call);
      expect_rewrite(
          "fold_add_into_conv",
          kConv + "const %k " + constant + " %c = Conv(%x, %w) kernel=[3,3] %y = " + call + " output %y }",
          kConvAfter);
    }
    expect_rewrite(
        "fold_add_into_conv",
        kGemm + "const %k f32[4] random(9) %c = Gemm(%x, %w) beta=0.5 %y = " + call + " output %y }",
        kGemmAfter);
  }
}

TEST(FoldAddIntoConv, KeepsAResidual) {
  const std::string head = kConv + "input %r f32[N,4,4,4] const %k f32[4,1,1] random(9) ";
  expect_rewrite("fold_add_into_conv",
                 head + "%c = Conv(%x, %w, %b, %r) kernel=[3,3] %y = Add(%c, %k) output %y }",
                 head + "%y = Conv(%x, %w, %b, %r) kernel=[3,3] output %y }");
  expect_no_change("fold_add_into_conv",
                   head + "%c = Conv(%x, %w, %b, %r) kernel=[3,3] %y = Sub(%k, %c) output %y }");
}

TEST(FoldAddIntoConv, NoChange) {
  const std::string conv = " %c = Conv(%x, %w, %b) kernel=[3,3] ";
  for (const std::string& text : {
           kConv + "const %k f32[4] iota" + conv + "%y = Add(%c, %k) output %y }",
           kConv + "const %k f32[1,4,4,4] random(1)" + conv + "%y = Add(%c, %k) output %y }",
           kConv + "const %k f32[] [inf]" + conv + "%y = Add(%c, %k) output %y }",
           kConv + "const %k f32[] [2]" + conv + "%y = Add(%c, %k) output %y output %c }",
           kConv + "const %k f32[] [2]" + conv + "%r = Relu(%c) %y = Add(%r, %k) output %y }",
           kConv + conv + "%y = Add(%c, %c) output %y }",
       }) {
    expect_no_change("fold_add_into_conv", text);
  }
}

TEST(FoldAffineIntoBatchnorm, MulAndAdd) {
  const std::string head = "graph { input %x f32[N,4,2,2] " + kBn + " const %k f32[4,1,1] [1,2,-3,0.5] ";
  const std::string after = head + "%y = BatchNorm(%x, %scale, %shift, %mean, %variance) output %y }";
  for (const std::string call : {"Mul(%n, %k)", "Add(%n, %k)", "Sub(%k, %n)", "Div(%n, %k)"}) {
    SCOPED_TRACE(call);
    expect_rewrite(
        "fold_affine_into_batchnorm",
        head + "%n = BatchNorm(%x, %scale, %shift, %mean, %variance) %y = " + call + " output %y }", after);
  }
  // Caffe's BatchNorm and Scale, one constant standing for several parameters.
  expect_rewrite("fold_affine_into_batchnorm", head + R"(const %one f32[4] fill(1)
    %n = BatchNorm(%x, %one, %mean, %mean, %one)
    %m = Mul(%n, %k)
    %y = Add(%m, %k)
    output %y
  })",
                 head + R"(const %one f32[4] fill(1) const %s f32[4] iota const %t f32[4] iota
    %y = BatchNorm(%x, %s, %t, %mean, %one)
    output %y
  })");
}

TEST(FoldAffineIntoBatchnorm, NoChange) {
  const std::string head = "graph { input %x f32[N,4,2,2] " + kBn +
                           " const %k f32[4,1,1] [1,2,-3,0.5] input %v f32[4]"
                           " %n = BatchNorm(%x, %scale, %shift, %mean, %variance) ";
  for (const std::string& text : {
           head + "%m = Mul(%n, %k) %y = Add(%m, %n) output %y }",
           head + "%y = Mul(%n, %k) output %y output %n }",
           head + "%y = Div(%k, %n) output %y }",
           head + "%m = BatchNorm(%n, %scale, %shift, %mean, %variance) output %m }",
           head + "%m = BatchNorm(%n, %v, %shift, %mean, %variance) %y = Mul(%m, %k) output %y }",
           head + "%r = Relu(%n) %y = Mul(%r, %k) output %y }",
       }) {
    expect_no_change("fold_affine_into_batchnorm", text);
  }
}

}  // namespace
}  // namespace xdn
