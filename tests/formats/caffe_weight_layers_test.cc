#include "formats/caffe_test_support.h"

namespace xdn::testing {
namespace {

using Names = std::vector<std::string>;

TEST(CaffeInnerProduct, FlattensFromTheAxis) {
  const Graph graph =
      import_texts(input_layer({1, 2, 1, 2}) +
                       layer("InnerProduct", {"data"}, {"fc"}, "inner_product_param { num_output: 2 }"),
                   WeightsFile().add("fc", {{{2, 4}, {1, 0, 0, 0, 1, 10, 100, 1000}}, {{2}, {0.5F, 0}}}));
  EXPECT_EQ(node_names(graph), (Names{"fc/flatten", "fc"}));
  expect_near(run_one(graph, {Tensor::of<float>({2, 2, 1, 2}, {1, 2, 3, 4, 5, 6, 7, 8})}), {2, 2},
              {1.5F, 4321, 5.5F, 8765});
}

TEST(CaffeInnerProduct, TransposedWithoutBiasOnAMatrix) {
  const Graph graph = import_texts(
      input_layer({1, 3}) + layer("InnerProduct", {"data"}, {"fc"},
                                  "inner_product_param { num_output: 2 transpose: true bias_term: false }"),
      WeightsFile().add("fc", {{{3, 2}, {1, 2, 10, 20, 100, 200}}}));
  EXPECT_EQ(node_names(graph), Names{"fc"});
  expect_near(run_one(graph, {Tensor::of<float>({1, 3}, {1, 2, 3})}), {1, 2}, {321, 642});
}

TEST(CaffeInnerProduct, LaterAxis) {
  for (const bool transpose : {false, true}) {
    const Floats w =
        transpose ? Floats{1, 2, 10, 20, 100, 200, 1000, 2000} : Floats{1, 10, 100, 1000, 2, 20, 200, 2000};
    const Graph graph =
        import_texts(input_layer({1, 2, 2, 2}) +
                         layer("InnerProduct", {"data"}, {"fc"},
                               std::string("inner_product_param { num_output: 2 axis: -2 transpose: ") +
                                   (transpose ? "true }" : "false }")),
                     WeightsFile().add("fc", {{transpose ? Dims{4, 2} : Dims{2, 4}, w}, {{2}, {0, 1}}}));
    expect_near(run_one(graph, {Tensor::of<float>({1, 2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8})}), {1, 2, 2},
                {4321, 8643, 8765, 17531});
  }
}

TEST(CaffeInnerProduct, Faults) {
  const auto failure_of = [](const std::string& param, const std::vector<Dims>& blobs) {
    return import_failure(input_layer({1, 2, 3, 3}) + layer("InnerProduct", {"data"}, {"fc"},
                                                            "inner_product_param { " + param + " }"),
                          WeightsFile().add_noise("fc", blobs));
  };
  EXPECT_EQ(failure_of("", {{1, 18}, {1}}), "net.prototxt: layer 'fc': num_output is 0, expected at least 1");
  EXPECT_EQ(failure_of("num_output: 2 axis: 0", {{2, 18}, {2}}),
            "net.prototxt: layer 'fc': axis is the batch axis, expected one within the image");
  EXPECT_EQ(failure_of("num_output: 2 axis: 4", {{2, 18}, {2}}),
            "net.prototxt: layer 'fc': axis 4 is outside a blob of 4 axes");
  EXPECT_EQ(failure_of("num_output: 2", {{2, 17}, {2}}),
            "net.caffemodel: layer 'fc': blob 0 has shape [2,17], expected [2,18]");
  EXPECT_EQ(failure_of("num_output: 2 transpose: true", {{2, 18}, {2}}),
            "net.caffemodel: layer 'fc': blob 0 has shape [2,18], expected [18,2]");
  EXPECT_EQ(failure_of("num_output: 4294967295", {{2, 18}, {2}}),
            "net.caffemodel: layer 'fc': blob 0 has shape [2,18], expected [4294967295,18]");
}

Graph import_batch_norm(const std::vector<WeightsFile::Blob>& blobs, const std::string& param = "") {
  return import_texts(
      input_layer({1, 2}) + layer("BatchNorm", {"data"}, {"bn"}, "batch_norm_param { " + param + " }"),
      WeightsFile().add("bn", blobs));
}

TEST(CaffeBatchNorm, TheFactorDividesMeanAndVariance) {
  const Graph graph = import_batch_norm({{{2}, {4, 8}}, {{2}, {16, 36}}, {{1}, {4}}}, "eps: 0");
  const Node& node = node_named(graph, "bn");
  EXPECT_EQ(graph.constant(node.inputs[3]).as_double(1), 2);
  EXPECT_EQ(graph.constant(node.inputs[4]).as_double(1), 9);
  expect_near(run_one(graph, {Tensor::of<float>({1, 2}, {3, 5})}), {1, 2}, {1, 1});
}

TEST(CaffeBatchNorm, AFactorOfZeroMeansZero) {
  const Graph graph = import_batch_norm({{{2}, {4, 8}}, {{2}, {16, 36}}, {{1}, {0}}}, "eps: 0.25");
  expect_near(run_one(graph, {Tensor::of<float>({1, 2}, {3, 5})}), {1, 2}, {6, 10});
}

TEST(CaffeBatchNorm, TheFactorMayBeAbsent) {
  const Graph graph = import_batch_norm({{{2}, {1, 2}}, {{2}, {4, 9}}}, "eps: 0 use_global_stats: true");
  expect_near(run_one(graph, {Tensor::of<float>({1, 2}, {3, 5})}), {1, 2}, {1, 1});
}

TEST(CaffeBatchNorm, Epsilon) {
  const auto default_eps =
      node_named(import_batch_norm({{{2}, {1, 2}}, {{2}, {4, 9}}}), "bn").as<BatchNormAttrs>();
  EXPECT_FLOAT_EQ(default_eps.epsilon, 1e-5F);
}

TEST(CaffeBatchNorm, Faults) {
  const auto failure_of = [](const std::vector<Dims>& blobs, const std::string& param = "") {
    return import_failure(
        input_layer({1, 2}) + layer("BatchNorm", {"data"}, {"bn"}, "batch_norm_param { " + param + " }"),
        WeightsFile().add_noise("bn", blobs));
  };
  EXPECT_EQ(failure_of({{2}}),
            "net.caffemodel: layer 'bn': has 1 blob, expected 3 blobs of shapes [2], [2], [1]");
  EXPECT_EQ(failure_of({{2}, {2}, {1}, {2}, {2}}),
            "net.caffemodel: layer 'bn': has 5 blobs, expected 3 blobs of shapes [2], [2], [1]");
  EXPECT_EQ(failure_of({{2}, {3}, {1}}), "net.caffemodel: layer 'bn': blob 1 has shape [3], expected [2]");
  EXPECT_EQ(failure_of({{2}, {2}, {1}}, "eps: -1"), "net.prototxt: layer 'bn': eps must not be negative");
}

TEST(CaffeScale, OverChannels) {
  const Graph graph = import_texts(
      input_layer({1, 2, 1, 2}) + layer("Scale", {"data"}, {"s"}, "scale_param { bias_term: true }"),
      WeightsFile().add("s", {{{2}, {2, 3}}, {{2}, {10, 20}}}));
  EXPECT_EQ(node_names(graph), (Names{"s", "s/bias"}));
  expect_near(run_one(graph, {Tensor::of<float>({1, 2, 1, 2}, {1, 2, 3, 4})}), {1, 2, 1, 2},
              {12, 14, 29, 32});
}

TEST(CaffeScale, AxesOfTheBlob) {
  const auto run_scale = [](const std::string& param, const Dims& blob, const Floats& values) {
    const Graph graph = import_texts(
        input_layer({1, 2, 1, 2}) + layer("Scale", {"data"}, {"s"}, "scale_param { " + param + " }"),
        WeightsFile().add("s", {{blob, values}}));
    return run_one(graph, {Tensor::of<float>({1, 2, 1, 2}, {1, 2, 3, 4})});
  };
  const Dims out{1, 2, 1, 2};
  expect_near(run_scale("axis: -1", {2}, {2, 3}), out, {2, 6, 6, 12});
  expect_near(run_scale("num_axes: -1", {2, 1, 2}, {1, 2, 3, 4}), out, {1, 4, 9, 16});
  expect_near(run_scale("num_axes: 2", {2, 1}, {2, 3}), out, {2, 4, 9, 12});
  expect_near(run_scale("num_axes: 0", {}, {5}), out, {5, 10, 15, 20});
  expect_near(run_scale("axis: 0 num_axes: 0", {}, {5}), out, {5, 10, 15, 20});
}

TEST(CaffeScale, TwoBottoms) {
  // As in squeeze-and-excite: one factor per image and channel.
  const Graph graph = import_texts(input_layer({1, 2, 1, 2}) + input_layer({1, 2}, "gate") +
                                   layer("Scale", {"data", "gate"}, {"s"}, "scale_param { axis: 0 }"));
  expect_near(run_one(graph, {Tensor::of<float>({2, 2, 1, 2}, {1, 2, 3, 4, 5, 6, 7, 8}),
                              Tensor::of<float>({2, 2}, {1, 10, 100, 1000})}),
              {2, 2, 1, 2}, {1, 2, 30, 40, 500, 600, 7000, 8000});
  const Graph same = import_texts(input_layer({1, 2, 1, 2}) + input_layer({1, 2, 1, 2}, "gate") +
                                  layer("Scale", {"data", "gate"}, {"s"}, "scale_param { axis: 0 }"));
  EXPECT_EQ(node_names(same), Names{"s"});
}

TEST(CaffeScale, Faults) {
  const auto failure_of = [](const std::string& param, const std::vector<Dims>& blobs) {
    return import_failure(
        input_layer({1, 2, 3, 3}) + layer("Scale", {"data"}, {"s"}, "scale_param { " + param + " }"),
        WeightsFile().add_noise("s", blobs));
  };
  const std::string at = "net.prototxt: layer 's': ";
  EXPECT_EQ(failure_of("bias_term: true", {{2}}),
            "net.caffemodel: layer 's': has 1 blob, expected 2 blobs of shapes [2], [2]");
  EXPECT_EQ(failure_of("", {{3}}), "net.caffemodel: layer 's': blob 0 has shape [3], expected [2]");
  EXPECT_EQ(failure_of("axis: 0", {{1}}), at + "weights over the batch axis are not supported");
  EXPECT_EQ(failure_of("axis: 2 num_axes: 3", {{1}}),
            at + "axis and num_axes reach axis 5 of a blob of 4 axes");
  EXPECT_EQ(failure_of("num_axes: 2147483647", {{1}}).find(at), 0u);
  EXPECT_EQ(failure_of("num_axes: -2", {{1}}), at + "num_axes is -2, expected -1 or more");
  EXPECT_EQ(failure_of("axis: -5", {{1}}), at + "axis -5 is outside a blob of 4 axes");
  EXPECT_EQ(import_failure(input_layer({1, 2, 3, 3}) + input_layer({1, 3}, "g") +
                           layer("Scale", {"data", "g"}, {"s"}, "scale_param { axis: 0 }")),
            at + "bottoms of shapes [N,2,3,3] and [N,3] do not match from axis 0");
}

TEST(CaffeBias, BlobAndBottom) {
  const Graph blob = import_texts(input_layer({1, 2, 2}) + layer("Bias", {"data"}, {"b"}),
                                  WeightsFile().add("b", {{{2}, {10, 20}}}));
  expect_near(run_one(blob, {Tensor::of<float>({1, 2, 2}, {1, 2, 3, 4})}), {1, 2, 2}, {11, 12, 23, 24});
  const Graph bottoms = import_texts(input_layer({1, 2, 2}) + input_layer({1, 2}, "more") +
                                     layer("Bias", {"data", "more"}, {"b"}, "bias_param { axis: 0 }"));
  expect_near(
      run_one(bottoms, {Tensor::of<float>({1, 2, 2}, {1, 2, 3, 4}), Tensor::of<float>({1, 2}, {10, 20})}),
      {1, 2, 2}, {11, 12, 23, 24});
}

TEST(CaffePrelu, PerChannelAndShared) {
  const Tensor x = Tensor::of<float>({1, 2, 1, 2}, {-1, 2, -3, 4});
  const Graph channels = import_texts(input_layer({1, 2, 1, 2}) + layer("PReLU", {"data"}, {"p"}),
                                      WeightsFile().add("p", {{{2}, {0.5F, 0.25F}}}));
  expect_near(run_one(channels, {x}), {1, 2, 1, 2}, {-0.5F, 2, -0.75F, 4});
  const Graph shared = import_texts(
      input_layer({1, 2, 1, 2}) + layer("PReLU", {"data"}, {"p"}, "prelu_param { channel_shared: true }"),
      WeightsFile().add("p", {{{}, {0.5F}}}));
  expect_near(run_one(shared, {x}), {1, 2, 1, 2}, {-0.5F, 2, -1.5F, 4});
  EXPECT_EQ(import_failure(input_layer({1, 2, 1, 2}) + layer("PReLU", {"data"}, {"p"}),
                           WeightsFile().add_noise("p", {{3}})),
            "net.caffemodel: layer 'p': blob 0 has shape [3], expected [2]");
}

}  // namespace
}  // namespace xdn::testing
