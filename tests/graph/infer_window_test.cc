#include "graph/support.h"
#include "graph/window.h"

namespace xdn {
namespace {

const char* const kImage = "input %x f32[N,4,8,8] ";
const char* const kConv = "input %x f32[N,4,8,8] const %w f32[6,4,3,3] fill(0) ";

TEST(InferConv, Extents) {
  EXPECT_TYPE("f32[N,6,6,6]", kConv, "Conv(%x, %w) kernel=[3,3]");
  EXPECT_TYPE("f32[N,6,8,8]", kConv, "Conv(%x, %w) kernel=[3,3] pads_begin=[1,1] pads_end=[1,1]");
  EXPECT_TYPE("f32[N,6,4,4]", kConv,
              "Conv(%x, %w) kernel=[3,3] strides=[2,2] pads_begin=[1,1] pads_end=[1,1]");
  EXPECT_TYPE("f32[N,6,4,6]", kConv, "Conv(%x, %w) kernel=[3,3] strides=[2,1] pads_begin=[1,0]");
  EXPECT_TYPE("f32[N,6,4,4]", kConv, "Conv(%x, %w) kernel=[3,3] dilations=[2,2]");
  EXPECT_TYPE("f32[N,6,106,6]", kConv, "Conv(%x, %w) kernel=[3,3] pads_end=[100,0]");
}

TEST(InferConv, OneAndThreeAxes) {
  EXPECT_TYPE("f32[N,5,6]", "input %x f32[N,4,8] const %w f32[5,4,3] fill(0)", "Conv(%x, %w) kernel=[3]");
  EXPECT_TYPE("f32[2,5,3,6,8]", "input %x f32[2,4,8,8,8] const %w f32[5,4,4,3,1] fill(0)",
              "Conv(%x, %w) kernel=[4,3,1] strides=[2,1,1]");
}

TEST(InferConv, Groups) {
  EXPECT_TYPE("f32[N,6,6,6]", "input %x f32[N,4,8,8] const %w f32[6,2,3,3] fill(0)",
              "Conv(%x, %w) kernel=[3,3] group=2");
  EXPECT_TYPE("f32[N,8,6,6]", "input %x f32[N,4,8,8] const %w f32[8,1,3,3] fill(0)",
              "Conv(%x, %w) kernel=[3,3] group=4");
  EXPECT_REFUSED("group must be at least 1, but is 0", kConv, "Conv(%x, %w) kernel=[3,3] group=0");
  EXPECT_REFUSED("4 input and 6 output channels are not divisible by group 4",
                 "input %x f32[N,4,8,8] const %w f32[6,1,3,3] fill(0)", "Conv(%x, %w) kernel=[3,3] group=4");
  EXPECT_REFUSED("expect 4 x 2 input channels", kConv, "Conv(%x, %w) kernel=[3,3] group=2");
}

TEST(InferConv, BiasAndResidual) {
  const std::string base = std::string(kConv) + "const %b f32[6] fill(0) input %r f32[N,6,6,6] ";
  EXPECT_TYPE("f32[N,6,6,6]", base, "Conv(%x, %w, %b) kernel=[3,3] act=relu");
  EXPECT_TYPE("f32[N,6,6,6]", base, "Conv(%x, %w, %b, %r) kernel=[3,3] act=clip(0,6)");
  EXPECT_TYPE("f32[N,6,6,6]", base, "Conv(%x, %w, none, %r) kernel=[3,3]");
  EXPECT_REFUSED("the bias has shape [6,1], but there are 6 output channels",
                 std::string(kConv) + "const %b f32[6,1] fill(0)", "Conv(%x, %w, %b) kernel=[3,3]");
  EXPECT_REFUSED("the residual has shape [N,4,8,8], but the output has [N,6,6,6]", kConv,
                 "Conv(%x, %w, none, %x) kernel=[3,3]");
  EXPECT_REFUSED("the residual has shape [6,6,6]", std::string(kConv) + "input %r f32[6,6,6]",
                 "Conv(%x, %w, none, %r) kernel=[3,3]");
  EXPECT_REFUSED("input 2 is f64", std::string(kConv) + "const %b f64[6] fill(0)",
                 "Conv(%x, %w, %b) kernel=[3,3]");
}

TEST(InferConv, Refuses) {
  EXPECT_REFUSED("strides must be at least 1 and below 2^31, but is 0", kConv,
                 "Conv(%x, %w) kernel=[3,3] strides=[0,1]");
  EXPECT_REFUSED("strides must be at least 1 and below 2^31, but is -2", kConv,
                 "Conv(%x, %w) kernel=[3,3] strides=[1,-2]");
  EXPECT_REFUSED("dilations must be at least 1", kConv, "Conv(%x, %w) kernel=[3,3] dilations=[1,0]");
  EXPECT_REFUSED("pads_begin must be at least 0", kConv, "Conv(%x, %w) kernel=[3,3] pads_begin=[-1,0]");
  EXPECT_REFUSED("pads_end must be at least 0 and below 2^31", kConv,
                 "Conv(%x, %w) kernel=[3,3] pads_end=[9223372036854775807,0]");
  EXPECT_REFUSED("kernel has 0 entries, but there are 2 spatial axes", kConv, "Conv(%x, %w)");
  EXPECT_REFUSED("strides has 1 entries", kConv, "Conv(%x, %w) kernel=[3,3] strides=[1]");
  EXPECT_REFUSED("kernel is [3,1], but the weights have shape [6,4,3,3]", kConv, "Conv(%x, %w) kernel=[3,1]");
  EXPECT_REFUSED("expect 4 x 1 input channels, but the input has shape [N,3,8,8]",
                 "input %x f32[N,3,8,8] const %w f32[6,4,3,3] fill(0)", "Conv(%x, %w) kernel=[3,3]");
  EXPECT_REFUSED("the ranks differ", "input %x f32[N,4,8] const %w f32[6,4,3,3] fill(0)",
                 "Conv(%x, %w) kernel=[3,3]");
  EXPECT_REFUSED("a window of 17 does not fit into spatial axis 0: extent 8", kConv,
                 "Conv(%x, %w) kernel=[3,3] dilations=[8,1]");
  EXPECT_REFUSED("a window of 3 does not fit", "input %x f32[N,4,1,8] const %w f32[6,4,3,3] fill(0)",
                 "Conv(%x, %w) kernel=[3,3] pads_begin=[1,0]");
  EXPECT_REFUSED("have no channels", "input %x f32[N,4,8,8] const %w f32[0,4,3,3] fill(0)",
                 "Conv(%x, %w) kernel=[3,3]");
  EXPECT_REFUSED("must have at least 3 axes", "input %x f32[N,4] const %w f32[6,4] fill(0)", "Conv(%x, %w)");
  EXPECT_REFUSED("a spatial axis", "input %x f32[2,4,N,8] const %w f32[6,4,3,3] fill(0)",
                 "Conv(%x, %w) kernel=[3,3]");
  EXPECT_REFUSED("the channel axis", "input %x f32[2,N,8,8] const %w f32[6,4,3,3] fill(0)",
                 "Conv(%x, %w) kernel=[3,3]");
  EXPECT_REFUSED("an axis of the weights", "input %x f32[2,4,8,8] input %w f32[N,4,3,3]",
                 "Conv(%x, %w) kernel=[3,3]");
  EXPECT_REFUSED("element types", "input %x f32[2,4,8,8] const %w f16[6,4,3,3] fill(0)",
                 "Conv(%x, %w) kernel=[3,3]");
}

TEST(InferConv, EmptyInputGivesEmptyOutput) {
  EXPECT_TYPE("f32[N,6,0,8]", "input %x f32[N,4,0,8] const %w f32[6,4,3,3] fill(0)",
              "Conv(%x, %w) kernel=[3,3] pads_begin=[1,1] pads_end=[1,1]");
}

TEST(InferPool, Extents) {
  for (const std::string op : {"MaxPool", "AveragePool"}) {
    EXPECT_TYPE("f32[N,4,4,4]", kImage, op + "(%x) kernel=[2,2] strides=[2,2]");
    EXPECT_TYPE("f32[N,4,3,3]", kImage, op + "(%x) kernel=[3,3] strides=[2,2]");
    EXPECT_TYPE("f32[N,4,4,4]", kImage, op + "(%x) kernel=[3,3] strides=[2,2] ceil_mode=true");
    EXPECT_TYPE("f32[N,4,6]", "input %x f32[N,4,8]", op + "(%x) kernel=[3]");
    EXPECT_TYPE("f32[N,4,4,2,1]", "input %x f32[N,4,8,4,2]", op + "(%x) kernel=[2,2,2] strides=[2,2,2]");
    EXPECT_REFUSED("pads 2 and 0 must be smaller than the window, 2", kImage,
                   op + "(%x) kernel=[2,2] pads_begin=[2,0]");
    EXPECT_TYPE("f32[N,4,8,7]", kImage, op + "(%x) kernel=[2,2] dilations=[2,1] pads_begin=[2,0]");
    EXPECT_REFUSED("does not fit", kImage, op + "(%x) kernel=[9,9]");
    EXPECT_REFUSED("kernel must be at least 1", kImage, op + "(%x) kernel=[0,2]");
    EXPECT_REFUSED("strides must be at least 1", kImage, op + "(%x) kernel=[2,2] strides=[0,0]");
    EXPECT_REFUSED("at least 3 axes", "input %x f32[N,4]", op + "(%x)");
  }
}

TEST(InferPool, CeilModeDropsAWindowInThePadding) {
  // Extent 7, kernel 2, stride 2, pads 1 and 1: 5 windows rounded up, and the last would start at 8 = 7 + 1.
  EXPECT_EQ(pool_output_extent(7, 2, 2, 1, 1, 1, true), 4);
  EXPECT_EQ(pool_output_extent(7, 2, 2, 1, 1, 1, false), 4);
  EXPECT_EQ(pool_output_extent(112, 3, 2, 1, 0, 0, true), 56);  // Caffe's ResNet-50
  EXPECT_EQ(pool_output_extent(2, 3, 2, 1, 0, 0, true), 1);     // a window larger than its input
  EXPECT_EQ(pool_output_extent(2, 3, 2, 1, 0, 0, false), 0);
  EXPECT_EQ(pool_output_extent(4, 1, 3, 1, 0, 0, true), 2);
  EXPECT_EQ(pool_output_extent(5, 1, 3, 1, 0, 0, true), 2);  // a third would start at 6
}

TEST(InferWindow, MatchesACountOfWindows) {
  for (int64_t in = 1; in <= 9; ++in) {
    for (int64_t kernel = 1; kernel <= 4; ++kernel) {
      for (int64_t stride = 1; stride <= 4; ++stride) {
        for (int64_t dilation = 1; dilation <= 2; ++dilation) {
          for (int64_t pads = 0; pads < 9; ++pads) {
            const int64_t begin = pads / 3, end = pads % 3, window = dilated_extent(kernel, dilation);
            int64_t fits = 0;
            while (fits * stride + window <= in + begin + end) ++fits;
            const int64_t out = conv_output_extent(in, kernel, stride, dilation, begin, end);
            ASSERT_EQ(out, fits);
            for (int64_t tap = 0; tap < kernel; ++tap) {
              const TapRange range = tap_range(tap, in, out, stride, dilation, begin);
              for (int64_t o = 0; o < out; ++o) {
                const int64_t at = o * stride - begin + tap * dilation;
                ASSERT_EQ(o >= range.first && o < range.last, at >= 0 && at < in);
              }
              ASSERT_GE(range.count(), 0);
            }
          }
        }
      }
    }
  }
}

TEST(InferGlobalAveragePool, KeepsTheRank) {
  EXPECT_TYPE("f32[N,4,1,1]", kImage, "GlobalAveragePool(%x)");
  EXPECT_TYPE("f32[N,4,1]", "input %x f32[N,4,9]", "GlobalAveragePool(%x)");
  EXPECT_REFUSED("a spatial axis", "input %x f32[2,4,N]", "GlobalAveragePool(%x)");
  EXPECT_REFUSED("at least 2 axes", "input %x f32[4]", "GlobalAveragePool(%x)");
}

TEST(InferBatchNorm, Parameters) {
  const std::string params = "const %c f32[4] fill(1) const %d f32[5] fill(1) const %e f64[4] fill(1)";
  EXPECT_TYPE("f32[N,4,8,8]", kImage + params, "BatchNorm(%x, %c, %c, %c, %c) epsilon=0.001");
  EXPECT_TYPE("f32[N,4]", "input %x f32[N,4] " + params, "BatchNorm(%x, %c, %c, %c, %c)");
  EXPECT_REFUSED("scale has shape [5], but the input of shape [N,4,8,8] has 4 channels", kImage + params,
                 "BatchNorm(%x, %d, %c, %c, %c)");
  EXPECT_REFUSED("bias has shape [5]", kImage + params, "BatchNorm(%x, %c, %d, %c, %c)");
  EXPECT_REFUSED("mean has shape [5]", kImage + params, "BatchNorm(%x, %c, %c, %d, %c)");
  EXPECT_REFUSED("variance has shape [5]", kImage + params, "BatchNorm(%x, %c, %c, %c, %d)");
  EXPECT_REFUSED("input 3 is f64", kImage + params, "BatchNorm(%x, %c, %c, %e, %c)");
  EXPECT_REFUSED("at least 2 axes", "input %x f32[4] " + params, "BatchNorm(%x, %c, %c, %c, %c)");
  EXPECT_REFUSED("the channel axis", "input %x f32[4,N] " + params, "BatchNorm(%x, %c, %c, %c, %c)");
}

TEST(InferLrn, Ranges) {
  EXPECT_TYPE("f32[N,4,8,8]", kImage, "Lrn(%x) size=5 alpha=0.1 beta=0.5 bias=2");
  EXPECT_TYPE("f32[N,4,8,8]", kImage, "Lrn(%x) size=3 within_channel=true");
  EXPECT_TYPE("f32[N,4]", "input %x f32[N,4]", "Lrn(%x)");
  EXPECT_REFUSED("size must be at least 1, but is 0", kImage, "Lrn(%x) size=0");
  EXPECT_REFUSED("at least 3 axes", "input %x f32[N,4]", "Lrn(%x) within_channel=true");
  EXPECT_REFUSED("free batch", "input %x f32[4,N,3]", "Lrn(%x)");
}

}  // namespace
}  // namespace xdn
