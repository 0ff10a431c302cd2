// Names, order, in-place blobs, what is left out, V1 files, and a whole network.

#include "formats/caffe_test_support.h"

namespace xdn::testing {
namespace {

using Names = std::vector<std::string>;

TEST(CaffeImport, InPlaceTopsBecomeValuesOfTheirOwn) {
  const Graph graph = import_texts(
      input_layer({1, 2, 4, 4}) +
          layer("Convolution", {"data"}, {"conv1"},
                "convolution_param { num_output: 3 kernel_size: 1 bias_term: false }") +
          layer("BatchNorm", {"conv1"}, {"conv1"}, "", "bn_conv1") +
          layer("Scale", {"conv1"}, {"conv1"}, "scale_param { bias_term: true }", "scale_conv1") +
          layer("ReLU", {"conv1"}, {"conv1"}, "", "conv1_relu") +
          layer("Pooling", {"conv1"}, {"pool1"}, "pooling_param { global_pooling: true }"),
      WeightsFile()
          .add_noise("conv1", {{3, 2, 1, 1}})
          .add("bn_conv1", {{{3}, {1, 2, 3}}, {{3}, {1, 1, 1}}, {{1}, {1}}})
          .add_noise("scale_conv1", {{3}, {3}}));
  EXPECT_EQ(node_names(graph),
            (Names{"conv1", "bn_conv1", "scale_conv1", "scale_conv1/bias", "conv1_relu", "pool1"}));
  EXPECT_EQ(graph.value(node_named(graph, "conv1").output).name, "conv1/conv1");
  EXPECT_EQ(graph.value(node_named(graph, "bn_conv1").output).name, "conv1/bn_conv1");
  EXPECT_EQ(graph.value(node_named(graph, "scale_conv1/bias").output).name, "conv1/scale_conv1");
  EXPECT_EQ(graph.value(node_named(graph, "conv1_relu").output).name, "conv1");
  EXPECT_EQ(graph.value(node_named(graph, "pool1").input(0)).name, "conv1");
  EXPECT_EQ(node_named(graph, "conv1_relu").type, OpType::kRelu);
}

TEST(CaffeImport, ReaderBeforeAnInPlaceLayerSeesTheValueBefore) {
  const Graph graph =
      import_texts(input_layer({1, 2}) + layer("Power", {"data"}, {"a"}, "power_param { shift: -1 }") +
                   layer("Power", {"a"}, {"b"}, "power_param { scale: 2 }") +
                   layer("ReLU", {"a"}, {"a"}, "", "relu") + layer("Eltwise", {"a", "b"}, {"out"}));
  expect_near(run_one(graph, {Tensor::of<float>({1, 2}, {0, 3})}), {1, 2}, {-2, 6});
}

TEST(CaffeImport, InPlaceOnTheInputKeepsTheInputsName) {
  const Graph graph = import_texts(input_layer({1, 2}) + layer("ReLU", {"data"}, {"data"}, "", "relu"));
  EXPECT_EQ(graph.value(graph.inputs()[0]).name, "data");
  EXPECT_EQ(output_names(graph), Names{"data/relu"});
}

TEST(CaffeImport, OutputsAreWhatNobodyReadsInOrder) {
  const Graph graph = import_texts(input_layer({1, 4}) + layer("ReLU", {"data"}, {"z"}) +
                                   layer("Sigmoid", {"data"}, {"a"}) + layer("Sigmoid", {"z"}, {"m"}));
  EXPECT_EQ(output_names(graph), (Names{"a", "m"}));
}

TEST(CaffeImport, LossLayersGoAndTheirLogitsAreOutputs) {
  const Graph graph = import_texts(
      "input: 'data' input_dim: 1 input_dim: 4 input_dim: 1 input_dim: 1 input: 'label' input_dim: 1 "
      "input_dim: 1 "
      "input_dim: 1 input_dim: 1 " +
      layer("ReLU", {"data"}, {"fc"}) +
      layer("Reshape", {"label"}, {"flat"}, "reshape_param { shape { dim: -1 } }") +
      layer("SoftmaxWithLoss", {"fc", "flat"}, {"loss"}) + layer("EuclideanLoss", {"fc", "flat"}, {"loss2"}) +
      layer("Power", {"loss"}, {"scaled_loss"}));
  EXPECT_EQ(output_names(graph), Names{"fc"});
  EXPECT_EQ(graph.inputs().size(), 1u);
}

TEST(CaffeImport, SilenceKeepsABlobFromBeingAnOutput) {
  const Graph graph = import_texts(input_layer({1, 4}) + layer("Slice", {"data"}, {"a", "b"}) +
                                   "layer { name: 'hush' type: 'Silence' bottom: 'b' }");
  EXPECT_EQ(output_names(graph), Names{"a"});
}

TEST(CaffeImport, ABlobOfALossCannotBeRead) {
  EXPECT_EQ(
      import_failure(input_layer({1, 4}) + layer("ReLU", {"data"}, {"a"}) +
                     layer("EuclideanLoss", {"a", "a"}, {"loss"}) + layer("Eltwise", {"a", "loss"}, {"sum"})),
      "net.prototxt: layer 'sum': bottom 'loss' comes from layer 'loss' (EuclideanLoss), which inference "
      "leaves "
      "out");
}

TEST(CaffeImport, StructuralFaults) {
  const std::string in = input_layer({1, 4});
  EXPECT_EQ(import_failure(in + layer("ReLU", {"nowhere"}, {"a"})),
            "net.prototxt: layer 'a': bottom 'nowhere' is not the top of any layer before");
  EXPECT_EQ(import_failure(in + layer("ReLU", {"b"}, {"a"}) + layer("ReLU", {"data"}, {"b"})),
            "net.prototxt: layer 'a': bottom 'b' is not the top of any layer before");
  EXPECT_EQ(import_failure(in + layer("Deconvolution", {"data"}, {"up"})),
            "net.prototxt: layer 'up': layer type 'Deconvolution' is not supported");
  EXPECT_EQ(import_failure(in + layer("Frob\nnicate", {"data"}, {"up"})).find('\n'), std::string::npos);
  EXPECT_EQ(import_failure(in + "layer { name: 'x' bottom: 'data' top: 'x' }"),
            "net.prototxt: layer 'x': has no type");
  EXPECT_EQ(
      import_failure(in + layer("ReLU", {"data"}, {"a"}) + layer("Sigmoid", {"data"}, {"a"}, "", "again")),
      "net.prototxt: layer 'again': top 'a' is already the top of a layer before");
  EXPECT_EQ(import_failure(in + layer("Slice", {"data"}, {"a", "a"})),
            "net.prototxt: layer 'a': has top 'a' twice");
  EXPECT_EQ(import_failure(in + layer("ReLU", {"data"}, {"a", "b"})),
            "net.prototxt: layer 'a': has 2 tops, expected 1");
  EXPECT_EQ(import_failure(in + "layer { name: 'a' type: 'ReLU' bottom: 'data' }"),
            "net.prototxt: layer 'a': has 0 tops, expected 1");
  EXPECT_EQ(import_failure(in + layer("ReLU", {}, {"a"})),
            "net.prototxt: layer 'a': has 0 bottoms, expected 1");
  EXPECT_EQ(import_failure(in + layer("Eltwise", {"data"}, {"a"})),
            "net.prototxt: layer 'a': has 1 bottom, expected at least 2");
  EXPECT_EQ(import_failure(in + layer("EuclideanLoss", {"data", "data"}, {"a"})),
            "net.prototxt: has no layer that reads input 'data'");
  EXPECT_EQ(
      import_failure(in + layer("ReLU", {"data"}, {"a"}) + "layer { name: 's' type: 'Silence' bottom: 'a' }"),
      "net.prototxt: has no outputs: every blob is read by some layer");
  EXPECT_EQ(import_failure(in + layer("ReLU", {"data"}, {"a"}) + "layers { name: 'b' type: RELU }"),
            "net.prototxt: mixes 'layer' and 'layers'; expected one kind");
}

TEST(CaffeImport, LayersWithoutANameAreCountedFromOne) {
  EXPECT_EQ(import_failure(input_layer({1, 4}) + "layer { type: 'Frob' bottom: 'data' top: 'a' }"),
            "net.prototxt: layer '#2': layer type 'Frob' is not supported");
}

TEST(CaffeImport, NamesThatWeMakeNeverTakeABlobsName) {
  // 'a/a' is what the first version of 'a' would be called.
  const Graph graph =
      import_texts(input_layer({1, 2}) + layer("Power", {"data"}, {"a"}, "power_param { shift: 1 }") +
                   layer("ReLU", {"a"}, {"a"}, "", "relu") + layer("Sigmoid", {"a"}, {"a/a"}));
  EXPECT_EQ(output_names(graph), Names{"a/a"});
  EXPECT_EQ(node_named(graph, "a/a").type, OpType::kSigmoid);
  EXPECT_EQ(graph.value(node_named(graph, "relu").output).name, "a");
}

TEST(CaffeImport, V1LayersAndLegacyBlobs) {
  WeightsFile file;
  file.net().Clear();
  auto add = [&](const std::string& name, const std::vector<std::pair<std::array<int, 4>, Floats>>& blobs) {
    auto* v1 = file.net().add_layers();
    v1->set_name(name);
    for (const auto& [shape, values] : blobs) {
      auto* blob = v1->add_blobs();
      blob->set_num(shape[0]);
      blob->set_channels(shape[1]);
      blob->set_height(shape[2]);
      blob->set_width(shape[3]);
      blob->mutable_data()->Add(values.begin(), values.end());
    }
  };
  const Floats conv = noise(2 * 3 * 3 * 3), fc = noise(5 * 2, 3);
  add("conv", {{{2, 3, 3, 3}, conv}, {{1, 1, 1, 2}, {0.5F, -0.5F}}});
  add("fc", {{{1, 1, 5, 2}, fc}, {{1, 1, 1, 5}, {1, 2, 3, 4, 5}}});
  const Graph graph = import_texts(
      "name: 'old' input: 'data' input_dim: 10 input_dim: 3 input_dim: 4 input_dim: 4\n"
      "layers { name: 'data2' type: DATA top: 'x' include { phase: TRAIN } data_param { source: 'y' } }\n"
      "layers { name: 'conv' type: CONVOLUTION bottom: 'data' top: 'conv' blobs_lr: 1 weight_decay: 1\n"
      "  convolution_param { num_output: 2 kernel_size: 3 pad: 1 weight_filler { type: 'xavier' } } }\n"
      "layers { name: 'relu' type: RELU bottom: 'conv' top: 'conv' }\n"
      "layers { name: 'pool' type: POOLING bottom: 'conv' top: 'pool' pooling_param { pool: AVE kernel_size: "
      "4 } }\n"
      "layers { name: 'fc' type: INNER_PRODUCT bottom: 'pool' top: 'fc' inner_product_param { num_output: 5 "
      "} }\n"
      "layers { name: 'drop' type: DROPOUT bottom: 'fc' top: 'fc' dropout_param { dropout_ratio: 0.5 } }\n"
      "layers { name: 'prob' type: SOFTMAX bottom: 'fc' top: 'prob' }\n"
      "layers { name: 'loss' type: SOFTMAX_LOSS bottom: 'fc' bottom: 'label' top: 'loss' }\n",
      file);
  EXPECT_EQ(node_names(graph), (Names{"conv", "relu", "pool", "fc/flatten", "fc", "drop", "prob"}));
  EXPECT_EQ(output_names(graph), Names{"prob"});
  EXPECT_EQ(graph.value(node_named(graph, "drop").output).name, "fc");
  EXPECT_EQ(graph.constant(node_named(graph, "conv").input(1)).dims(), (Dims{2, 3, 3, 3}));
  EXPECT_EQ(graph.constant(node_named(graph, "fc").input(1)).dims(), (Dims{5, 2}));
  const auto values = run_all(graph, {noise_tensor({2, 3, 4, 4})});
  const auto pool = values.at("pool");
  for (int64_t n = 0; n < 2; ++n) {
    for (int64_t o = 0; o < 5; ++o) {
      const double expected =
          pool.as_double(n * 2) * static_cast<double>(fc[static_cast<size_t>(o * 2)]) +
          pool.as_double(n * 2 + 1) * static_cast<double>(fc[static_cast<size_t>(o * 2 + 1)]) +
          static_cast<double>(o + 1);
      EXPECT_NEAR(values.at("fc").as_double(n * 5 + o), expected, 1e-5);
    }
  }
}

TEST(CaffeImport, V0IsRefusedByName) {
  EXPECT_EQ(import_failure(
                "input: 'data' input_dim: 1 input_dim: 3 input_dim: 4 input_dim: 4 "
                "layers { layer { name: 'conv' type: 'conv' num_output: 3 } bottom: 'data' top: 'conv' }"),
            "net.prototxt: layer '#1': is written in Caffe's V0 format; upgrade it with Caffe's "
            "upgrade_net_proto_text "
            "first");
}

TEST(CaffeImport, FieldsOfForksDoNotMatter) {
  const std::string prototxt =
      "opt_level: 1 frobnicate: 3 " + input_layer({1, 2, 3, 3}) +
      layer(
          "Convolution", {"data"}, {"conv"},
          "bottom_mlu_dtype { type: INT8 position: -6 scale: 1.98 } blobs_dtype { type: INT8 position: -7 "
          "scale: 1 } "
          "sparsity: 0.5 engine: MLU strange { deep { deeper: [1, 2] text: 'x' } } [ext.ension] { a: 1 } "
          "convolution_param { num_output: 1 kernel_size: 1 bias_term: false engine: CUDNN sparse_mode: true "
          "input_format: RGBA }");
  const Graph graph = import_texts(prototxt, WeightsFile().add("conv", {{{1, 2, 1, 1}, {1, 2}}}));
  EXPECT_EQ(node_names(graph), Names{"conv"});
}

TEST(CaffeImport, FirstConvolutionOfCambriconNormalisesBytes) {
  const std::string rest =
      "convolution_param { num_output: 1 kernel_size: 3 pad: 1 bias_term: false mean_value: 10 mean_value: "
      "20 std: 0.5 }";
  const Graph graph = import_texts(input_layer({1, 2, 1, 1}) + layer("Convolution", {"data"}, {"conv"}, rest),
                                   WeightsFile().add("conv", {{{1, 2, 3, 3}, Floats(18, 1.0F)}}));
  expect_near(run_one(graph, {Tensor::of<float>({1, 2, 1, 1}, {14, 30})}), {1, 1, 1, 1}, {2 + 5});
  EXPECT_EQ(node_names(graph), (Names{"conv/mean", "conv/std", "conv"}));
}

TEST(CaffeImport, ResNet50) {
  const auto models = models_dir();
  if (!models) GTEST_SKIP() << "skipped: no shared models";
  const auto dir = *models / "resnet50-cifar10";
  const Graph graph =
      import_caffe((dir / "resnet50.prototxt").string(), (dir / "resnet50.caffemodel").string());
  std::map<OpType, int> census;
  for (const NodeId id : graph.order()) ++census[graph.node(id).type];
  EXPECT_EQ(census, (std::map<OpType, int>{{OpType::kConv, 53},
                                           {OpType::kBatchNorm, 53},
                                           {OpType::kMul, 53},
                                           {OpType::kAdd, 53 + 16},
                                           {OpType::kRelu, 49},
                                           {OpType::kMaxPool, 1},
                                           {OpType::kGlobalAveragePool, 1},
                                           {OpType::kFlatten, 1},
                                           {OpType::kGemm, 1},
                                           {OpType::kSoftmax, 1}}));
  EXPECT_EQ(graph.name, "ResNet-50-CIFAR10");
  EXPECT_EQ(graph.metadata.at("source_layers"), "228");
  EXPECT_EQ(output_names(graph), Names{"prob"});
  EXPECT_EQ(shape_of(graph, "data"), (Dims{kBatch, 3, 32, 32}));
  EXPECT_EQ(shape_of(graph, "conv1"), (Dims{kBatch, 64, 16, 16}));
  EXPECT_EQ(shape_of(graph, "pool1"), (Dims{kBatch, 64, 8, 8}));
  EXPECT_EQ(shape_of(graph, "res5c"), (Dims{kBatch, 2048, 1, 1}));
  EXPECT_EQ(shape_of(graph, "fc10"), (Dims{kBatch, 10}));
  EXPECT_EQ(shape_of(graph, "prob"), (Dims{kBatch, 10}));
}

}  // namespace
}  // namespace xdn::testing
