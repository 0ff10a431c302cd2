// Cambricon's 8-bit fields, written and read.

#include <gmock/gmock.h>

#include "formats/caffe_export_support.h"

namespace xdn::testing {
namespace {

using ::testing::HasSubstr;

MluLayers by_names(const Graph& graph, const std::map<std::string, MluLayer>& layers) {
  MluLayers out;
  for (const NodeId id : graph.order()) {
    const auto found = layers.find(graph.node(id).name);
    if (found != layers.end()) out[id] = found->second;
  }
  EXPECT_EQ(out.size(), layers.size());
  return out;
}

std::map<std::string, MluLayer> names_of(const Graph& graph, const MluLayers& layers) {
  std::map<std::string, MluLayer> out;
  for (const auto& [id, layer] : layers) out[graph.node(id).name] = layer;
  return out;
}

/// Bytes, a depthwise convolution, an InnerProduct that flattens.
std::string small_net() {
  return input_layer({1, 3, 6, 6}) +
         layer("Convolution", {"data"}, {"conv"},
               "convolution_param { num_output: 4 pad: 1 kernel_size: 3 mean_value: 104 mean_value: 117 "
               "mean_value: 123 std: 0.017 }") +
         layer("ReLU", {"conv"}, {"conv"}, "", "relu") +
         layer("Convolution", {"conv"}, {"depthwise"},
               "convolution_param { num_output: 4 bias_term: false kernel_size: 3 group: 4 }") +
         layer("InnerProduct", {"depthwise"}, {"fc"}, "inner_product_param { num_output: 5 }");
}

WeightsFile small_weights() {
  WeightsFile weights;
  weights.add_noise("conv", {{4, 3, 3, 3}, {4}})
      .add_noise("depthwise", {{4, 1, 3, 3}})
      .add_noise("fc", {{5, 64}, {5}});
  return weights;
}

const std::map<std::string, MluLayer> kSmallLayers{{"conv", {true, {-5, 1.5F}, MluDtype{-7, 1.25F}}},
                                                   {"depthwise", {false, {-32, 1e30F}, MluDtype{0, 1}}},
                                                   {"fc", {false, {3, 1.0000001F}, std::nullopt}}};

TEST(CaffeMlu, FieldsOfTheLayers) {
  const Graph graph = import_texts(small_net(), small_weights());
  const Exported files(graph, by_names(graph, kSmallLayers));
  const auto expect = [&](const char* name, const char* text) {
    caffe::LayerParameter found;
    *found.mutable_bottom_mlu_dtype() = files.layer(name).bottom_mlu_dtype();
    *found.mutable_blobs_dtype() = files.layer(name).blobs_dtype();
    caffe::LayerParameter expected;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &expected));
    EXPECT_EQ(found.DebugString(), expected.DebugString());
  };
  expect("conv",
         "bottom_mlu_dtype { type: UINT8 position: -5 scale: 1.5 } "
         "blobs_dtype { type: INT8 position: -7 scale: 1.25 }");
  expect("depthwise",
         "bottom_mlu_dtype { type: INT8 position: -32 scale: 1e30 } "
         "blobs_dtype { type: INT8 position: 0 scale: 1 }");
  expect("fc", "bottom_mlu_dtype { type: INT8 position: 3 scale: 1.0000001 }");
  const auto& conv = files.layer("conv").convolution_param();
  EXPECT_EQ(Floats(conv.mean_value().begin(), conv.mean_value().end()), (Floats{104, 117, 123}));
  EXPECT_EQ(conv.std(), 0.017F);
  EXPECT_THAT(files.prototxt, HasSubstr("input_format: BGR"));
  EXPECT_EQ(files.layers(), (std::vector<std::string>{"Convolution conv", "ReLU relu",
                                                      "Convolution depthwise", "InnerProduct fc"}));
  // The weights stay what they were.
  expect_same_outputs(graph, files.import(), 4);
}

TEST(CaffeMlu, ComeBack) {
  const Graph graph = import_texts(small_net(), small_weights());
  const Exported files(graph, by_names(graph, kSmallLayers));
  Graph again = files.import();
  EXPECT_EQ(names_of(again, caffe_mlu_layers(again)), kSmallLayers);
  // Written again without being asked to, they are what the file said.
  EXPECT_EQ(Exported(again).prototxt, files.prototxt);
  // The file's word on weights ends with them.
  again.value(node_named(again, "depthwise").inputs[1]).constant->mutable_data<float>()[0] += 1;
  auto expected = kSmallLayers;
  expected["depthwise"].weights.reset();
  EXPECT_EQ(names_of(again, caffe_mlu_layers(again)), expected);
}

