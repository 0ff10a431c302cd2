#include "fusion/support.h"

namespace xdn {
namespace {

using testing::expect_no_change;
using testing::expect_rewrite;

const std::string kHead = "graph { input %x f32[N,3,6,6] const %w f32[4,3,3,3] random(1) ";

TEST(FoldPad, IntoConv) {
  expect_rewrite(
      "fold_pad", kHead + R"(
    %p = Pad(%x) begin=[0,0,1,2] end=[0,0,0,5]
    %y = Conv(%p, %w) kernel=[3,3] strides=[2,2] pads_begin=[1,0] pads_end=[0,1]
    output %y
  })",
      kHead + "%y = Conv(%x, %w) kernel=[3,3] strides=[2,2] pads_begin=[2,2] pads_end=[0,6] output %y }");
}

TEST(FoldPad, IntoMaxPool) {
  expect_rewrite(
      "fold_pad", kHead + R"(
    %p = Pad(%x) begin=[0,0,1,1] end=[0,0,0,1] value=-inf
    %y = MaxPool(%p) kernel=[3,3] strides=[2,2] pads_begin=[1,0]
    output %y
  })",
      kHead + "%y = MaxPool(%x) kernel=[3,3] strides=[2,2] pads_begin=[2,1] pads_end=[0,1] output %y }");
}

TEST(FoldPad, IntoAveragePool) {
  const std::string pad = kHead + "%p = Pad(%x) begin=[0,0,1,1] end=[0,0,1,0] ";
  expect_rewrite("fold_pad", pad + "%y = AveragePool(%p) kernel=[3,3] output %y }",
                 kHead +
                     "%y = AveragePool(%x) kernel=[3,3] pads_begin=[1,1] pads_end=[1,0] "
                     "count_include_pad=true output %y }");
  expect_rewrite("fold_pad",
                 pad + "%y = AveragePool(%p) kernel=[3,3] pads_end=[1,1] count_include_pad=true output %y }",
                 kHead +
                     "%y = AveragePool(%x) kernel=[3,3] pads_begin=[1,1] pads_end=[2,1] "
                     "count_include_pad=true output %y }");
}

TEST(FoldPad, NoChange) {
  const std::string pad = kHead + "%p = Pad(%x) begin=[0,0,1,1] end=[0,0,1,1] ";
  const std::string low = kHead + "%p = Pad(%x) begin=[0,0,1,1] end=[0,0,1,1] value=-inf ";
  for (const std::string& text : {
           kHead + "%p = Pad(%x) begin=[0,0,1,1] end=[0,0,1,1] value=1 %y = Conv(%p, %w) kernel=[3,3] output "
                   "%y }",
           kHead + "%p = Pad(%x) mode=edge begin=[0,0,1,1] end=[0,0,1,1] %y = Conv(%p, %w) kernel=[3,3] "
                   "output %y }",
           kHead + "%p = Pad(%x) begin=[0,0,-1,0] end=[0,0,0,0] %y = Conv(%p, %w) kernel=[3,3] output %y }",
           kHead + "%p = Pad(%x) begin=[0,1,0,0] end=[0,-1,0,0] %y = Conv(%p, %w) kernel=[3,3] output %y }",
           pad + "%y = Conv(%p, %w) kernel=[3,3] output %y output %p }",
           pad + "%c = Conv(%p, %w) kernel=[3,3] %d = Conv(%p, %w) kernel=[3,3] %y = Add(%c, %d) output %y }",
           pad + "%y = MaxPool(%p) kernel=[3,3] output %y }",                     // zeros, not -inf
           pad + "%y = AveragePool(%p) kernel=[3,3] pads_end=[1,1] output %y }",  // its own pads do not count
           pad + "%y = AveragePool(%p) kernel=[1,1] output %y }",  // pads as large as the window
           pad + "%y = AveragePool(%p) kernel=[3,3] strides=[2,2] ceil_mode=true output %y }",
           low + "%y = MaxPool(%p) kernel=[3,3] strides=[2,2] ceil_mode=true output %y }",
           low + "%y = MaxPool(%p) kernel=[2,2] pads_begin=[1,1] output %y }",
           low + "%y = Relu(%p) output %y }",
       }) {
    expect_no_change("fold_pad", text);
  }
}

}  // namespace
}  // namespace xdn
