// Caffe -> graph -> Caffe: what the file said comes back.

#include <gmock/gmock.h>

#include "formats/caffe_export_support.h"

namespace xdn::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::string kConv = "num_output: 4 kernel_size: 3 stride: 1 pad: 1 weight_filler { type: 'msra' }";

/// The text without its heading, as protobuf prints it.
std::string canonical(const std::string& prototxt) {
  caffe::NetParameter net;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(prototxt, &net)) << prototxt;
  return net.DebugString();
}

TEST(CaffeRoundTrip, LayersAndBlobsAreTheSame) {
  const std::string prototxt =
      "name: 'net'\n" + input_layer({1, 3, 8, 8}) +
      layer("Convolution", {"data"}, {"conv"}, "convolution_param { " + kConv + " bias_term: false }") +
      layer("BatchNorm", {"conv"}, {"conv"}, "batch_norm_param { use_global_stats: true eps: 0.001 }", "bn") +
      layer("Scale", {"conv"}, {"conv"}, "scale_param { bias_term: true }", "scale") +
      layer("ReLU", {"conv"}, {"conv"}, "", "relu") +
      layer("Convolution", {"conv"}, {"branch"}, "convolution_param { " + kConv + " }") +
      layer("Eltwise", {"conv", "branch", "conv"}, {"sum"},
            "eltwise_param { coeff: 0.5 coeff: -1 coeff: 1 }") +
      layer("Slice", {"sum"}, {"a", "b"}, "slice_param { axis: 1 slice_point: 1 }", "cut") +
      layer("Power", {"a"}, {"a"}, "power_param { power: 2 scale: 3 shift: 0.5 }", "power") +
      layer("Concat", {"a", "b"}, {"joined"}, "concat_param { axis: 1 }") +
      layer("Pooling", {"joined"}, {"pool"}, "pooling_param { pool: AVE kernel_size: 3 stride: 2 }") +
      layer("InnerProduct", {"pool"}, {"fc"}, "inner_product_param { num_output: 5 }") +
      layer("Softmax", {"fc"}, {"prob"});
  WeightsFile weights;
  weights.add_noise("conv", {{4, 3, 3, 3}})
      .add("bn", {{{4}, noise(4)}, {{4}, {1, 2, 3, 4}}, {{1}, {1}}})
      .add_noise("scale", {{4}, {4}})
      .add_noise("branch", {{4, 4, 3, 3}, {4}})
      .add_noise("fc", {{5, 64}, {5}});
  const Graph graph = import_texts(prototxt, weights);
  const Exported files = expect_round_trip(graph, 0);
  EXPECT_EQ(canonical(files.prototxt), canonical(prototxt));
  // A second time nothing changes at all.
  const Exported again(files.import());
  EXPECT_EQ(again.prototxt, files.prototxt);
  EXPECT_EQ(again.caffemodel, files.caffemodel);
}

const std::string kQuantized =
    "bottom_mlu_dtype { type: INT8 position: -6 scale: 1.984375 } blobs_dtype { type: INT8 position: -7 "
    "scale: 1.5 } "
    "sparsity: 0.25 engine: MLU param { lr_mult: 2 }";

std::string cambricon() {
  return "opt_level: 1\n" + input_layer({1, 3, 6, 6}) +
         layer("Convolution", {"data"}, {"conv"},
               "convolution_param { num_output: 4 kernel_size: 1 stride: 1 mean_value: 1 mean_value: 2 "
               "mean_value: 3 "
               "std: 0.5 "
               "input_format: RGBA } " +
                   kQuantized);
}

TEST(CaffeRoundTrip, QuantizationOfCambricon) {
  WeightsFile weights;
  weights.add_noise("conv", {{4, 3, 1, 1}, {4}});
  const Exported files = expect_round_trip(import_texts(cambricon(), weights));
  EXPECT_EQ(canonical(files.prototxt), canonical(cambricon()));
}

TEST(CaffeRoundTrip, QuantizationOfWeightsThatChangedGoes) {
  WeightsFile weights;
  weights.add_noise("conv", {{4, 3, 1, 1}, {4}});
  Graph graph = import_texts(cambricon(), weights);
  const Node& conv = node_named(graph, "conv");
  graph.value(conv.inputs[1]).constant->mutable_data<float>()[0] += 1;
  const Exported files(graph);
  EXPECT_EQ(files.layer("conv").blobs_dtype_size(), 0);
  EXPECT_EQ(files.layer("conv").bottom_mlu_dtype_size(), 1);
}

TEST(CaffeRoundTrip, UnknownFieldsOfThePrototxt) {
  const std::string prototxt =
      "cores: 4\n" + input_layer({1, 3, 6, 6}) +
      layer("Convolution", {"data"}, {"conv"},
            "convolution_param { num_output: 4 kernel_size: 1 winograd { tile: [4, 2] name: \"a\" \"b\" } "
            "bias: -3.5 } "
            "chip: 'one' chip: 'two' ") +
      layer("ReLU", {"conv"}, {"conv"}, "relu_param < clip: 6 > table { x: 1 } table < x: 2 y { z: 3 } >",
            "relu");
  WeightsFile weights;
  weights.add_noise("conv", {{4, 3, 1, 1}, {4}});
  const Exported files = expect_round_trip(import_texts(prototxt, weights));
  for (const char* kept :
       {"cores: 4\n", "  chip: 'one'\n  chip: 'two'\n", "    bias: -3.5\n",
        "    winograd { tile: [4, 2] name: \"a\" \"b\" }\n", "  relu_param {\n    clip: 6\n  }\n",
        "  table { x: 1 }\n  table { x: 2 y { z: 3 } }\n"}) {
    EXPECT_THAT(files.prototxt, HasSubstr(kept));
  }
  EXPECT_EQ(Exported(files.import()).prototxt, files.prototxt);
}

