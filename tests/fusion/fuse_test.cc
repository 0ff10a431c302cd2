#include "fusion/support.h"

namespace xdn {
namespace {

using testing::expect_no_change;
using testing::expect_rewrite;

const std::string kHead =
    "graph { input %x f32[N,3,6,6] const %w f32[3,3,3,3] random(1) const %v f32[3,3,3,3] random(2) ";
const std::string kSame = " kernel=[3,3] pads_begin=[1,1] pads_end=[1,1] ";

TEST(FuseRelu, AfterConvAndGemm) {
  const std::vector<std::pair<std::string, std::string>> activations{
      {"Relu(%c)", "act=relu"},
      {"LeakyRelu(%c) alpha=0.25", "act=leaky_relu(0.25)"},
      {"Clip(%c) min=-0.5 max=0.75", "act=clip(-0.5,0.75)"},
      {"Clip(%c) min=0", "act=relu"},
      {"Clip(%c) max=0.5", "act=clip(-inf,0.5)"},
  };
  for (const auto& [call, act] : activations) {
    SCOPED_TRACE(call);
    expect_rewrite("fuse_relu", kHead + "%c = Conv(%x, %w)" + kSame + "%y = " + call + " output %y }",
                   kHead + "%y = Conv(%x, %w)" + kSame + act + " output %y }");
    expect_rewrite(
        "fuse_relu",
        "graph { input %x f32[N,3] const %w f32[3,2] random(1) %c = Gemm(%x, %w) %y = " + call +
            " output %y }",
        "graph { input %x f32[N,3] const %w f32[3,2] random(1) %y = Gemm(%x, %w) " + act + " output %y }");
  }
}

TEST(FuseRelu, AfterAResidual) {
  expect_rewrite("fuse_relu", kHead + "%c = Conv(%x, %w, none, %x)" + kSame + "%y = Relu(%c) output %y }",
                 kHead + "%y = Conv(%x, %w, none, %x)" + kSame + "act=relu output %y }");
}

TEST(FuseRelu, NoChange) {
  const std::string conv = kHead + "%c = Conv(%x, %w)" + kSame;
  for (const std::string& text : {
           conv + "%r = Relu(%c) %y = Add(%r, %c) output %y }",
           conv + "%y = Relu(%c) output %y output %c }",
           conv + "act=relu %y = Relu(%c) output %y }",
           conv + "%y = Sigmoid(%c) output %y }",
           conv + "%y = Clip(%c) max=nan output %y }",
           conv + "%p = MaxPool(%c) kernel=[2,2] %y = Relu(%p) output %y }",
           std::string("graph { input %x f32[N,3] %y = Relu(%x) output %y }"),
       }) {
    expect_no_change("fuse_relu", text);
  }
}

TEST(FuseResidual, EitherSide) {
  const std::string after = kHead + "%y = Conv(%x, %w, none, %x)" + kSame + "output %y }";
  expect_rewrite("fuse_residual", kHead + "%c = Conv(%x, %w)" + kSame + "%y = Add(%c, %x) output %y }",
                 after);
  expect_rewrite("fuse_residual", kHead + "%c = Conv(%x, %w)" + kSame + "%y = Add(%x, %c) output %y }",
                 after);
}

TEST(FuseResidual, KeepsTheBias) {
  expect_rewrite(
      "fuse_residual",
      kHead + "const %b f32[3] iota %c = Conv(%x, %w, %b)" + kSame + "%y = Add(%c, %x) output %y }",
      kHead + "const %b f32[3] iota %y = Conv(%x, %w, %b, %x)" + kSame + "output %y }");
}

TEST(FuseResidual, TheConvWaitsForTheOtherSide) {
  expect_rewrite("fuse_residual", kHead + R"(
    %c = Conv(%x, %w) kernel=[3,3] pads_begin=[1,1] pads_end=[1,1]
    %s = Sigmoid(%x)
    %t = Sigmoid(%s)
    %y = Add(%c, %t)
    output %y
  })",
                 kHead + R"(
    %s = Sigmoid(%x)
    %t = Sigmoid(%s)
    %y = Conv(%x, %w, none, %t) kernel=[3,3] pads_begin=[1,1] pads_end=[1,1]
    output %y
  })");
}

TEST(FuseResidual, OfTwoConvsTheLater) {
  for (const std::string call : {"Add(%c, %d)", "Add(%d, %c)"}) {
    expect_rewrite(
        "fuse_residual",
        kHead + "%c = Conv(%x, %w)" + kSame + "%d = Conv(%x, %v)" + kSame + "%y = " + call + " output %y }",
        kHead + "%c = Conv(%x, %w)" + kSame + "%y = Conv(%x, %v, none, %c)" + kSame + "output %y }");
  }
}

TEST(FuseResidual, TheOtherWhereTheLaterCannot) {
  expect_rewrite(
      "fuse_residual",
      kHead + "%c = Conv(%x, %w)" + kSame + "%d = Conv(%x, %v)" + kSame +
          "act=relu %y = Add(%c, %d) output %y }",
      kHead + "%d = Conv(%x, %v)" + kSame + "act=relu %y = Conv(%x, %w, none, %d)" + kSame + "output %y }");
}

TEST(FuseResidual, ThreeConvsInARow) {
  expect_rewrite("fuse_residual", kHead + R"(
    %a = Conv(%x, %w) kernel=[3,3] pads_begin=[1,1] pads_end=[1,1]
    %b = Conv(%x, %v) kernel=[3,3] pads_begin=[1,1] pads_end=[1,1]
    %ab = Add(%a, %b)
    %y = Add(%ab, %x)
    output %y
  })",
                 kHead + R"(
    %a = Conv(%x, %w) kernel=[3,3] pads_begin=[1,1] pads_end=[1,1]
    %b = Conv(%x, %v, none, %a) kernel=[3,3] pads_begin=[1,1] pads_end=[1,1]
    %y = Add(%b, %x)
    output %y
  })");
}

TEST(FuseResidual, NoChange) {
  const std::string conv = kHead + "%c = Conv(%x, %w)" + kSame;
  for (const std::string& text : {
           conv + "%y = Add(%c, %c) output %y }",
           conv + "%y = Add(%c, %x) output %y output %c }",
           conv + "%d = Conv(%c, %v)" + kSame +
               "act=relu %y = Add(%d, %c) output %y }",  // an activation; read twice
           conv + "act=relu %y = Add(%c, %x) output %y }",
           kHead + "%c = Conv(%x, %w, none, %x)" + kSame + "%y = Add(%c, %x) output %y }",
           kHead + "input %s f32[N,1,6,6] %c = Conv(%x, %w)" + kSame + "%y = Add(%c, %s) output %y }",
           kHead + "input %s f32[1,N,3,6,6] %c = Conv(%x, %w)" + kSame + "%y = Mul(%c, %x) output %y }",
       }) {
    expect_no_change("fuse_residual", text);
  }
}

}  // namespace
}  // namespace xdn
