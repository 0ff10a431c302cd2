#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/onnx_support.h"

namespace xdn::testing {
namespace {

using ::testing::HasSubstr;

Dims output_shape(const OnnxModel& model, const ImportOptions& options = {}) {
  const Graph graph = import_model(model, options);
  return graph.value(graph.outputs()[0]).shape;
}

TEST(OnnxFreeBatch, AFixedOneIsFreed) {
  OnnxModel model;
  model.input("x", {1, 3, 4, 4}).output("y").node("Relu", {"x"}, {"y"});
  EXPECT_EQ(output_shape(model), (Dims{kBatch, 3, 4, 4}));
  ImportOptions fixed;
  fixed.free_batch = false;
  EXPECT_EQ(output_shape(model, fixed), (Dims{1, 3, 4, 4}));
}

TEST(OnnxFreeBatch, AReshapeToOneRowKeepsImagesApart) {
  OnnxModel model;
  model.input("x", {1, 3, 4, 4})
      .output("y")
      .initializer("t", ints({1, -1}))
      .node("Reshape", {"x", "t"}, {"y"});
  EXPECT_EQ(output_shape(model), (Dims{kBatch, 48}));
}

TEST(OnnxFreeBatch, StaysFixedWhereTheGraphNeedsIt) {
  OnnxModel model;
  model.input("x", {1, 3, 4, 4})
      .output("y")
      .initializer("t", ints({3, 16}))
      .node("Reshape", {"x", "t"}, {"y"});
  EXPECT_EQ(output_shape(model), (Dims{3, 16}));
  OnnxModel mean;
  mean.input("x", {1, 3}).output("y").node("ReduceMean", {"x"}, {"y"}, {attr("axes", Dims{0})});
  EXPECT_EQ(output_shape(mean), (Dims{1, 3}));
  OnnxModel moved;
  moved.input("x", {1, 3}).output("y").node("Transpose", {"x"}, {"y"});
  EXPECT_EQ(output_shape(moved), (Dims{3, 1})) << "the batch would not lead";
  OnnxModel shape;
  shape.input("x", {1, 3}).output("y").node("Shape", {"x"}, {"y"});
  EXPECT_EQ(output_shape(shape), (Dims{2}));
}

TEST(OnnxFreeBatch, OtherExtentsStay) {
  OnnxModel model;
  model.input("x", {2, 3}).output("y").node("Relu", {"x"}, {"y"});
  EXPECT_EQ(output_shape(model), (Dims{2, 3}));
  OnnxModel vector;
  vector.input("x", {1}).output("y").node("Relu", {"x"}, {"y"});
  EXPECT_EQ(output_shape(vector), (Dims{1}));
}

TEST(OnnxFreeBatch, AnErrorIsTheOneOfTheFileAsItIs) {
  OnnxModel model;
  model.input("x", {1, 3}).output("y").node("Foo", {"x"}, {"y"});
  EXPECT_THAT(import_error(model), HasSubstr("operator 'Foo'"));
}

TEST(OnnxInputs, OpenExtents) {
  OnnxModel two;
  two.input("x", {-1, 3}).input("z", {-1, 3}).output("y").node("Add", {"x", "z"}, {"y"});
  EXPECT_EQ(output_shape(two), (Dims{kBatch, 3}));
  two.proto.mutable_graph()
      ->mutable_input(1)
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim(0)
      ->set_dim_param("M");
  EXPECT_THAT(import_error(two), HasSubstr("input 'z' has the batch 'M'"));
  OnnxModel height;
  height.input("x", {-1, 3, -1, 4}).output("y").node("Relu", {"x"}, {"y"});
  EXPECT_THAT(import_error(height), HasSubstr("input 'x' has an open extent 'N' at dimension 2"));
  OnnxModel unnamed;
  unnamed.input("x", {-1, 3}).output("y").node("Relu", {"x"}, {"y"});
  unnamed.proto.mutable_graph()
      ->mutable_input(0)
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim(0)
      ->Clear();
  EXPECT_EQ(output_shape(unnamed), (Dims{kBatch, 3}));
}

TEST(OnnxInputs, Bound) {
  OnnxModel model;
  model.input("x", {2, 6})
      .input("t", {2}, onnx::TensorProto::INT64)
      .output("y")
      .node("Reshape", {"x", "t"}, {"y"});
  ImportOptions options;
  options.bound_inputs["t"] = ints({3, -1});
  EXPECT_EQ(output_shape(model, options), (Dims{3, 4}));
  EXPECT_EQ(import_model(model, options).inputs().size(), 1u);
  options.bound_inputs["t"] = ints({3, 2, 2});
  EXPECT_THAT(import_error(model, options), HasSubstr("input 't' does not take a value of type i64[3]"));
  options.bound_inputs["t"] = floats({2});
  EXPECT_THAT(import_error(model, options), HasSubstr("f32[2]"));
  options.bound_inputs["t"] = ints({3, -1});
  options.bound_inputs["u"] = ints({3});
  EXPECT_THAT(import_error(model, options), HasSubstr("has no input 'u'"));
}

TEST(OnnxInputs, InitializersAmongTheInputs) {
  OnnxModel model;
  model.input("x", {-1, 2})
      .input("c", {2})
      .initializer("c", floats({2}))
      .output("y")
      .node("Add", {"x", "c"}, {"y"});
  const Graph graph = import_model(model);
  EXPECT_EQ(graph.inputs().size(), 1u);
  ImportOptions options;
  options.bound_inputs["c"] = floats({2}, 9);
  const Graph bound = import_model(model, options);
  EXPECT_EQ(value_of(bound, "c").constant->as_double(0), 9.0) << "a bound value comes before the initializer";
}

TEST(OnnxInputs, NamesAndOrderAreKept) {
  OnnxModel model;
  model.input("b", {-1, 2}).input("a", {-1, 2}).output("sum").node("Add", {"b", "a"}, {"sum"});
  (*model.proto.mutable_graph()->mutable_node(0)).clear_name();
  auto& meta = *model.proto.add_metadata_props();
  meta.set_key("author");
  meta.set_value("me");
  const Graph graph = import_model(model);
  EXPECT_EQ(graph.value(graph.inputs()[0]).name, "b");
  EXPECT_EQ(graph.node(graph.order()[0]).name, "sum") << "a node without a name has its output's";
  EXPECT_EQ(graph.name, "test");
  EXPECT_EQ(graph.metadata.at("author"), "me");
}

TEST(OnnxInputs, DeadNodesGo) {
  OnnxModel model;
  model.input("x", {-1, 2}).output("y").node("Relu", {"x"}, {"y"}).node("Sigmoid", {"x"}, {"unused"});
  EXPECT_EQ(census(import_model(model)), "Relu:1");
}

}  // namespace
}  // namespace xdn::testing
