#include "training/architectures.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace xdn::testing {
namespace {

using training::ArchitectureOptions;
using training::build_architecture;

/// Parameters as published for ImageNet's 1000 classes (torchvision), and for CIFAR-10 with projections
/// (chenyaofo's resnet20 and resnet56: 0.27 M and 0.86 M).
TEST(Architectures, HaveThePublishedSizes) {
  struct Case {
    const char* name;
    int64_t classes, size, parameters;
  };
  for (const Case& c : {Case{"resnet18", 1000, 224, 11689512}, Case{"resnet34", 1000, 224, 21797672},
                        Case{"resnet50", 1000, 224, 25557032}, Case{"resnet101", 1000, 224, 44549160},
                        Case{"mobilenetv2", 1000, 224, 3504872}, Case{"resnet20", 10, 32, 272474},
                        Case{"resnet56", 10, 32, 855770}}) {
    const Graph graph = build_architecture(c.name, {.classes = c.classes, .size = c.size});
    int64_t learned = 0;
    for (const NodeId id : graph.order()) {
      const Node& node = graph.node(id);
      for (size_t i = 1; i < node.inputs.size(); ++i) {
        const bool statistic = node.type == OpType::kBatchNorm && i >= 3;
        if (graph.is_constant(node.inputs[i]) && !statistic) learned += graph.constant(node.inputs[i]).size();
      }
    }
    EXPECT_EQ(learned, c.parameters) << c.name;
  }
}

TEST(Architectures, EveryNameBuildsForSmallImages) {
  for (const std::string& name : training::architecture_names()) {
    const Graph graph = build_architecture(name, {.classes = 7, .size = 32, .seed = 3});
    EXPECT_EQ(graph.value(graph.outputs()[0]).shape, (Dims{kBatch, 7})) << name;
    EXPECT_EQ(graph.value(graph.inputs()[0]).shape, (Dims{kBatch, 3, 32, 32}));
  }
}

TEST(Architectures, SmallImagesKeepTheirSizeInTheStem) {
  const auto side_before_pool = [](int64_t size) {
    const Graph graph = build_architecture("resnet18", {.classes = 10, .size = size});
    for (const NodeId id : graph.order()) {
      if (graph.node(id).type == OpType::kGlobalAveragePool)
        return graph.value(graph.node(id).inputs[0]).shape[2];
    }
    return int64_t{0};
  };
  EXPECT_EQ(side_before_pool(32), 4);
  EXPECT_EQ(side_before_pool(224), 7);
}

TEST(Architectures, WeightsFollowTheSeedAndKaiming) {
  const auto weights = [](uint64_t seed) {
    const Graph graph = build_architecture("resnet20", {.seed = seed});
    return graph.constant(*graph.find_value("layer3.0.conv2.weight")).converted(DType::kF32);
  };
  const Tensor a = weights(1), b = weights(1), c = weights(2);
  EXPECT_TRUE(std::equal(a.data<float>().begin(), a.data<float>().end(), b.data<float>().begin()));
  EXPECT_FALSE(std::equal(a.data<float>().begin(), a.data<float>().end(), c.data<float>().begin()));
  double squares = 0;
  for (const float w : a.data<float>()) squares += static_cast<double>(w) * static_cast<double>(w);
  // 36,864 numbers: their variance lies within 3 % of what was asked.
  EXPECT_NEAR(squares / static_cast<double>(a.size()) / (2.0 / (64 * 9)), 1, 0.03);
}

TEST(Architectures, RefuseNonsense) {
  EXPECT_THROW(build_architecture("resnet7", {}), Error);
  EXPECT_THROW(build_architecture("resnet20", {.classes = 1}), Error);
  EXPECT_THROW(build_architecture("resnet20", {.size = 4}), Error);
}

}  // namespace
}  // namespace xdn::testing
