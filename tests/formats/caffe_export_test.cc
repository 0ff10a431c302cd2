// Every operator that Caffe has: graph -> files -> graph computes the same.

#include <gmock/gmock.h>

#include "formats/caffe_export_support.h"

namespace xdn::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::string kImage = "graph { input %x f32[N,4,9,8] ";

TEST(CaffeExport, Convolution) {
  const Exported plain = expect_round_trip(kImage + R"(
    const %w f32[6,4,3,3] random(1) const %b f32[6] random(2)
    %y = Conv(%x, %w, %b) kernel=[3,3] strides=[2,2] pads_begin=[1,1] pads_end=[1,1] output %y })");
  EXPECT_THAT(plain.layers(), ElementsAre("Convolution y"));
  const auto& param = plain.layer("y").convolution_param();
  EXPECT_EQ(param.kernel_size(0), 3u);
  EXPECT_EQ(param.stride(0), 2u);
  EXPECT_EQ(param.pad(0), 1u);
  EXPECT_TRUE(param.bias_term());

  const Exported grouped = expect_round_trip(kImage + R"(
    const %w f32[6,2,3,1] random(1)
    %y = Conv(%x, %w) kernel=[3,1] strides=[1,2] pads_begin=[2,0] pads_end=[2,0] dilations=[2,1] group=2 output %y })");
  const auto& other = grouped.layer("y").convolution_param();
  EXPECT_FALSE(other.bias_term());
  EXPECT_EQ(other.group(), 2u);
  EXPECT_EQ(other.kernel_h(), 3u);
  EXPECT_EQ(other.pad_w(), 0u);
  EXPECT_EQ(other.dilation_size(), 2);
}

TEST(CaffeExport, ConvolutionWithUnequalPads) {
  // Nothing is read beyond the end; taps of zero weight before and after; along one axis only.
  for (const char* window : {"kernel=[3,3] strides=[2,2] pads_begin=[0,0] pads_end=[0,0]",
                             "kernel=[3,3] strides=[2,2] pads_begin=[0,0] pads_end=[1,1]",
                             "kernel=[3,3] pads_begin=[2,0] pads_end=[1,1]",
                             "kernel=[3,3] strides=[3,2] pads_begin=[1,1] pads_end=[0,2]"}) {
    SCOPED_TRACE(window);
    expect_round_trip(kImage + "const %w f32[5,4,3,3] random(1) %y = Conv(%x, %w) " + window +
                      " output %y }");
  }
  EXPECT_THAT(export_failure(kImage + R"(const %w f32[5,4,3,3] random(1)
    %y = Conv(%x, %w) kernel=[3,3] dilations=[2,2] pads_begin=[0,0] pads_end=[1,1] output %y })"),
              HasSubstr("layer 'y': pads 0 and 1 with dilation 2"));
}

TEST(CaffeExport, FusedConvolution) {
  const Exported files = expect_round_trip(kImage + R"(
    const %w f32[4,4,3,3] random(1) const %b f32[4] random(2)
    %a = Conv(%x, %w, %b) kernel=[3,3] pads_begin=[1,1] pads_end=[1,1] act=relu
    %y = Conv(%a, %w, %b, %x) kernel=[3,3] pads_begin=[1,1] pads_end=[1,1] act=leaky_relu(0.25) output %y })");
  EXPECT_THAT(files.layers(),
              ElementsAre("Convolution a", "ReLU a/relu", "Convolution y", "Eltwise y/sum", "ReLU y/relu"));
  EXPECT_FLOAT_EQ(files.layer("y/relu").relu_param().negative_slope(), 0.25f);
  EXPECT_EQ(files.layer("a/relu").bottom(0), "a");
  EXPECT_EQ(files.layer("a/relu").top(0), "a");
}