TEST(CaffeMlu, NewOnesTakeThePlaceOfTheFiles) {
  const Graph graph = import_texts(small_net(), small_weights());
  const Graph again = Exported(graph, by_names(graph, kSmallLayers)).import();
  const std::map<std::string, MluLayer> other{{"depthwise", {false, {1, 1.5F}, std::nullopt}}};
  const Exported files(again, by_names(again, other));
  EXPECT_EQ(files.layer("depthwise").bottom_mlu_dtype_size(), 1);
  EXPECT_EQ(files.layer("depthwise").bottom_mlu_dtype(0).position(0), 1);
  EXPECT_EQ(files.layer("depthwise").blobs_dtype_size(), 0);
  EXPECT_EQ(files.layer("fc").bottom_mlu_dtype_size(), 1);
}

TEST(CaffeMlu, MatMulAlongTheLastAxis) {
  const std::string text =
      input_layer({1, 2, 3, 4}) +
      layer("InnerProduct", {"data"}, {"fc"}, "inner_product_param { num_output: 5 axis: 3 } ");
  const Graph graph = import_texts(text, WeightsFile().add_noise("fc", {{5, 4}, {5}}));
  const std::map<std::string, MluLayer> layers{{"fc", {false, {-6, 1.75F}, MluDtype{-7, 1.5F}}}};
  const Graph again = Exported(graph, by_names(graph, layers)).import();
  EXPECT_EQ(names_of(again, caffe_mlu_layers(again)), layers);
}

TEST(CaffeMlu, FusedConvolutionsKeepTheirs) {
  // As fusion leaves them: with residual and activation, in front of an output that an Identity renames.
  const Graph graph = parse_graph(R"(graph { input %x f32[N,2,3,3]
    const %w f32[2,2,1,1] [1, 2, 3, 4] const %b f32[2] [5, 6]
    %y = Conv(%x, %w, %b, %x) kernel=[1,1] act=relu "block"
    %z = Identity(%y) output %z })");
  const std::map<std::string, MluLayer> layers{{"block", {false, {-6, 1.75F}, MluDtype{-4, 1.5F}}}};
  const Exported files(graph, by_names(graph, layers));
  EXPECT_EQ(files.layer("block").type(), "Convolution");
  EXPECT_EQ(files.layer("block").bottom_mlu_dtype_size(), 1);
  const Graph again = files.import();
  EXPECT_EQ(names_of(again, caffe_mlu_layers(again)), layers);
}

TEST(CaffeMlu, OtherDepthsOfPixels) {
  for (const int64_t channels : {1, 4}) {
    const std::string text =
        input_layer({1, channels, 2, 2}) +
        layer("Convolution", {"data"}, {"conv"},
              "convolution_param { num_output: 1 kernel_size: 1 bias_term: false mean_value: 2 std: 0.5 } "
              "bottom_mlu_dtype { type: UINT8 position: -1 scale: 1.5 }");
    const Graph graph = import_texts(
        text, WeightsFile().add("conv", {{{1, channels, 1, 1}, Floats(static_cast<size_t>(channels), 1)}}));
    const Tensor x = Tensor::of({1, channels, 2, 2}, Floats(static_cast<size_t>(channels * 4), 10));
    const auto sum = static_cast<float>(channels * 4);
    expect_near(run_one(graph, {x}), {1, 1, 2, 2}, {sum, sum, sum, sum});
    const MluLayers layers = caffe_mlu_layers(graph);
    ASSERT_EQ(layers.size(), 1U);
    EXPECT_TRUE(layers.begin()->second.bytes);
    const Exported files(graph, layers);
    EXPECT_FALSE(files.layer("conv").convolution_param().has_input_format());
    EXPECT_EQ(files.layer("conv").convolution_param().mean_value_size(), 1);
  }
}

TEST(CaffeMlu, BytesNeedTheirMean) {
  const Graph graph = parse_graph(R"(graph { input %x f32[N,2,3,3]
    const %w f32[2,2,1,1] [1, 2, 3, 4] %y = Conv(%x, %w) kernel=[1,1] "conv" output %y })");
  EXPECT_EQ(
      export_failure(graph, by_names(graph, {{"conv", {true, {0, 1}, std::nullopt}}})),
      "net.prototxt: layer 'conv': is to read bytes, but nothing of its own before it subtracts their mean");
}

TEST(CaffeMlu, DeviationsPerChannelAreNoStd) {
  // The names are right, but the chip has one number.
  const Graph graph = parse_graph(R"(graph { input %x f32[N,2,3,3]
    const %m f32[2,1,1] [1, 2] const %s f32[2,1,1] [3, 4] const %w f32[2,2,1,1] [1, 2, 3, 4]
    %a = Sub(%x, %m) "conv/mean" %b = Mul(%a, %s) "conv/std" %y = Conv(%b, %w) kernel=[1,1] "conv" output %y })");
  EXPECT_EQ(find_normalisation(graph, node_named(graph, "conv")).mean, nullptr);
  expect_round_trip(graph);
  EXPECT_THAT(export_failure(graph, by_names(graph, {{"conv", {true, {0, 1}, std::nullopt}}})),
              HasSubstr("layer 'conv': is to read bytes"));
}