TEST(CaffeRoundTrip, UnknownFieldsOfTheCaffemodel) {
  WeightsFile weights;
  weights.add_noise("conv", {{4, 3, 1, 1}, {4}});
  caffe::LayerParameter& conv = *weights.net().mutable_layer(1);
  conv.set_type("Convolution");
  conv.mutable_unknown_fields()->AddVarint(900, 77);
  conv.mutable_convolution_param()->mutable_unknown_fields()->AddLengthDelimited(901, "inner");
  const Exported files = expect_round_trip(import_texts(
      input_layer({1, 3, 6, 6}) +
          layer("Convolution", {"data"}, {"conv"}, "convolution_param { num_output: 4 kernel_size: 1 }"),
      weights));
  EXPECT_THAT(files.prototxt, Not(HasSubstr("900")));
  const auto& written = files.weights.layer(1);
  ASSERT_EQ(written.name(), "conv");
  ASSERT_EQ(written.unknown_fields().field_count(), 1);
  EXPECT_EQ(written.unknown_fields().field(0).varint(), 77u);
  EXPECT_EQ(written.convolution_param().unknown_fields().field(0).length_delimited(), "inner");
}

TEST(CaffeRoundTrip, WhatNewerCaffesHaveStaysWhereTheFileHadIt) {
  const Exported files = expect_round_trip(import_texts(
      input_layer({1, 3, 8, 8}) + layer("Clip", {"data"}, {"clip"}, "clip_param { min: 0 max: 6 }") +
          layer("Pooling", {"clip"}, {"pool"},
                "pooling_param { kernel_size: 3 stride: 2 round_mode: FLOOR }") +
          layer("Bias", {"pool"}, {"pool"}, "", "bias"),
      WeightsFile().add_noise("bias", {{3}})));
  EXPECT_EQ(files.layers(), (std::vector<std::string>{"Clip clip", "Pooling pool", "Bias bias"}));
}

TEST(CaffeRoundTrip, DropoutAndSplitGoUnlessAnOutputNeedsThem) {
  const Exported files = expect_round_trip(
      import_texts(input_layer({1, 3, 8, 8}) + layer("Dropout", {"data"}, {"drop"}) +
                   layer("ReLU", {"drop"}, {"relu"}) + layer("Dropout", {"relu"}, {"relu"}, "", "drop2") +
                   layer("Split", {"relu"}, {"one", "two"}) + layer("Sigmoid", {"one"}, {"three"})));
  EXPECT_EQ(files.layers(), (std::vector<std::string>{"ReLU relu", "Split one/two", "Sigmoid three"}));
}

TEST(CaffeRoundTrip, FilesAppearTogetherOrNotAtAll) {
  const Graph graph = parse_graph("graph { input %x f32[N,3] %y = Relu(%x) output %y }");
  const TempDir dir;
  std::filesystem::create_directory(dir / "taken.prototxt");
  EXPECT_THROW(export_caffe(graph, dir / "taken.prototxt", dir / "net.caffemodel"), Error);
  EXPECT_FALSE(std::filesystem::exists(dir / "net.caffemodel"));
  EXPECT_THROW(export_caffe(graph, dir / "net.prototxt", dir / "absent/net.caffemodel"), Error);
  EXPECT_FALSE(std::filesystem::exists(dir / "net.prototxt"));
  EXPECT_THROW(save_model(graph, dir / "same.prototxt:" + (dir / "same.prototxt")), Error);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path()), {}), 1);
  save_model(graph, dir / "net.prototxt:" + (dir / "net.caffemodel"));
  expect_same_outputs(graph, load_model(dir / "net.prototxt:" + (dir / "net.caffemodel")), 0);
}

TEST(CaffeRoundTrip, SubnormalWeightsBecomeZero) {
  Graph graph = parse_graph(
      "graph { input %x f32[N,3] const %w f32[2,3] random(1) "
      "%y = Gemm(%x, %w) trans_b=true output %y }");
  graph.value(*graph.find_value("w")).constant->mutable_data<float>()[1] = 1e-40F;
  const Graph again = Exported(graph).import();
  EXPECT_EQ(again.constant(node_named(again, "y").inputs[1]).data<float>()[1], 0);
}

/// What a prototxt may get wrong about its edges.
TEST(CaffeBadNetwork, OneLineEach) {
  const std::string data = input_layer({1, 3, 8, 8});
  EXPECT_EQ(import_failure(data + layer("ReLU", {"b"}, {"a"}) + layer("ReLU", {"a"}, {"b"})),
            "net.prototxt: layer 'a': bottom 'b' is not the top of any layer before");
  EXPECT_EQ(
      import_failure(data + layer("ReLU", {"data"}, {"a"}) + layer("Sigmoid", {"data"}, {"a"}, "", "two")),
      "net.prototxt: layer 'two': top 'a' is already the top of a layer before");
  EXPECT_EQ(import_failure(data + layer("Split", {"data"}, {"a", "a"}, "", "twins")),
            "net.prototxt: layer 'twins': has top 'a' twice");
  EXPECT_THAT(
      import_failure(data + layer("ReLU", {"data"}, {"a"}) + layer("Silence", {"a"}, {"b"}, "", "quiet")),
      HasSubstr("net.prototxt: "));
}

}  // namespace
}  // namespace xdn::testing