TEST(CaffeExport, InnerProduct) {
  const Exported files = expect_round_trip(R"(graph { input %x f32[N,5]
    const %w f32[5,7] random(1) const %b f32[1,7] random(2) const %v f32[3,7] random(3) const %m f32[3,2] random(4)
    %a = Gemm(%x, %w, %b) alpha=0.5 beta=2 act=relu
    %c = Gemm(%a, %v) trans_b=true
    %y = MatMul(%c, %m) output %y })");
  EXPECT_THAT(files.layers(),
              ElementsAre("InnerProduct a", "ReLU a/relu", "InnerProduct c", "InnerProduct y"));
  EXPECT_FALSE(files.layer("c").inner_product_param().bias_term());
  const Exported product = expect_round_trip(R"(graph { input %x f32[N,3,5]
    const %w f32[5,7] random(1) const %b f32[7] random(2)
    %a = MatMul(%x, %w) %y = Add(%a, %b) output %y })");
  EXPECT_THAT(product.layers(), ElementsAre("InnerProduct y"));
  EXPECT_EQ(product.layer("y").inner_product_param().axis(), 2);
}

TEST(CaffeExport, BatchNormWithScale) {
  const std::string statistics =
      "const %one f32[4] fill(1) const %zero f32[4] fill(0) "
      "const %s f32[4] random(1) const %b f32[4] random(2) const %m f32[4] random(3) "
      "const %v f32[4] [0.5, 1, 2, 0.01] ";
  const Exported both = expect_round_trip(
      kImage + statistics + "%y = BatchNorm(%x, %s, %b, %m, %v) epsilon=0.001 output %y }", 16);
  EXPECT_THAT(both.layers(), ElementsAre("BatchNorm y", "Scale y/scale"));
  ASSERT_EQ(both.weights.layer(1).blobs_size(), 3);
  EXPECT_EQ(both.weights.layer(1).blobs(2).data(0), 1);
  const Exported pure =
      expect_round_trip(kImage + statistics + "%y = BatchNorm(%x, %one, %zero, %m, %v) output %y }", 16);
  EXPECT_THAT(pure.layers(), ElementsAre("BatchNorm y"));
}

TEST(CaffeExport, Activations) {
  const Exported files = expect_round_trip(kImage + R"(
    const %p f32[4,1,1] random(1) const %zero f32[] [0]
    %a = Relu(%x) %b = LeakyRelu(%x) alpha=0.125 %c = PRelu(%x, %p) %d = Sigmoid(%x)
    %e = Clip(%x) min=0 %f = Max(%x, %zero)
    output %a output %b output %c output %d output %e output %f })");
  EXPECT_THAT(files.layers(), ElementsAre("ReLU a", "ReLU b", "PReLU c", "Sigmoid d", "ReLU e", "ReLU f"));
}

TEST(CaffeExport, AffineConstants) {
  const Exported numbers = expect_round_trip(kImage + R"(
    const %two f32[] [2] const %half f32[1,1,1,1] [0.5]
    %a = Mul(%x, %two) %b = Add(%a, %half) %c = Pow(%b, %two)
    %d = Div(%x, %two) %e = Sub(%two, %x) %f = Sub(%x, %half)
    output %c output %d output %e output %f })");
  EXPECT_THAT(numbers.layers(), ElementsAre("Power c", "Power d", "Power e", "Power f"));
  EXPECT_EQ(numbers.layer("c").power_param().scale(), 2);
  EXPECT_EQ(numbers.layer("e").power_param().scale(), -1);

  const Exported channels = expect_round_trip(kImage + R"(
    const %s f32[4,1,1] random(1) const %b f32[1,4,1,1] random(2) const %w f32[4,1,8] random(3)
    %m = Mul(%x, %s) %y = Add(%m, %b) %z = Mul(%s, %x) %u = Sub(%x, %b) %v = Sub(%b, %x) %t = Add(%x, %w)
    output %y output %z output %u output %v output %t })");
  EXPECT_THAT(channels.layers(), ElementsAre("Scale y", "Scale z", "Scale u", "Scale v", "Scale t"));
  EXPECT_TRUE(channels.layer("y").scale_param().bias_term());
  EXPECT_EQ(channels.layer("t").scale_param().num_axes(), 3);
}

