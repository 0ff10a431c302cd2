#include "formats/caffe_test_support.h"

namespace xdn::testing {
namespace {

Tensor run_layer(const std::string& type, const std::string& rest, const Dims& dims, const Floats& x) {
  Dims one = dims;
  one[0] = 1;
  return run_one(import_texts(input_layer(one) + layer(type, {"data"}, {"out"}, rest)),
                 {Tensor::of<float>(dims, x)});
}

std::string layer_failure(const std::string& type, const std::string& rest, const Dims& dims = {1, 2}) {
  return import_failure(input_layer(dims) + layer(type, {"data"}, {"out"}, rest));
}

TEST(CaffePointwise, Relu) {
  expect_near(run_layer("ReLU", "", {1, 3}, {-1, 0, 2}), {1, 3}, {0, 0, 2});
  expect_near(run_layer("ReLU", "relu_param { negative_slope: 0.1 }", {1, 3}, {-1, 0, 2}), {1, 3},
              {-0.1F, 0, 2});
  EXPECT_EQ(layer_failure("ReLU", "relu_param { negative_slope: inf }"),
            "net.prototxt: layer 'out': negative_slope is not finite");
}

TEST(CaffePointwise, SigmoidAndClip) {
  expect_near(run_layer("Sigmoid", "", {1, 2}, {0, 2}), {1, 2}, {0.5F, 0.880797F});
  expect_near(run_layer("Clip", "clip_param { min: 0 max: 6 }", {1, 3}, {-1, 3, 8}), {1, 3}, {0, 3, 6});
  EXPECT_EQ(layer_failure("Clip", "clip_param { min: 0 }"),
            "net.prototxt: layer 'out': clip_param needs min and max");
  EXPECT_EQ(layer_failure("Clip", "clip_param { min: 1 max: 0 }"),
            "net.prototxt: layer 'out': clip_param has min above max");
}

TEST(CaffePointwise, Power) {
  const Dims dims{1, 3};
  const Floats x{1, 2, 3};
  expect_near(run_layer("Power", "power_param { power: 2 scale: 3 shift: 1 }", dims, x), dims, {16, 49, 100});
  expect_near(run_layer("Power", "power_param { scale: 3 }", dims, x), dims, {3, 6, 9});
  expect_near(run_layer("Power", "power_param { shift: -1 }", dims, x), dims, {0, 1, 2});
  expect_near(run_layer("Power", "power_param { power: 0.5 }", dims, x), dims, {1, 1.4142135F, 1.7320508F});
  expect_near(run_layer("Power", "power_param { power: 0 }", dims, x), dims, {1, 1, 1});
  expect_near(run_layer("Power", "", dims, x), dims, x);
  EXPECT_EQ(layer_failure("Power", "power_param { shift: nan }"),
            "net.prototxt: layer 'out': shift is not finite");
}

TEST(CaffePointwise, Softmax) {
  expect_near(run_layer("Softmax", "", {2, 2}, {0, 0, 0, 1.0986123F}), {2, 2}, {0.5F, 0.5F, 0.25F, 0.75F});
  expect_near(run_layer("Softmax", "softmax_param { axis: -1 }", {1, 1, 2}, {0, 1.0986123F}), {1, 1, 2},
              {0.25F, 0.75F});
  EXPECT_EQ(layer_failure("Softmax", "softmax_param { axis: 0 }"),
            "net.prototxt: layer 'out': axis is the batch axis, expected one within the image");
  EXPECT_EQ(layer_failure("Softmax", "softmax_param { axis: 2 }"),
            "net.prototxt: layer 'out': axis 2 is outside a blob of 2 axes");
}

TEST(CaffePointwise, DropoutIsTheIdentity) {
  const Graph graph = import_texts(input_layer({1, 2}) + layer("Dropout", {"data"}, {"data"}, "", "drop"));
  EXPECT_EQ(node_named(graph, "drop").type, OpType::kIdentity);
  expect_near(run_one(graph, {Tensor::of<float>({1, 2}, {1, -2})}), {1, 2}, {1, -2});
}

Floats run_eltwise(const std::string& param) {
  const Graph graph =
      import_texts(input_layer({1, 2}, "a") + input_layer({1, 2}, "b") + input_layer({1, 2}, "c") +
                   layer("Eltwise", {"a", "b", "c"}, {"out"}, "eltwise_param { " + param + " }"));
  const Tensor out = run_one(graph, {Tensor::of<float>({1, 2}, {1, -2}), Tensor::of<float>({1, 2}, {3, 4}),
                                     Tensor::of<float>({1, 2}, {-5, 6})});
  return {out.data<float>().begin(), out.data<float>().end()};
}

TEST(CaffeEltwise, SumProductMaximum) {
  EXPECT_EQ(run_eltwise(""), (Floats{-1, 8}));
  EXPECT_EQ(run_eltwise("operation: PROD"), (Floats{-15, -48}));
  EXPECT_EQ(run_eltwise("operation: MAX"), (Floats{3, 6}));
  EXPECT_EQ(run_eltwise("operation: SUM coeff: 2 coeff: -1 coeff: 0.5"), (Floats{2 - 3 - 2.5F, -4 - 4 + 3}));
  EXPECT_EQ(run_eltwise("coeff: 1 coeff: 1 coeff: 1"), (Floats{-1, 8}));
  EXPECT_EQ(run_eltwise("coeff: 0 coeff: 1 coeff: 1"), (Floats{-2, 10}));
}

TEST(CaffeEltwise, NodesBearTheLayersName) {
  const Graph plain =
      import_texts(input_layer({1, 2}, "a") + input_layer({1, 2}, "b") +
                   layer("Eltwise", {"a", "b"}, {"out"}, "eltwise_param { coeff: 1 coeff: -1 }", "sum"));
  EXPECT_EQ(node_names(plain), std::vector<std::string>{"sum"});
  EXPECT_EQ(node_named(plain, "sum").type, OpType::kSub);
  const Graph three =
      import_texts(input_layer({1, 2}, "a") + layer("Eltwise", {"a", "a", "a"}, {"out"}, "", "sum"));
  EXPECT_EQ(node_names(three), (std::vector<std::string>{"sum/1", "sum"}));
}

TEST(CaffeEltwise, Faults) {
  const auto failure_of = [](const std::string& param, const Dims& b = {1, 2}) {
    return import_failure(input_layer({1, 2}, "a") + input_layer(b, "b") +
                          layer("Eltwise", {"a", "b"}, {"out"}, "eltwise_param { " + param + " }"));
  };
  const std::string at = "net.prototxt: layer 'out': ";
  EXPECT_EQ(failure_of("coeff: 1"), at + "has 1 values of coeff, expected 2");
  EXPECT_EQ(failure_of("operation: PROD coeff: 1 coeff: 1"), at + "coeff is for SUM only");
  EXPECT_EQ(failure_of("", {1, 3}), at + "bottoms have shapes [N,2] and [N,3], expected equal ones");
  EXPECT_EQ(failure_of("coeff: inf coeff: 1"), at + "coeff is not finite");
}

}  // namespace
}  // namespace xdn::testing
