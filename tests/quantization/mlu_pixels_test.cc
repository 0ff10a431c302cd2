// Normalisation moved into the chip's first convolution.

#include <cmath>

#include "base/error.h"
#include "executor/reference.h"
#include "quantization/mlu.h"
#include "support/nets.h"

namespace xdn::testing {
namespace {

Graph one_convolution(int64_t channels, int64_t oc, int64_t group = 1, bool bias = true) {
  NetBuilder net(11);
  const ValueId y = net.conv(net.input(channels, 5, 5), channels, oc,
                             {.kernel = 3, .pad = 1, .group = group, .act = ActKind::kNone});
  if (!bias) net.graph.node(net.graph.order()[0]).inputs.resize(2);
  net.graph.set_outputs({y});
  infer_shapes(net.graph);
  return net.graph;
}

float byte_at(int64_t n, int64_t c, int64_t at) {
  return static_cast<float>((n * 31 + c * 101 + at * 57) % 256);
}

/// Runs the model on normalised pixels in its own order, and what the chip gets on raw ones in BGR.
void expect_same(const Graph& model, const PixelNormalisation& pixels) {
  const int64_t channels = model.value(model.inputs()[0]).shape[1];
  Tensor own(DType::kF32, {2, channels, 5, 5}), raw(DType::kF32, {2, channels, 5, 5});
  for (int64_t n = 0; n < 2; ++n) {
    for (int64_t c = 0; c < channels; ++c) {
      const auto own_c = static_cast<size_t>(c);
      const int64_t bgr = pixels.rgb ? channels - 1 - c : c;
      for (int64_t at = 0; at < 25; ++at) {
        const float byte = byte_at(n, c, at);
        own.mutable_data<float>()[static_cast<size_t>((n * channels + c) * 25 + at)] =
            (byte * pixels.scale - pixels.mean[own_c]) / pixels.std[own_c];
        raw.mutable_data<float>()[static_cast<size_t>((n * channels + bgr) * 25 + at)] = byte;
      }
    }
  }
  const Graph chip = normalise_on_chip(model, pixels);
  const Tensor expected = run_reference(model, std::span(&own, 1)).front();
  const Tensor found = run_reference(chip, std::span(&raw, 1)).front();
  double most = 0;
  for (int64_t i = 0; i < expected.size(); ++i) most = std::max(most, std::abs(expected.as_double(i)));
  for (int64_t i = 0; i < expected.size(); ++i)
    ASSERT_NEAR(found.as_double(i), expected.as_double(i), 2e-6 * most) << "at " << i;
}

const PixelNormalisation kCifar{1 / 255.0F, {0.4914F, 0.4822F, 0.4465F}, {0.247F, 0.2435F, 0.2616F}, true};

TEST(MluPixels, RgbWithDeviationsOfItsOwn) { expect_same(one_convolution(3, 4), kCifar); }
TEST(MluPixels, WithoutBias) { expect_same(one_convolution(3, 4, 1, false), kCifar); }
TEST(MluPixels, Bgr) {
  expect_same(one_convolution(3, 4), {1, {104, 117, 123}, {1, 1, 1}, false});
  expect_same(one_convolution(3, 4), {2, {104, 117, 123}, {-60, 20, 55}, false});
}
TEST(MluPixels, OneChannel) { expect_same(one_convolution(1, 4), {1 / 255.0F, {0.1307F}, {0.3081F}, true}); }
TEST(MluPixels, GroupsOfBgr) {
  expect_same(one_convolution(3, 6, 3), {1, {104, 117, 123}, {58, 57, 55}, false});
}

TEST(MluPixels, NamesAndNumbers) {
  const Graph chip = normalise_on_chip(one_convolution(3, 4), kCifar);
  std::vector<std::string> names;
  for (const NodeId id : chip.order()) names.push_back(chip.node(id).name);
  EXPECT_EQ(names, (std::vector<std::string>{"conv1/mean", "conv1/std", "conv1"}));
  const Tensor& mean = chip.constant(chip.node(chip.order()[0]).inputs[1]);
  EXPECT_EQ(mean.dims(), (Dims{3, 1, 1}));
  EXPECT_FLOAT_EQ(mean.data<float>()[0], 0.4465F * 255);
  EXPECT_FLOAT_EQ(mean.data<float>()[2], 0.4914F * 255);
  EXPECT_FLOAT_EQ(chip.constant(chip.node(chip.order()[1]).inputs[1]).data<float>()[0], 1 / 255.0F / 0.2616F);
  const ValueId bottom = chip.node(chip.order()[2]).inputs[0];
  EXPECT_EQ(mlu_inputs(chip), std::vector<ValueId>{bottom});
  const MluLayers layers = mlu_layers(chip, {{chip.value(bottom).name, 2.0F}});
  ASSERT_EQ(layers.size(), 1U);
  EXPECT_TRUE(layers.begin()->second.bytes);
  EXPECT_EQ(layers.begin()->second.bottom, (MluDtype{-5, 1.984375F}));
}

TEST(MluPixels, StdOfOneIsLeftOut) {
  const Graph chip = normalise_on_chip(one_convolution(3, 4), {1, {0, 0, 0}, {1, 1, 1}, false});
  ASSERT_EQ(chip.order().size(), 2U);
  EXPECT_EQ(chip.node(chip.order()[0]).type, OpType::kSub);
  EXPECT_TRUE(mlu_layers(chip, {{chip.value(mlu_inputs(chip)[0]).name, 255.0F}}).begin()->second.bytes);
}

std::string failure(const Graph& graph, const PixelNormalisation& pixels) {
  try {
    normalise_on_chip(graph, pixels);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

TEST(MluPixels, Refusals) {
  EXPECT_EQ(failure(one_convolution(3, 6, 3), kCifar),
            "layer 'conv1': is a convolution of 3 groups, through which the chip's BGR cannot become the "
            "model's RGB");
  EXPECT_EQ(failure(one_convolution(4, 4), {1, {0, 0, 0, 0}, {1, 1, 1, 1}, false}),
            "layer 'conv1': reads 4 channels, the chip's pixels have 1 or 3");
  EXPECT_EQ(
      failure(one_convolution(1, 4), kCifar),
      "layer 'conv1': the normalisation has 3 means and 3 deviations, expected one for each of 1 channels");
  for (const PixelNormalisation& wrong :
       {PixelNormalisation{0, {0, 0, 0}, {1, 1, 1}, true}, PixelNormalisation{1, {0, 0, 0}, {1, 0, 1}, true},
        PixelNormalisation{1e-30F, {0, 1e30F, 0}, {1, 1, 1}, true}}) {
    EXPECT_EQ(failure(one_convolution(3, 4), wrong),
              "layer 'conv1': its pixels' scale, mean and std go beyond the range of a float");
  }

  NetBuilder two(3);
  const ValueId data = two.input(3, 5, 5);
  two.graph.set_outputs({two.conv(data, 3, 3, {.residual = data})});
  infer_shapes(two.graph);
  EXPECT_EQ(failure(two.graph, kCifar),
            "the image 'data' has 2 readers, expected one convolution that normalises it");

  NetBuilder relu(3);
  relu.graph.set_outputs({relu.add(OpType::kRelu, NoAttrs{}, {relu.input(3, 5, 5)})});
  infer_shapes(relu.graph);
  EXPECT_EQ(failure(relu.graph, kCifar),
            "layer 'Relu1': Relu reads the image; only a two-dimensional convolution can normalise it");
}

}  // namespace
}  // namespace xdn::testing
