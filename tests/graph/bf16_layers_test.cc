#include "graph/bf16_layers.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "support/nets.h"

namespace xdn::testing {
namespace {

using Names = std::set<std::string>;

Graph two_layers() {
  NetBuilder net(1);
  const ValueId x = net.conv(net.input(3, 4, 4), 3, 4, {});
  return net.finish(net.classifier(net.conv(x, 4, 8, {}), 8, 2));
}

TEST(Bf16Layers, AreThoseOfTheListThatAreLayers) {
  Graph graph = two_layers();
  EXPECT_EQ(bf16_layers(graph), Names{});
  for (const char* text : {"conv1\nconv2", "conv2\nconv1\n", "\n\nconv1\nconv1\nno such layer\nconv2"}) {
    graph.metadata[kBf16LayersKey] = text;
    EXPECT_EQ(bf16_layers(graph), (Names{"conv1", "conv2"})) << text;
  }
  graph.metadata[kBf16LayersKey] = "conv1 \nconv\nconv22\r\nGlobalAveragePool3\n";
  EXPECT_EQ(bf16_layers(graph), Names{}) << "other names, and a layer without a precision";
  graph.metadata[kBf16LayersKey] = std::string(1 << 20, '\n');
  EXPECT_EQ(bf16_layers(graph), Names{});
}

TEST(Bf16Layers, AreWrittenAndReadAgain) {
  Graph graph = two_layers();
  set_bf16_layers(graph, {"conv1", "Gemm5"});
  EXPECT_EQ(bf16_layers(graph), (Names{"conv1", "Gemm5"}));
  set_bf16_layers(graph, {});
  EXPECT_FALSE(graph.metadata.contains(kBf16LayersKey));
}

TEST(Bf16Layers, HaveNamesOfOneLine) {
  Graph graph = two_layers();
  EXPECT_THROW(set_bf16_layers(graph, {"two\nlines"}), Error);
  EXPECT_THROW(set_bf16_layers(graph, {""}), Error);
}

TEST(Bf16Layers, StayInTheText) {
  NetBuilder net(1);
  Graph graph = net.finish(net.conv(net.input(3, 4, 4), 3, 4, {}));
  set_bf16_layers(graph, {"conv1", "other"});
  const Graph again = parse_graph(print(graph, 1000));
  EXPECT_EQ(again.metadata.at(kBf16LayersKey), "conv1\nother");
  EXPECT_EQ(bf16_layers(again), Names{"conv1"});
}

}  // namespace
}  // namespace xdn::testing