TEST(CaffeExport, Eltwise) {
  const Exported files = expect_round_trip(R"(graph { input %x f32[N,4,3,3] input %z f32[N,4,3,3]
    %a = Add(%x, %z) %b = Sub(%x, %z) %c = Mul(%a, %b) %y = Max(%c, %x) output %y })");
  EXPECT_THAT(files.layers(), ElementsAre("Eltwise a", "Eltwise b", "Eltwise c", "Eltwise y"));
  EXPECT_EQ(files.layer("b").eltwise_param().coeff(1), -1);
  const Exported gates = expect_round_trip(R"(graph { input %x f32[N,4,3,5]
    %g = GlobalAveragePool(%x) %y = Mul(%g, %x) output %y })");
  EXPECT_THAT(gates.layers(), ElementsAre("Pooling g", "Reshape y/aligned", "Scale y"));
}

TEST(CaffeExport, ShapesAndTheRest) {
  const Exported files = expect_round_trip(R"(graph { input %x f32[N,6,4,4]
    %r = Reshape(%x) shape=[N,3,32] %f = Flatten(%x) %s = Softmax(%f) axis=1 %t = Softmax(%x) axis=2
    %l = Lrn(%x) size=3 alpha=0.5 beta=0.75 bias=2 %k = Lrn(%x) size=3 alpha=0.5 within_channel=true
    %c = Concat(%l, %k) axis=1 %i = Identity(%c)
    output %r output %s output %t output %i })",
                                           16);
  EXPECT_THAT(files.layers(),
              ElementsAre("Reshape r", "Flatten f", "Softmax s", "Softmax t", "LRN l", "LRN k", "Concat c"));
}

TEST(CaffeExport, Slices) {
  const Exported whole = expect_round_trip(R"(graph { input %x f32[N,6,4,4]
    %b = Slice(%x) axes=[1] starts=[2] ends=[6] steps=[1] %a = Slice(%x) axes=[1] starts=[0] ends=[2] steps=[1]
    output %b output %a })");
  EXPECT_EQ(whole.layer("b").type(), "Slice");
  EXPECT_EQ(whole.layer("b").top_size(), 2);
  const Exported part = expect_round_trip(R"(graph { input %x f32[N,6,4,4]
    %y = Slice(%x) axes=[1,3] starts=[1,0] ends=[3,3] steps=[1,1] output %y })");
  EXPECT_THAT(part.layers(), ElementsAre("Slice y/axis1", "Slice y/axis3", "Silence y/silence"));
}

/// Convolutions of ones and zeros: the shortcuts of CIFAR's residual networks need them.
TEST(CaffeExport, SteppingSlicesAndPads) {
  const Exported files = expect_round_trip(R"(graph { input %x f32[N,3,9,8]
    %s = Slice(%x) axes=[2,3] starts=[0,0] ends=[9,8] steps=[2,2] %y = Pad(%s) begin=[0,2,0,0] end=[0,1,0,0]
    %t = Slice(%x) axes=[3] starts=[1] ends=[7] steps=[3] %z = Pad(%x) begin=[0,0,1,2] end=[0,0,1,0]
    output %y output %t output %z })");
  EXPECT_THAT(files.layers(), ElementsAre("Convolution s", "Convolution y", "Slice t/axis3", "Convolution t",
                                          "Silence t/silence", "Convolution z"));
  EXPECT_EQ(files.layer("s").convolution_param().group(), 3u);
  EXPECT_EQ(files.layer("y").convolution_param().num_output(), 6u);
}

TEST(CaffeExport, OutputsThatAreReadOrStandInAnotherOrder) {
  expect_round_trip(kImage + "%a = Relu(%x) %b = Sigmoid(%a) output %a output %b }");
  expect_round_trip(kImage + "%a = Relu(%x) %b = Sigmoid(%x) output %b output %a }");
  EXPECT_THAT(export_failure(kImage + "%a = Relu(%x) output %a output %x }"),
              HasSubstr("output 'x' is computed by no layer"));
}

TEST(CaffeExport, NamesStayApart) {
  Graph graph = parse_graph(kImage + "%a = Relu(%x) %b = Sigmoid(%a) output %b }");
  for (const NodeId id : graph.order()) graph.node(id).name = "same";
  const Exported files = expect_round_trip(graph);
  EXPECT_THAT(files.layers(), ElementsAre("ReLU same.1", "Sigmoid same"));
}

