#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "formats/onnx_support.h"

namespace xdn::testing {
namespace {

using ::testing::HasSubstr;

using Attrs = std::vector<onnx::AttributeProto>;
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();

/// x -> op(x, constants...) -> y
OnnxModel model_of(const std::string& op, int64_t opset, const Dims& x, const std::vector<Tensor>& constants,
                   const Attrs& attributes = {}) {
  OnnxModel model(opset);
  model.input("x", x).output("y");
  std::vector<std::string> inputs{"x"};
  for (const Tensor& tensor : constants) {
    inputs.push_back("c" + std::to_string(inputs.size()));
    model.initializer(inputs.back(), tensor);
  }
  return model.node(op, inputs, {"y"}, attributes);
}

Dims reshaped(const Dims& x, const Dims& target, const Attrs& attributes = {}) {
  const auto got = import_one(model_of("Reshape", 14, x, {ints(target)}, attributes));
  EXPECT_EQ(got.node.as<ReshapeAttrs>().shape, got.shape);
  return got.shape;
}

TEST(OnnxReshape, Targets) {
  EXPECT_EQ(reshaped({-1, 4, 2, 2}, {-1, 16}), (Dims{kBatch, 16}));
  EXPECT_EQ(reshaped({-1, 4, 2, 2}, {0, -1}), (Dims{kBatch, 16}));
  EXPECT_EQ(reshaped({-1, 4, 2, 2}, {0, 0, 4}), (Dims{kBatch, 4, 4}));
  EXPECT_EQ(reshaped({-1, 4, 2, 2}, {2, -1, 8}), (Dims{2, kBatch, 8}));
  EXPECT_EQ(reshaped({2, 4, 2, 2}, {-1, 8}), (Dims{4, 8}));
  EXPECT_EQ(reshaped({2, 1, 0}, {0, 0, 5}, {attr("allowzero", 1)}), (Dims{0, 0, 5}));
  EXPECT_EQ(reshaped({2, 3}, {6}), (Dims{6}));
  EXPECT_EQ(reshaped({3, 1}, {0, -1}), (Dims{3, 1}));
}

TEST(OnnxReshape, BadTargets) {
  const auto error = [](const Dims& x, const Dims& target) {
    return import_error(model_of("Reshape", 13, x, {ints(target)}));
  };
  EXPECT_THAT(error({-1, 4}, {-1, 3}), HasSubstr("cannot reshape [N,4] to [-1,3]"));
  EXPECT_THAT(error({-1, 4}, {8, -1}), HasSubstr("cannot reshape"));
  EXPECT_THAT(error({-1, 4}, {2, 2}), HasSubstr("cannot reshape"));
  EXPECT_THAT(error({2, 4}, {-1, -1}), HasSubstr("more than one extent"));
  EXPECT_THAT(error({2, 4}, {-2, 4}), HasSubstr("negative"));
  EXPECT_THAT(error({2, 4}, {2, 4, 0}), HasSubstr("no dimension 2"));
  EXPECT_THAT(error({2, 4}, {kMax, kMax}), HasSubstr("node of y"));
  EXPECT_THAT(import_error(model_of("Reshape", 13, {2, 4}, {floats({2})})), HasSubstr("must be integers"));
  OnnxModel dynamic;
  dynamic.input("x", {2, 4})
      .input("s", {2}, onnx::TensorProto::INT64)
      .output("y")
      .node("Reshape", {"x", "s"}, {"y"});
  EXPECT_THAT(import_error(dynamic), HasSubstr("input 1 (shape) must be integers known"));
}

TEST(OnnxReshape, OldAttribute) {
  EXPECT_EQ(import_one(model_of("Reshape", 1, {2, 6}, {}, {attr("shape", Dims{3, -1})})).shape, (Dims{3, 4}));
}

TEST(OnnxFlatten, Axes) {
  const auto flat = [](int64_t axis) {
    return import_one(model_of("Flatten", 13, {2, 3, 4}, {}, {attr("axis", axis)}));
  };
  EXPECT_EQ(flat(0).shape, (Dims{1, 24}));
  EXPECT_EQ(flat(-1).node.as<FlattenAttrs>().axis, 2);
  EXPECT_EQ(flat(3).shape, (Dims{24, 1}));
  EXPECT_EQ(import_one(model_of("Flatten", 7, {-1, 3, 4}, {})).shape, (Dims{kBatch, 12}));
  EXPECT_THAT(import_error(model_of("Flatten", 13, {2, 3}, {}, {attr("axis", 3)})),
              HasSubstr("out of range"));
}

TEST(OnnxSqueeze, AttributeAndInput) {
  EXPECT_EQ(import_one(model_of("Squeeze", 11, {-1, 3, 1, 1}, {}, {attr("axes", Dims{-1, 2})})).shape,
            (Dims{kBatch, 3}));
  EXPECT_EQ(import_one(model_of("Squeeze", 13, {-1, 3, 1, 1}, {ints({2})})).shape, (Dims{kBatch, 3, 1}));
  EXPECT_EQ(import_one(model_of("Squeeze", 13, {-1, 1, 3, 1}, {})).shape, (Dims{kBatch, 3}));
  EXPECT_THAT(import_error(model_of("Squeeze", 13, {2, 3}, {ints({1})})),
              HasSubstr("cannot squeeze axis 1 of [2,3]"));
  EXPECT_THAT(import_error(model_of("Squeeze", 13, {2, 1}, {ints({1, -1})})), HasSubstr("given twice"));
}

TEST(OnnxUnsqueeze, AttributeAndInput) {
  EXPECT_EQ(import_one(model_of("Unsqueeze", 11, {-1, 3}, {}, {attr("axes", Dims{3, 1})})).shape,
            (Dims{kBatch, 1, 3, 1}));
  EXPECT_EQ(import_one(model_of("Unsqueeze", 13, {-1, 3}, {ints({-1})})).shape, (Dims{kBatch, 3, 1}));
  EXPECT_THAT(import_error(model_of("Unsqueeze", 13, {2, 3}, {})), HasSubstr("axes are missing"));
  EXPECT_THAT(import_error(model_of("Unsqueeze", 13, {2, 3}, {ints({3})})), HasSubstr("out of range"));
  EXPECT_THAT(import_error(model_of("Unsqueeze", 13, {2, 3}, {ints(Dims(99, 0))})),
              HasSubstr("16 dimensions"));
}

TEST(OnnxTranspose, Perm) {
  EXPECT_EQ(import_one(model_of("Transpose", 13, {2, 3, 4}, {})).node.as<TransposeAttrs>().perm,
            (Dims{2, 1, 0}));
  EXPECT_EQ(import_one(model_of("Transpose", 13, {-1, 3, 4}, {}, {attr("perm", Dims{0, 2, 1})})).shape,
            (Dims{kBatch, 4, 3}));
  EXPECT_THAT(import_error(model_of("Transpose", 13, {2, 3}, {}, {attr("perm", Dims{0, 0})})),
              HasSubstr("twice"));
  EXPECT_THAT(import_error(model_of("Transpose", 13, {2, 3}, {}, {attr("perm", Dims{0})})),
              HasSubstr("expected 2"));
}

TEST(OnnxConcat, Axis) {
  const auto concat = [](int64_t opset, const Attrs& attributes) {
    OnnxModel model(opset);
    model.input("a", {2, 3}).input("b", {2, 3}).output("y").node("Concat", {"a", "b"}, {"y"}, attributes);
    return model;
  };
  EXPECT_EQ(import_one(concat(13, {attr("axis", -2)})).shape, (Dims{4, 3}));
  EXPECT_EQ(import_one(concat(1, {})).shape, (Dims{2, 6}));
  EXPECT_THAT(import_error(concat(13, {})), HasSubstr("'axis' is missing"));
  EXPECT_THAT(import_error(concat(13, {attr("axis", 2)})), HasSubstr("out of range"));
}

TEST(OnnxGather, Axis) {
  const auto got = import_one(model_of("Gather", 13, {-1, 5, 2}, {ints({0, -1})}, {attr("axis", -2)}));
  EXPECT_EQ(got.node.as<AxisAttrs>().axis, 1);
  EXPECT_EQ(got.shape, (Dims{kBatch, 2, 2}));
  EXPECT_THAT(import_error(model_of("Gather", 13, {5, 2}, {ints({5})})), HasSubstr("node of y"));
}

SliceAttrs sliced(const Dims& x, const std::vector<Tensor>& inputs) {
  return import_one(model_of("Slice", 13, x, inputs)).node.as<SliceAttrs>();
}

TEST(OnnxSlice, IsNormalized) {
  const auto plain = sliced({-1, 8, 9}, {ints({1, -3}), ints({kMax, -1}), ints({1, -1}), ints({2, 1})});
  EXPECT_EQ(plain.axes, (Dims{1, 2}));
  EXPECT_EQ(plain.starts, (Dims{1, 6}));
  EXPECT_EQ(plain.ends, (Dims{8, 8}));
  EXPECT_EQ(plain.steps, (Dims{2, 1}));
  const auto backwards = sliced({2, 8}, {ints({kMax}), ints({kMin}), ints({1}), ints({-1})});
  EXPECT_EQ(backwards.starts, (Dims{7}));
  EXPECT_EQ(backwards.ends, (Dims{-1}));
  const auto huge_step = sliced({2, 8}, {ints({0}), ints({8}), ints({1}), ints({kMax})});
  EXPECT_EQ(huge_step.starts, (Dims{0}));
  EXPECT_EQ(import_one(model_of("Slice", 13, {2, 8}, {ints({0}), ints({8}), ints({1}), ints({kMin})})).shape,
            (Dims{2, 0}));
}

TEST(OnnxSlice, WithoutAxes) {
  const auto got = import_one(model_of("Slice", 10, {4, 8}, {ints({1, 2}), ints({3, 4})}));
  EXPECT_EQ(got.shape, (Dims{2, 2}));
}

TEST(OnnxSlice, OldAttributes) {
  const Attrs attributes{attr("starts", Dims{0, 1}), attr("ends", Dims{kMax, -1}), attr("axes", Dims{0, 1})};
  const auto got = import_one(model_of("Slice", 7, {-1, 8}, {}, attributes));
  EXPECT_EQ(got.node.as<SliceAttrs>().axes, (Dims{1}));
  EXPECT_EQ(got.shape, (Dims{kBatch, 6}));
}

TEST(OnnxSlice, OfEverythingIsIdentity) {
  const auto got = import_one(model_of("Slice", 13, {-1, 8}, {ints({0, 0}), ints({kMax, 8})}));
  EXPECT_EQ(got.node.type, OpType::kIdentity);
}

TEST(OnnxSlice, EmptyOnes) {
  EXPECT_EQ(import_one(model_of("Slice", 13, {2, 8}, {ints({5}), ints({3}), ints({1})})).shape, (Dims{2, 0}));
  EXPECT_EQ(import_one(model_of("Slice", 13, {2, 8}, {ints({100}), ints({200}), ints({1})})).shape,
            (Dims{2, 0}));
  EXPECT_EQ(import_one(model_of("Slice", 13, {2, 8}, {ints({3}), ints({5}), ints({1}), ints({-1})})).shape,
            (Dims{2, 0}));
}

TEST(OnnxSlice, BadOnes) {
  EXPECT_THAT(import_error(model_of("Slice", 13, {-1, 8}, {ints({0}), ints({1}), ints({0})})),
              HasSubstr("slices the batch"));
  EXPECT_THAT(import_error(model_of("Slice", 13, {2, 8}, {ints({0}), ints({1}), ints({0}), ints({0})})),
              HasSubstr("step is 0"));
  EXPECT_THAT(import_error(model_of("Slice", 13, {2, 8}, {ints({0}), ints({1, 2}), ints({0})})),
              HasSubstr("different lengths"));
  EXPECT_THAT(import_error(model_of("Slice", 13, {2, 8}, {ints({0, 0}), ints({1, 2}), ints({0, -2})})),
              HasSubstr("twice"));
}

OnnxModel split(int64_t opset, const Dims& x, size_t parts, const Attrs& attributes,
                const Tensor* sizes = nullptr) {
  OnnxModel model(opset);
  model.input("x", x);
  std::vector<std::string> inputs{"x"}, outputs;
  if (sizes != nullptr) model.initializer("sizes", *sizes), inputs.push_back("sizes");
  for (size_t i = 0; i < parts; ++i) outputs.push_back("y" + std::to_string(i)), model.output(outputs.back());
  return model.node("Split", inputs, outputs, attributes);
}

TEST(OnnxSplit, BecomesSlices) {
  const Tensor sizes = ints({1, 5});
  const Graph by_input = import_model(split(13, {-1, 6}, 2, {attr("axis", 1)}, &sizes));
  EXPECT_EQ(census(by_input), "Slice:2");
  EXPECT_EQ(value_of(by_input, "y0").shape, (Dims{kBatch, 1}));
  EXPECT_EQ(value_of(by_input, "y1").shape, (Dims{kBatch, 5}));
  const Graph by_attribute =
      import_model(split(11, {-1, 6}, 2, {attr("axis", -1), attr("split", Dims{2, 4})}));
  EXPECT_EQ(value_of(by_attribute, "y1").shape, (Dims{kBatch, 4}));
  const Graph equal = import_model(split(13, {6, 2}, 3, {}));
  EXPECT_EQ(value_of(equal, "y2").shape, (Dims{2, 2}));
  const Graph uneven = import_model(split(18, {7}, 4, {attr("num_outputs", 4)}));
  EXPECT_EQ(value_of(uneven, "y0").shape, (Dims{2}));
  EXPECT_EQ(value_of(uneven, "y3").shape, (Dims{1}));
}

TEST(OnnxSplit, BadOnes) {
  EXPECT_THAT(import_error(split(13, {7}, 4, {})), HasSubstr("equal parts"));
  EXPECT_THAT(import_error(split(18, {7}, 4, {attr("num_outputs", 3)})), HasSubstr("num_outputs"));
  EXPECT_THAT(import_error(split(18, {3}, 5, {attr("num_outputs", 5)})), HasSubstr("cannot split"));
  EXPECT_THAT(import_error(split(11, {7}, 2, {attr("split", Dims{3, 3})})), HasSubstr("cannot split 7"));
  EXPECT_THAT(import_error(split(11, {7}, 2, {attr("split", Dims{8, -1})})), HasSubstr("cannot split 7"));
  EXPECT_THAT(import_error(split(11, {7}, 2, {attr("split", Dims{kMax, kMax})})),
              HasSubstr("cannot split 7"));
  EXPECT_THAT(import_error(split(13, {-1, 4}, 2, {})), HasSubstr("splits the batch"));
}

TEST(OnnxPad, Variants) {
  const Dims x{-1, 2, 3};
  const auto by_input = import_one(model_of("Pad", 13, x, {ints({0, 1, 2, 0, 3, -1}), Tensor::scalar(7.0f)}));
  const auto& a = by_input.node.as<PadAttrs>();
  EXPECT_EQ(a.begin, (Dims{0, 1, 2}));
  EXPECT_EQ(a.end, (Dims{0, 3, -1}));
  EXPECT_EQ(a.value, 7.0f);
  EXPECT_EQ(by_input.shape, (Dims{kBatch, 6, 4}));
  const Attrs old{attr("pads", Dims{0, 0, 1, 0, 0, 1}), attr("mode", "reflect")};
  EXPECT_EQ(import_one(model_of("Pad", 2, x, {}, old)).node.as<PadAttrs>().mode, PadMode::kReflect);
  EXPECT_EQ(import_one(model_of("Pad", 1, x, {}, {attr("paddings", Dims{0, 0, 1, 0, 0, 1})})).shape,
            (Dims{kBatch, 2, 5}));
  const auto axes = import_one(
      model_of("Pad", 18, x, {ints({1, 2}), Tensor::scalar(0.0f), ints({-1})}, {attr("mode", "edge")}));
  EXPECT_EQ(axes.node.as<PadAttrs>().begin, (Dims{0, 0, 1}));
  EXPECT_EQ(axes.node.as<PadAttrs>().end, (Dims{0, 0, 2}));
  EXPECT_EQ(axes.node.as<PadAttrs>().mode, PadMode::kEdge);
}

TEST(OnnxPad, BadOnes) {
  EXPECT_THAT(import_error(model_of("Pad", 13, {-1, 2}, {ints({1, 0, 0, 0})})), HasSubstr("batch"));
  EXPECT_THAT(import_error(model_of("Pad", 13, {1, 2}, {ints({1, 0, 0})})), HasSubstr("3 pads, expected 4"));
  EXPECT_THAT(import_error(model_of("Pad", 19, {1, 2}, {ints({1, 0, 0, 0})}, {attr("mode", "wrap")})),
              HasSubstr("'wrap'"));
  EXPECT_THAT(import_error(model_of("Pad", 13, {2, 2}, {ints({kMax, 0, kMax, 0})})), HasSubstr("node of y"));
  EXPECT_THAT(import_error(model_of("Pad", 13, {2, 2}, {ints({-2, 0, -2, 0})})), HasSubstr("node of y"));
  EXPECT_THAT(import_error(model_of("Pad", 13, {2, 2}, {ints({0, 2, 0, 0})}, {attr("mode", "reflect")})),
              HasSubstr("node of y"));
}

}  // namespace
}  // namespace xdn::testing
