#include "formats/caffe_test_support.h"

namespace xdn::testing {
namespace {

const std::string kRelu = layer("ReLU", {"data"}, {"out"});
const Dims kShape{kBatch, 3, 8, 6};

TEST(CaffeInputs, InputLayer) {
  const Graph graph = import_texts(input_layer({4, 3, 8, 6}) + kRelu);
  ASSERT_EQ(graph.inputs().size(), 1u);
  EXPECT_EQ(graph.value(graph.inputs()[0]).name, "data");
  EXPECT_EQ(shape_of(graph, "data"), kShape);
  EXPECT_EQ(shape_of(graph, "out"), kShape);
  EXPECT_EQ(output_names(graph), std::vector<std::string>{"out"});
}

TEST(CaffeInputs, InputDim) {
  const Graph graph =
      import_texts("name: 'n' input: 'data' input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 6 " + kRelu);
  EXPECT_EQ(shape_of(graph, "data"), kShape);
  EXPECT_EQ(graph.name, "n");
}

TEST(CaffeInputs, InputShape) {
  const Graph graph = import_texts("input: 'data' input_shape { dim: 1 dim: 3 dim: 8 dim: 6 } " + kRelu);
  EXPECT_EQ(shape_of(graph, "data"), kShape);
}

TEST(CaffeInputs, DataLayerOfTheTestPhaseGivesItsCrop) {
  const Graph graph = import_texts(
      "layer { name: 'data' type: 'Data' top: 'data' top: 'label' include { phase: TRAIN } }"
      "layer { name: 'data' type: 'Data' top: 'data' top: 'label' include { phase: TEST }"
      "  transform_param { crop_size: 7 mean_value: 104 } data_param { source: 'x' batch_size: 50 backend: "
      "LMDB } }" +
      layer("ReLU", {"data"}, {"out"}) + layer("SoftmaxWithLoss", {"out", "label"}, {"loss"}) +
      layer("Accuracy", {"out", "label"}, {"accuracy"}, "accuracy_param { top_k: 5 }"));
  EXPECT_EQ(shape_of(graph, "data"), (Dims{kBatch, 3, 7, 7}));
  EXPECT_EQ(graph.inputs().size(), 1u);
  EXPECT_EQ(output_names(graph), std::vector<std::string>{"out"});
}

TEST(CaffeInputs, TrainingDataBesideADeclaredInput) {
  const Graph graph =
      import_texts("layer { name: 'd' type: 'ImageData' top: 'data' include { phase: TRAIN } }" +
                   input_layer({1, 3, 8, 6}) + kRelu);
  EXPECT_EQ(shape_of(graph, "data"), kShape);
}

TEST(CaffeInputs, GrayCropHasOneChannel) {
  const Graph graph = import_texts(
      "layer { name: 'data' type: 'ImageData' top: 'data' transform_param { crop_size: 5 force_gray: true } "
      "}" +
      kRelu);
  EXPECT_EQ(shape_of(graph, "data"), (Dims{kBatch, 1, 5, 5}));
}

TEST(CaffeInputs, TwoInputs) {
  const Graph graph = import_texts(input_layer({1, 2}) + input_layer({1, 2}, "more") +
                                   layer("Eltwise", {"data", "more"}, {"out"}));
  ASSERT_EQ(graph.inputs().size(), 2u);
  EXPECT_EQ(graph.value(graph.inputs()[1]).name, "more");
}

TEST(CaffeInputs, OneInputLayerWithTwoTops) {
  const Graph graph = import_texts(
      "layer { name: 'in' type: 'Input' top: 'a' top: 'b' input_param { shape { dim: 1 dim: 4 } } }" +
      layer("Concat", {"a", "b"}, {"out"}));
  EXPECT_EQ(shape_of(graph, "out"), (Dims{kBatch, 8}));
}

TEST(CaffeInputs, LabelInputOfALossIsDropped) {
  const Graph graph =
      import_texts(input_layer({1, 2}) + input_layer({1, 1}, "label") + layer("ReLU", {"data"}, {"out"}) +
                   layer("SoftmaxWithLoss", {"out", "label"}, {"loss"}));
  ASSERT_EQ(graph.inputs().size(), 1u);
  EXPECT_EQ(output_names(graph), std::vector<std::string>{"out"});
}

TEST(CaffeInputs, Faults) {
  EXPECT_EQ(import_failure(layer("Data", {}, {"data"}) + kRelu),
            "net.prototxt: layer 'data': type 'Data' does not say the input's shape; expected an Input "
            "layer, or input "
            "with input_dim");
  EXPECT_EQ(import_failure("layer { name: 'd' type: 'Data' top: 'data' include { phase: TRAIN } }" + kRelu),
            "net.prototxt: has no input in the TEST phase; expected an Input layer, or input with input_dim");
  EXPECT_EQ(import_failure("input: 'data' input_dim: 1 input_dim: 3 " + kRelu),
            "net.prototxt: has 1 'input' but 2 'input_dim'; expected four each");
  EXPECT_EQ(import_failure("input: 'data' input: 'b' input_shape { dim: 1 } " + kRelu),
            "net.prototxt: has 2 'input' but 1 'input_shape'; expected one each");
  EXPECT_EQ(import_failure(input_layer({1, -3, 8, 6}) + kRelu),
            "net.prototxt: layer 'data': input 'data' has shape [1,-3,8,6]: every extent must be at least 1");
  EXPECT_EQ(import_failure(input_layer({1, 3, 0, 6}) + kRelu),
            "net.prototxt: layer 'data': input 'data' has shape [1,3,0,6]: every extent must be at least 1");
  EXPECT_EQ(import_failure(input_layer({}) + kRelu), "net.prototxt: layer 'data': input 'data' has no shape");
  EXPECT_NE(import_failure(input_layer({1, 4611686018427387904, 8}) + kRelu).find("is larger than"),
            std::string::npos);
  EXPECT_NE(import_failure(input_layer({1, 1, 1, 1, 1, 1, 1, 1, 1}) + kRelu).find("more than 8 axes"),
            std::string::npos);
  EXPECT_EQ(
      import_failure("layer { name: 'data' type: 'Input' top: 'data' }" + kRelu),
      "net.prototxt: layer 'data': has 1 tops but 0 shapes in input_param; expected one for all or one each");
  EXPECT_EQ(import_failure(input_layer({1, 2})),
            "net.prototxt: has no layers in the TEST phase besides its inputs");
  EXPECT_EQ(import_failure(input_layer({1, 2}) + input_layer({1, 2}) + kRelu),
            "net.prototxt: declares input 'data' twice");
  EXPECT_EQ(
      import_failure(input_layer({1, 2}) + input_layer({2, 2}, "b") + layer("Eltwise", {"data", "b"}, {"c"})),
      "net.prototxt: input 'b' has a batch of 2, the inputs before have 1");
  EXPECT_EQ(import_failure("name: 'empty'"), "net.prototxt: has no layers");
}

TEST(CaffeRules, PhaseLevelAndStage) {
  const std::string head = "state { level: 2 stage: 'deploy' } " + input_layer({1, 2});
  const auto kept = [&](const std::string& rules) {
    return node_names(import_texts(head + layer("ReLU", {"data"}, {"a"}) +
                                   layer("Sigmoid", {"a"}, {"a"}, rules, "s")))
               .size() == 2;
  };
  EXPECT_TRUE(kept(""));
  EXPECT_TRUE(kept("include { phase: TEST }"));
  EXPECT_FALSE(kept("include { phase: TRAIN }"));
  EXPECT_TRUE(kept("include { phase: TRAIN } include { phase: TEST }"));
  EXPECT_FALSE(kept("exclude { phase: TEST }"));
  EXPECT_TRUE(kept("exclude { phase: TRAIN }"));
  EXPECT_TRUE(kept("include { min_level: 2 max_level: 2 }"));
  EXPECT_FALSE(kept("include { min_level: 3 }"));
  EXPECT_FALSE(kept("include { max_level: 1 }"));
  EXPECT_TRUE(kept("include { stage: 'deploy' }"));
  EXPECT_FALSE(kept("include { stage: 'deploy' stage: 'debug' }"));
  EXPECT_FALSE(kept("include { not_stage: 'deploy' }"));
  EXPECT_TRUE(kept("include { not_stage: 'debug' }"));
  EXPECT_EQ(import_failure(head + layer("ReLU", {"data"}, {"a"}, "include { level_free: 1 } exclude {}")),
            "net.prototxt: layer 'a': has both include and exclude rules; expected one kind");
}

TEST(CaffeRules, TrainedStateOfTheFileDoesNotMatter) {
  const Graph graph = import_texts("state { phase: TRAIN } " + input_layer({1, 2}) +
                                   layer("ReLU", {"data"}, {"a"}, "include { phase: TEST }"));
  EXPECT_EQ(graph.order().size(), 1u);
}

}  // namespace
}  // namespace xdn::testing