TEST(CaffeExport, WhatCaffeHasNotNamesTheNode) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"%y = Clip(%x) min=0 max=6", "Clip has no counterpart in Caffe"},
      {"const %w f32[4,4,1,1] random(1) %y = Conv(%x, %w) kernel=[1,1] act=clip(0,6)",
       "Clip, the activation"},
      {"%y = HardSwish(%x)", "HardSwish has no counterpart in Caffe"},
      {"%y = HardSigmoid(%x)", "HardSigmoid has no counterpart in Caffe"},
      {"%y = Transpose(%x) perm=[0,2,3,1]", "Transpose has no counterpart in Caffe"},
      {"%y = Pad(%x) begin=[0,0,1,1] end=[0,0,1,1] mode=edge", "it pads with more than zeros"},
      {"%y = Pad(%x) begin=[0,0,1,0] end=[0,0,0,-1]", "it pads the batch, or a matrix, or crops"},
      {"%y = ReduceMean(%x) axes=[1]", "its mean is not over the two spatial axes"},
      {"%y = Slice(%x) axes=[1] starts=[0] ends=[4] steps=[2]", "it steps"},
      {"%y = MaxPool(%x) kernel=[2,2] dilations=[2,2]", "its window is dilated"},
      {"%y = AveragePool(%x) kernel=[3,3] pads_begin=[1,1] pads_end=[1,1]",
       "Caffe's average counts the padding"},
      {"%y = Div(%x, %x)", "Div has no counterpart in Caffe"},
      {"const %s f32[] [0.1] const %z u8[] [3] %y = QuantizeLinear(%x, %s, %z)",
       "its layers compute in float"},
  };
  for (const auto& [node, reason] : cases) {
    SCOPED_TRACE(node);
    const std::string line = export_failure(kImage + node + " output %y }");
    EXPECT_THAT(line, StartsWith("net.prototxt: layer 'y': "));
    EXPECT_THAT(line, HasSubstr(reason));
  }
}

/// Every window of sizes 1 to 4 that a graph can say, over an input of 7 x 9.
TEST(CaffeExport, PoolingWindows) {
  int written = 0, refused = 0;
  for (const char* op : {"MaxPool", "AveragePool"}) {
    for (int kernel = 1; kernel <= 4; ++kernel) {
      for (int stride = 1; stride <= 3; ++stride) {
        for (int begin = 0; begin < std::min(kernel, 3); ++begin) {
          for (int end = 0; end < std::min(kernel, 3); ++end) {
            for (const char* mode : {"", " ceil_mode=true", " count_include_pad=true"}) {
              const std::string k = std::to_string(kernel), s = std::to_string(stride),
                                b = std::to_string(begin), e = std::to_string(end);
              std::string text = "graph { input %x f32[N,2,7,9] %y = " + std::string(op) + "(%x) kernel=[" +
                                 k + "," + k + "] strides=[" + s + "," + s + "] pads_begin=[" + b + "," + b +
                                 "] pads_end=[" + e + "," + e + "]" + mode + " output %y }";
              SCOPED_TRACE(text);
              const Graph graph = parse_graph(text);
              try {
                expect_same_outputs(graph, Exported(graph).import(), 2);
                ++written;
              } catch (const Error& error) {
                EXPECT_THAT(error.what(), HasSubstr("layer 'y': "));
                ++refused;
                // Without padding every window is Caffe's, cropped where Caffe rounds up.
                EXPECT_NE(begin + end, 0) << error.what();
                EXPECT_FALSE(begin == end && std::string(op) == "MaxPool") << error.what();
              }
            }
          }
        }
      }
    }
  }
  EXPECT_GT(written, refused);
}

TEST(CaffeExport, PoolingAsTorchSaysItIsCropped) {
  const Exported files = expect_round_trip(R"(graph { input %x f32[N,2,12,12]
    %p = MaxPool(%x) kernel=[3,3] strides=[2,2] pads_begin=[1,1] pads_end=[1,1] %y = Relu(%p) output %y })");
  EXPECT_THAT(files.layers(),
              ElementsAre("Pooling p", "Slice p/rows", "Slice p/columns", "Silence p/silence", "ReLU y"));
}

}  // namespace
}  // namespace xdn::testing
