#include <numeric>

#include "formats/caffe_test_support.h"

namespace xdn::testing {
namespace {

TEST(CaffeConcat, Axes) {
  const auto run_concat = [](const std::string& param) {
    const Graph graph = import_texts(input_layer({1, 1, 2}, "a") + input_layer({1, 1, 2}, "b") +
                                     layer("Concat", {"a", "b"}, {"out"}, "concat_param { " + param + " }"));
    return run_one(graph, {Tensor::of<float>({1, 1, 2}, {1, 2}), Tensor::of<float>({1, 1, 2}, {3, 4})})
        .dims();
  };
  EXPECT_EQ(run_concat(""), (Dims{1, 2, 2}));
  EXPECT_EQ(run_concat("axis: 2"), (Dims{1, 1, 4}));
  EXPECT_EQ(run_concat("axis: -1"), (Dims{1, 1, 4}));
  EXPECT_EQ(run_concat("concat_dim: 2"), (Dims{1, 1, 4}));
}

TEST(CaffeConcat, Faults) {
  const auto failure_of = [](const std::string& param, const Dims& b) {
    return import_failure(input_layer({1, 2, 2}, "a") + input_layer(b, "b") +
                          layer("Concat", {"a", "b"}, {"out"}, "concat_param { " + param + " }"));
  };
  const std::string at = "net.prototxt: layer 'out': ";
  EXPECT_EQ(failure_of("axis: 1 concat_dim: 1", {1, 2, 2}),
            at + "has both axis and concat_dim, expected one");
  EXPECT_EQ(failure_of("axis: 0", {1, 2, 2}), at + "axis is the batch axis, expected one within the image");
  EXPECT_EQ(failure_of("", {1, 2, 3}).find(at), 0u);
  EXPECT_EQ(failure_of("concat_dim: 4294967295", {1, 2, 2}),
            at + "axis 4294967295 is outside a blob of 3 axes");
}

std::map<std::string, Tensor> run_slice(const std::vector<std::string>& tops, const std::string& param) {
  const Graph graph = import_texts(input_layer({1, 6}) +
                                   layer("Slice", {"data"}, tops, "slice_param { " + param + " }", "cut"));
  return run_all(graph, {Tensor::of<float>({1, 6}, {0, 1, 2, 3, 4, 5})});
}

TEST(CaffeSlice, PointsAndEqualParts) {
  const auto points = run_slice({"a", "b", "c"}, "axis: 1 slice_point: 1 slice_point: 4");
  expect_near(points.at("a"), {1, 1}, {0});
  expect_near(points.at("b"), {1, 3}, {1, 2, 3});
  expect_near(points.at("c"), {1, 2}, {4, 5});
  const auto equal = run_slice({"a", "b"}, "slice_dim: 1");
  expect_near(equal.at("a"), {1, 3}, {0, 1, 2});
  expect_near(equal.at("b"), {1, 3}, {3, 4, 5});
  expect_near(run_slice({"a"}, "").at("a"), {1, 6}, {0, 1, 2, 3, 4, 5});
}

TEST(CaffeSlice, Faults) {
  const auto failure_of = [](const std::string& param) {
    return import_failure(input_layer({1, 5}) +
                          layer("Slice", {"data"}, {"a", "b"}, "slice_param { " + param + " }"));
  };
  const std::string at = "net.prototxt: layer 'a': ";
  EXPECT_EQ(failure_of(""), at + "cannot cut extent 5 into 2 equal parts");
  EXPECT_EQ(failure_of("slice_point: 1 slice_point: 2"),
            at + "has 2 values of slice_point for 2 tops, expected one fewer than tops");
  EXPECT_EQ(failure_of("slice_point: 5"), at + "slice_point must ascend within the extent 5");
  EXPECT_EQ(failure_of("slice_point: 0"), at + "slice_point must ascend within the extent 5");
  EXPECT_EQ(failure_of("axis: 1 slice_dim: 1 slice_point: 1"),
            at + "has both axis and slice_dim, expected one");
  EXPECT_EQ(failure_of("axis: 0 slice_point: 1"),
            at + "axis is the batch axis, expected one within the image");
}

TEST(CaffeSplit, CopiesItsBottom) {
  const Graph graph =
      import_texts(input_layer({1, 2}) + layer("Split", {"data"}, {"a", "b"}, "", "split") +
                   layer("ReLU", {"a"}, {"a"}, "", "relu") + layer("Concat", {"a", "b"}, {"out"}));
  expect_near(run_one(graph, {Tensor::of<float>({1, 2}, {-1, 2})}), {1, 4}, {0, 2, -1, 2});
}

Dims reshaped(const std::string& type, const Dims& in, const std::string& param) {
  const Graph graph = import_texts(input_layer(in) + layer(type, {"data"}, {"out"}, param));
  const Tensor x = noise_tensor(in);
  const Tensor y = run_one(graph, {x});
  EXPECT_TRUE(std::equal(x.data<float>().begin(), x.data<float>().end(), y.data<float>().begin()));
  const Dims shape = shape_of(graph, "out");
  EXPECT_EQ(shape[0], kBatch);
  return {shape.begin() + 1, shape.end()};
}

TEST(CaffeFlatten, Axes) {
  const Dims in{2, 3, 4, 5};
  EXPECT_EQ(reshaped("Flatten", in, ""), (Dims{60}));
  EXPECT_EQ(reshaped("Flatten", in, "flatten_param { axis: 2 }"), (Dims{3, 20}));
  EXPECT_EQ(reshaped("Flatten", in, "flatten_param { axis: 1 end_axis: 2 }"), (Dims{12, 5}));
  EXPECT_EQ(reshaped("Flatten", in, "flatten_param { axis: -3 end_axis: -2 }"), (Dims{12, 5}));
  EXPECT_EQ(reshaped("Flatten", in, "flatten_param { axis: 2 end_axis: 2 }"), (Dims{3, 4, 5}));
}

TEST(CaffeReshape, Shapes) {
  const Dims in{2, 3, 4, 5};
  const auto reshape = [&](const std::string& param) {
    return reshaped("Reshape", in, "reshape_param { " + param + " }");
  };
  EXPECT_EQ(reshape("shape { dim: 0 dim: -1 }"), (Dims{60}));
  EXPECT_EQ(reshape("shape { dim: 0 dim: 12 dim: -1 }"), (Dims{12, 5}));
  EXPECT_EQ(reshape("shape { dim: 0 dim: 0 dim: 20 }"), (Dims{3, 20}));
  EXPECT_EQ(reshape("shape { dim: 2 dim: 60 }"), (Dims{60}));
  EXPECT_EQ(reshape("shape { dim: -1 dim: 60 }"), (Dims{60}));
  EXPECT_EQ(reshape("shape { dim: 2 dim: -1 dim: 6 }"), (Dims{10, 6}));
  EXPECT_EQ(reshape("axis: 1 num_axes: 2 shape { dim: 12 }"), (Dims{12, 5}));
  EXPECT_EQ(reshape("axis: 1 shape { dim: -1 }"), (Dims{60}));
  EXPECT_EQ(reshape("axis: 2 num_axes: 0 shape { dim: 1 }"), (Dims{3, 1, 4, 5}));
  EXPECT_EQ(reshape("axis: -1 num_axes: 0 shape { dim: 1 dim: 1 }"), (Dims{3, 4, 5, 1, 1}));
  EXPECT_EQ(reshape("axis: 2 shape { dim: 0 dim: 0 }"), (Dims{3, 4, 5}));
  EXPECT_EQ(reshape("axis: 4 shape {}"), (Dims{3, 4, 5}));
}

TEST(CaffeReshape, Faults) {
  const auto failure_of = [](const std::string& param) {
    return import_failure(input_layer({2, 3, 4}) +
                          layer("Reshape", {"data"}, {"out"}, "reshape_param { " + param + " }"));
  };
  const std::string at = "net.prototxt: layer 'out': ";
  const std::string batch = at + "cannot reshape [N,3,4] so that the batch stays its leading axis";
  EXPECT_EQ(failure_of("shape { dim: 3 dim: 8 }"), batch);
  EXPECT_EQ(failure_of("shape { dim: 24 }"), batch);
  EXPECT_EQ(failure_of("shape { dim: -1 dim: 8 }"), batch);
  EXPECT_EQ(failure_of("shape { dim: 0 dim: 13 }"), batch);
  EXPECT_EQ(failure_of("shape { dim: 0 dim: 5 dim: -1 }"), batch);
  EXPECT_EQ(failure_of("shape { dim: -1 dim: -1 }"), at + "has more than one dim of -1");
  EXPECT_EQ(failure_of("shape { dim: 0 dim: -2 }"), at + "dim -2 is negative, expected -1, 0 or an extent");
  EXPECT_EQ(failure_of("shape { dim: 0 dim: 0 dim: 0 dim: 0 }"),
            at + "dim 0 at place 3 has no extent to keep");
  EXPECT_EQ(failure_of("axis: 4 shape { dim: 1 }"), at + "axis 4 is outside the bottom");
  EXPECT_EQ(failure_of("axis: -2147483648 shape { dim: 1 }"), at + "axis -2147483648 is outside the bottom");
  EXPECT_EQ(failure_of("axis: 1 num_axes: 2147483647"),
            at + "axis and num_axes reach beyond the bottom's 3 axes");
  EXPECT_EQ(failure_of("num_axes: -2"), at + "num_axes must be -1 or more");
  EXPECT_EQ(failure_of("shape { dim: 0 dim: 9223372036854775807 dim: 9223372036854775807 }").find(at), 0u);
  EXPECT_EQ(failure_of("axis: 1 shape { dim: 1 dim: 1 dim: 1 dim: 1 dim: 1 dim: 1 dim: 1 dim: 12 }"),
            at + "gives more than 8 axes");
}

}  // namespace
}  // namespace xdn::testing