TEST(CaffeMlu, WhatOthersReadStaysALayer) {
  const Graph graph = parse_graph(R"(graph { input %x f32[N,2,3,3]
    const %m f32[2,1,1] [1, 2] const %s f32[] [3] const %w f32[2,2,1,1] [1, 2, 3, 4]
    %a = Sub(%x, %m) "conv/mean" %b = Mul(%a, %s) "conv/std" %c = Conv(%b, %w) kernel=[1,1] "conv"
    %y = Add(%c, %a) output %y })");
  EXPECT_NE(find_normalisation(graph, node_named(graph, "conv")).mean, nullptr);
  expect_round_trip(graph);
  EXPECT_THAT(export_failure(graph, by_names(graph, {{"conv", {true, {0, 1}, std::nullopt}}})),
              HasSubstr("layer 'conv': is to read bytes"));
}

TEST(CaffeMlu, MeanAndStdAreFinite) {
  for (const char* wrong : {"mean_value: nan", "mean_value: 1 mean_value: -inf", "std: inf"}) {
    EXPECT_EQ(import_failure(input_layer({1, 2, 3, 3}) +
                                 layer("Convolution", {"data"}, {"conv"},
                                       "convolution_param { num_output: 1 kernel_size: 1 bias_term: false " +
                                           std::string(wrong) + " }"),
                             WeightsFile().add_noise("conv", {{1, 2, 1, 1}})),
              "net.prototxt: layer 'conv': mean_value and std must be finite");
  }
}

std::string mlu_failure(const std::string& fields, const std::string& type = "Convolution") {
  const bool convolution = type == "Convolution";
  const std::string param = convolution
                                ? "convolution_param { num_output: 1 kernel_size: 1 bias_term: false } "
                                : "inner_product_param { num_output: 1 bias_term: false } ";
  const Graph graph =
      import_texts(input_layer({1, 1, 1, 1}) + layer(type, {"data"}, {"layer"}, param + fields),
                   WeightsFile().add("layer", {{convolution ? Dims{1, 1, 1, 1} : Dims{1, 1}, {1}}}));
  try {
    return "no error, layers: " + std::to_string(caffe_mlu_layers(graph).size());
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    return error.what();
  }
}

TEST(CaffeMlu, WhatMakesNoSense) {
  const std::string at = "layer 'layer': ";
  EXPECT_EQ(mlu_failure("bottom_mlu_dtype { type: INT8 scale: 1 }"),
            at + "bottom_mlu_dtype has 0 positions and 1 scales, expected one of each");
  EXPECT_EQ(mlu_failure("bottom_mlu_dtype { position: 0 scale: 1 } "
                        "blobs_dtype { position: 0 position: 1 scale: 1 scale: 2 }"),
            at + "blobs_dtype has 2 positions and 2 scales, expected one of each");
  EXPECT_EQ(mlu_failure("bottom_mlu_dtype { type: INT8 position: 33 scale: 1 }"),
            at + "bottom_mlu_dtype has position 33, expected -32 to 32");
  EXPECT_EQ(mlu_failure("bottom_mlu_dtype { type: INT8 position: -2147483648 scale: 1 }"),
            at + "bottom_mlu_dtype has position -2147483648, expected -32 to 32");
  for (const char* scale : {"0", "-1", "nan", "inf"}) {
    EXPECT_THAT(mlu_failure("bottom_mlu_dtype { type: INT8 position: 0 scale: " + std::string(scale) + " }"),
                HasSubstr(at + "bottom_mlu_dtype has scale"));
  }
  EXPECT_EQ(mlu_failure("bottom_mlu_dtype { type: INT16 position: 0 scale: 1 }"),
            at + "bottom_mlu_dtype of type INT16 is not supported, expected INT8");
  EXPECT_EQ(mlu_failure("bottom_mlu_dtype { type: UINT8 position: 0 scale: 1 }", "InnerProduct"),
            at + "bottom_mlu_dtype of type UINT8 is not supported, expected INT8");
  EXPECT_EQ(mlu_failure("bottom_mlu_dtype { position: 0 } blobs_dtype { type: BINARY position: 0 }"),
            at + "blobs_dtype of type BINARY is not supported, expected INT8");
  EXPECT_EQ(
      mlu_failure("bottom_mlu_dtype { position: 0 } bottom_mlu_dtype { position: 0 }"),
      at + "has 2 bottom_mlu_dtype and 0 blobs_dtype, expected one for its bottom and one for its weights");
  // Floating point is no 8-bit layer, and the least there can be is one.
  EXPECT_EQ(mlu_failure("bottom_mlu_dtype { type: FLOAT16 }"), "no error, layers: 0");
  EXPECT_EQ(mlu_failure("blobs_dtype { type: INT8 position: 0 scale: 1 }"), "no error, layers: 0");
  EXPECT_EQ(mlu_failure("bottom_mlu_dtype { position: 0 }"), "no error, layers: 1");
}

}  // namespace
}  // namespace xdn::testing
