#include "pruning/latency_table.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "support/nets.h"
#include "support/shared_data.h"

namespace xdn::testing {
namespace {

using pruning::LatencyData;
using pruning::LatencyShape;
using pruning::LatencyTable;

LatencyData data_of(std::vector<LatencyShape> shapes) {
  LatencyData data;
  data.model = "net";
  data.structure = "none";
  data.precision = "bf16";
  data.isa = "avx512bf16";
  data.fusion = "traditional";
  data.cpu = "a \"cpu\"";
  data.data_parallel = 2;
  data.batch = 512;
  data.fixed = 0.1;
  data.shapes = std::move(shapes);
  return data;
}

LatencyShape dense(std::vector<LatencyShape::Point> points) {
  return {"Conv", true, {"a"}, std::move(points)};
}

std::string error_of(const std::string& json) {
  try {
    (void)pruning::parse_latency_table(json);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    return error.what();
  }
  return "";
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(LatencyTable, GivesMeasuredPoints) {
  const LatencyTable table(data_of({dense({{16, 16, 1}, {16, 32, 2}, {64, 16, 3}, {64, 32, 7}})}));
  EXPECT_DOUBLE_EQ(table.layer_seconds("a", 16, 16), 1);
  EXPECT_DOUBLE_EQ(table.layer_seconds("a", 16, 32), 2);
  EXPECT_DOUBLE_EQ(table.layer_seconds("a", 64, 16), 3);
  EXPECT_DOUBLE_EQ(table.layer_seconds("a", 64, 32), 7);
  EXPECT_EQ(table.layer_seconds("another", 16, 16), 0);
}

TEST(LatencyTable, IsBilinearBetweenPoints) {
  const LatencyTable table(data_of({dense({{16, 16, 1}, {16, 32, 2}, {64, 16, 3}, {64, 32, 7}})}));
  EXPECT_DOUBLE_EQ(table.layer_seconds("a", 16, 24), 1.5);
  EXPECT_DOUBLE_EQ(table.layer_seconds("a", 40, 16), 2);
  EXPECT_DOUBLE_EQ(table.layer_seconds("a", 40, 24), (1.5 + 5) / 2);
}

TEST(LatencyTable, ContinuesBeyondPoints) {
  const LatencyTable table(data_of({dense({{16, 16, 1}, {16, 32, 1.5}, {16, 48, 5}, {16, 64, 4}})}));
  EXPECT_DOUBLE_EQ(table.layer_seconds("a", 16, 8), 0.75) << "on the line through the two nearest";
  EXPECT_DOUBLE_EQ(table.layer_seconds("a", 16, 80), 4) << "never decreasing";
  EXPECT_DOUBLE_EQ(table.layer_seconds("a", 4, 16), 0.25) << "in proportion, where there is no line";
  const LatencyTable steep(data_of({dense({{16, 16, 1}, {16, 32, 4}})}));
  EXPECT_DOUBLE_EQ(steep.layer_seconds("a", 16, 8), 0.5) << "the line would say less than the proportion";
  EXPECT_DOUBLE_EQ(steep.layer_seconds("a", 16, 48), 7);
  for (int64_t out = 1; out < 200; ++out) EXPECT_GT(steep.layer_seconds("a", 16, out), 0) << out;
}

TEST(LatencyTable, CompletesMissingPairs) {
  // Seconds are 3 + in * out / 100, at the diagonal alone.
  const auto truth = [](int64_t in, int64_t out) { return 3 + static_cast<double>(in * out) / 100; };
  std::vector<LatencyShape::Point> points;
  for (const int64_t width : {16, 32, 64}) points.push_back({width, width, truth(width, width)});
  const LatencyTable table(data_of({dense(points)}));
  for (const int64_t in : {16, 32, 64}) {
    for (const int64_t out : {16, 32, 64})
      EXPECT_NEAR(table.layer_seconds("a", in, out), truth(in, out), 1e-9);
  }
}

TEST(LatencyTable, WhatIsNotDenseCountsByOutput) {
  LatencyShape shape = dense({{16, 16, 1}, {32, 32, 3}});
  shape.dense = false;
  const LatencyTable table(data_of({shape}));
  EXPECT_DOUBLE_EQ(table.layer_seconds("a", 24, 24), 2);
}

Graph small_net(int64_t inner) {
  NetBuilder net(1);
  ValueId x = net.input(3, 8, 8);
  x = net.conv(x, 3, inner, {3, 1, 1});
  x = net.conv(x, inner, 16, {});
  return net.finish(net.classifier(x, 16, 10));
}

TEST(LatencyTable, PredictsTheSumOfLayers) {
  const std::vector<LatencyShape> shapes{{"Conv 3", true, {"conv1"}, {{3, 16, 1}, {3, 32, 2}}},
                                         {"Conv 1", true, {"conv2"}, {{16, 16, 10}, {32, 16, 20}}},
                                         {"Gemm", true, {"Gemm5"}, {{16, 10, 100}}}};
  LatencyData data = data_of(shapes);
  data.structure = pruning::structure_digest(small_net(32));
  const LatencyTable table(data);
  EXPECT_DOUBLE_EQ(table.predict(small_net(32)), 0.1 + 2 + 20 + 100);
  EXPECT_DOUBLE_EQ(table.predict(small_net(16)), 0.1 + 1 + 10 + 100);
  table.check(small_net(32));
  EXPECT_THROW(table.check(small_net(16)), Error);

  data.shapes.pop_back();
  try {
    (void)LatencyTable(data).predict(small_net(32));
    FAIL() << "a layer without an entry passed";
  } catch (const Error& error) {
    EXPECT_EQ(error.layer(), "Gemm5");
  }
}

TEST(LatencyTable, NamesAreUnique) {
  Graph graph = small_net(16);
  for (const NodeId id : graph.order()) graph.node(id).name = "same";
  const std::vector<std::string> names = pruning::table_names(graph);
  EXPECT_EQ(names[0], "same");
  EXPECT_EQ(names[1], "conv2");
}

TEST(LatencyTable, SurvivesItsFile) {
  const LatencyTable table(
      data_of({dense({{16, 16, 1.0 / 3}, {64, 16, 3e-7}}), {"Relu", false, {"b"}, {{1, 1, 0}}}}));
  const TempDir folder;
  const std::string path = folder / "table.json";
  pruning::write_latency_table(table, path);
  const LatencyTable again = pruning::read_latency_table(path);
  EXPECT_EQ(to_json(again), to_json(table));
  EXPECT_EQ(again.layer_seconds("a", 16, 16), 1.0 / 3);
  EXPECT_EQ(again.data().cpu, "a \"cpu\"");
  EXPECT_EQ(again.data().shapes[1].dense, false);
  EXPECT_EQ(again.fixed_seconds(), 0.1);
}

TEST(LatencyTable, RefusesBadFiles) {
  const std::string good = to_json(LatencyTable(data_of({dense({{16, 16, 1}, {16, 32, 2}})})));
  EXPECT_EQ(error_of(good), "");
  const auto expect_error = [&](const std::string& from, const std::string& to, const std::string& says) {
    EXPECT_NE(error_of(replaced(good, from, to)).find(says), std::string::npos)
        << error_of(replaced(good, from, to));
  };
  expect_error("\"version\":1", "\"version\":2", "version");
  expect_error("\"isa\"", "\"isb\"", "field 'isa', is missing");
  expect_error("\"bf16\"", "7", "field 'precision', must be a string");
  expect_error("\"data_parallel\":2", "\"data_parallel\":0", "field 'data_parallel', must be at least 1");
  expect_error("\"batch\":512", "\"batch\":-1", "field 'batch', must be an integer");
  expect_error("\"fixed\":0.1", "\"fixed\":-0.1", "field 'fixed', must be a number of at least 0");
  expect_error("\"fixed\":0.1", "\"fixed\":1e999", "not valid JSON");
  expect_error("\"dense\":true", "\"dense\":1", "shape 1, field 'dense', must be true or false");
  expect_error("[16,32,2.0]", "[16,32]", "shape 1, field 'points', must be [in, out, seconds]");
  expect_error("[16,32,2.0]", "[16,-32,2.0]", "field 'points', must be an integer");
  expect_error("[16,32,2.0]", "[16,32,-2.0]", "must be a number of at least 0");
  expect_error("[16,32,2.0]", "[0,32,2.0]", "positive widths, in ascending order");
  expect_error("[16,32,2.0]", "[16,16,2.0]", "positive widths, in ascending order");
  expect_error("[[16,16,1.0],[16,32,2.0]]", "[]", "positive widths, in ascending order");
  expect_error("\"layers\":[\"a\"]", "\"layers\":[\"a\",\"a\"]", "layer 'a': stands in two shapes");
  EXPECT_NE(error_of(good.substr(0, good.size() / 2)).find("not valid JSON"), std::string::npos);

  const TempDir folder;
  std::ofstream(folder / "bad.json") << "[]";
  try {
    (void)pruning::read_latency_table(folder / "bad.json");
    FAIL() << "an array passed";
  } catch (const Error& error) {
    EXPECT_EQ(error.file(), folder / "bad.json");
  }
}

}  // namespace
}  // namespace xdn::testing
