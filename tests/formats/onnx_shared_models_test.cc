#include <gtest/gtest.h>

#include "formats/onnx_support.h"

namespace xdn::testing {
namespace {

Graph import_shared(const std::string& name) { return import_onnx((*models_dir() / name).string()); }

/// The zero-padding shortcuts become one Slice per sliced axis and one Pad; no shape computation is left.
TEST(OnnxSharedModels, ResNet20) {
  if (!models_dir()) GTEST_SKIP() << "skipped: no shared models";
  const Graph graph = import_shared("resnet20-cifar10/resnet20.onnx");
  EXPECT_EQ(census(graph),
            "Add:9 BatchNorm:19 Conv:19 Flatten:1 Gemm:1 GlobalAveragePool:1 Pad:2 Relu:19 Slice:4");
  EXPECT_EQ(graph.value(graph.inputs()[0]).shape, (Dims{kBatch, 3, 32, 32}));
  EXPECT_EQ(value_of(graph, "logits").shape, (Dims{kBatch, 10}));
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (node.type != OpType::kPad) continue;
    const auto& a = node.as<PadAttrs>();
    const int64_t channels = graph.value(node.inputs[0]).shape[1];
    EXPECT_EQ(a.begin, (Dims{0, channels / 2, 0, 0}));
    EXPECT_EQ(a.end, (Dims{0, channels / 2, 0, 0}));
  }
}

TEST(OnnxSharedModels, ResNet56) {
  if (!models_dir()) GTEST_SKIP() << "skipped: no shared models";
  const Graph graph = import_shared("resnet56-cifar10/resnet56.onnx");
  EXPECT_EQ(census(graph),
            "Add:27 BatchNorm:55 Conv:55 Flatten:1 Gemm:1 GlobalAveragePool:1 Pad:2 Relu:55 Slice:4");
}

TEST(OnnxSharedModels, QuantizedResNet50) {
  if (!models_dir()) GTEST_SKIP() << "skipped: no shared models";
  const Graph graph = import_shared("resnet50-cifar10/resnet50-qdq.onnx");
  EXPECT_EQ(census(graph),
            "Add:16 Conv:53 DequantizeLinear:180 Flatten:1 Gemm:1 GlobalAveragePool:1 MaxPool:1 "
            "QuantizeLinear:72 Relu:49");
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (node.type != OpType::kConv) continue;
    const Node& weights = graph.node(graph.value(node.inputs[1]).producer);
    EXPECT_EQ(weights.type, OpType::kDequantizeLinear);
    EXPECT_TRUE(graph.is_constant(weights.inputs[0]));
  }
}

}  // namespace
}  // namespace xdn::testing
