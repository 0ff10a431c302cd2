#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/onnx_support.h"

namespace xdn::testing {
namespace {

using ::testing::HasSubstr;

using Attrs = std::vector<onnx::AttributeProto>;

OnnxModel conv(const Dims& x, const Dims& w, const Attrs& attributes, int64_t opset = 13) {
  OnnxModel model(opset);
  model.input("x", x).output("y").initializer("w", floats(w));
  model.node("Conv", {"x", "w"}, {"y"}, attributes);
  return model;
}

OnnxModel pool(const std::string& op, const Dims& x, const Attrs& attributes, int64_t opset = 13) {
  OnnxModel model(opset);
  model.input("x", x).output("y").node(op, {"x"}, {"y"}, attributes);
  return model;
}

TEST(OnnxConv, DefaultsComeFromTheWeights) {
  const auto got = import_one(conv({-1, 3, 8, 8}, {4, 3, 3, 5}, {}));
  EXPECT_EQ(got.node.type, OpType::kConv);
  const auto& a = got.node.as<ConvAttrs>();
  EXPECT_EQ(a.window, (Window{{3, 5}, {1, 1}, {1, 1}, {0, 0}, {0, 0}}));
  EXPECT_EQ(a.group, 1);
  EXPECT_EQ(got.shape, (Dims{kBatch, 4, 6, 4}));
  EXPECT_EQ(got.node.name, "node of y");
}

TEST(OnnxConv, AllAttributes) {
  const Attrs attributes{attr("kernel_shape", Dims{3, 3}), attr("strides", Dims{2, 1}),
                         attr("dilations", Dims{1, 2}), attr("pads", Dims{1, 2, 3, 4}), attr("group", 2)};
  const auto got = import_one(conv({-1, 4, 9, 9}, {6, 2, 3, 3}, attributes, 7));
  const auto& a = got.node.as<ConvAttrs>();
  EXPECT_EQ(a.window, (Window{{3, 3}, {2, 1}, {1, 2}, {1, 2}, {3, 4}}));
  EXPECT_EQ(a.group, 2);
  EXPECT_EQ(got.shape, (Dims{kBatch, 6, 6, 11}));
}

TEST(OnnxConv, AutoPad) {
  const auto window = [](const char* mode, Dims x, Dims strides) {
    return import_one(conv(x, {1, 1, 4, 4}, {attr("auto_pad", mode), attr("strides", strides)}));
  };
  const auto upper = window("SAME_UPPER", {-1, 1, 7, 8}, {2, 2});
  EXPECT_EQ(upper.node.as<ConvAttrs>().window.pads_begin, (Dims{1, 1}));
  EXPECT_EQ(upper.node.as<ConvAttrs>().window.pads_end, (Dims{2, 1}));
  EXPECT_EQ(upper.shape, (Dims{kBatch, 1, 4, 4}));
  const auto lower = window("SAME_LOWER", {-1, 1, 7, 8}, {2, 2});
  EXPECT_EQ(lower.node.as<ConvAttrs>().window.pads_begin, (Dims{2, 1}));
  EXPECT_EQ(lower.node.as<ConvAttrs>().window.pads_end, (Dims{1, 1}));
  EXPECT_EQ(window("VALID", {-1, 1, 7, 8}, {1, 1}).shape, (Dims{kBatch, 1, 4, 5}));
  EXPECT_EQ(window("NOTSET", {-1, 1, 7, 8}, {1, 1}).shape, (Dims{kBatch, 1, 4, 5}));
  EXPECT_THAT(import_error(conv({-1, 1, 7, 8}, {1, 1, 4, 4}, {attr("auto_pad", "SAME")})),
              HasSubstr("'SAME'"));
}

TEST(OnnxConv, OtherRanks) {
  EXPECT_EQ(import_one(conv({-1, 3, 8}, {4, 3, 3}, {})).shape, (Dims{kBatch, 4, 6}));
  EXPECT_EQ(import_one(conv({-1, 3, 8, 8, 8}, {4, 3, 3, 3, 3}, {})).shape, (Dims{kBatch, 4, 6, 6, 6}));
}

TEST(OnnxConv, BadOnes) {
  const Dims x{-1, 4, 8, 8}, w{4, 4, 3, 3};
  const auto error = [&](const Attrs& attributes) { return import_error(conv(x, w, attributes)); };
  EXPECT_THAT(error({attr("strides", Dims{0, 1})}),
              HasSubstr("layer 'node of y': attribute 'strides' holds 0"));
  EXPECT_THAT(error({attr("dilations", Dims{1, -1})}), HasSubstr("'dilations' holds -1"));
  EXPECT_THAT(error({attr("pads", Dims{-1, 0, 0, 0})}), HasSubstr("'pads' holds -1"));
  EXPECT_THAT(error({attr("pads", Dims{0, 0})}), HasSubstr("'pads' has 2 entries, expected 4"));
  EXPECT_THAT(error({attr("strides", Dims{int64_t{1} << 40, 1})}), HasSubstr("'strides'"));
  EXPECT_THAT(error({attr("kernel_shape", Dims{5, 5})}), HasSubstr("node of y"));
  EXPECT_THAT(error({attr("group", 0)}), HasSubstr("group"));
  EXPECT_THAT(error({attr("group", 3)}), HasSubstr("group"));
  EXPECT_THAT(error({attr("group", 1.0f)}), HasSubstr("attribute 'group' is a float, expected an integer"));
  EXPECT_THAT(error({attr("colour", 1)}), HasSubstr("attribute 'colour' is not known"));
  EXPECT_THAT(error({attr("group", 1), attr("group", 1)}), HasSubstr("given twice"));
  EXPECT_THAT(import_error(conv({-1, 5, 8, 8}, w, {})), HasSubstr("node of y"));
  EXPECT_THAT(import_error(conv({-1, 4, 2, 2}, w, {})), HasSubstr("does not fit"));
  EXPECT_THAT(import_error(conv({-1, 4, 8}, w, {})), HasSubstr("node of y"));
  EXPECT_THAT(import_error(conv({-1, 4}, {4, 4}, {})), HasSubstr("no spatial dimensions"));
}

TEST(OnnxPool, MaxPool) {
  const Attrs attributes{attr("kernel_shape", Dims{3, 3}), attr("strides", Dims{2, 2}),
                         attr("pads", Dims{0, 0, 1, 1}),   attr("ceil_mode", 1),
                         attr("dilations", Dims{1, 1}),    attr("storage_order", 0)};
  const auto got = import_one(pool("MaxPool", {-1, 2, 8, 8}, attributes));
  EXPECT_EQ(got.node.type, OpType::kMaxPool);
  const auto& a = got.node.as<PoolAttrs>();
  EXPECT_EQ(a.window, (Window{{3, 3}, {2, 2}, {1, 1}, {0, 0}, {1, 1}}));
  EXPECT_TRUE(a.ceil_mode);
  EXPECT_EQ(got.shape, (Dims{kBatch, 2, 4, 4}));
}

TEST(OnnxPool, MaxPoolIndices) {
  OnnxModel model;
  model.input("x", {-1, 2, 8, 8})
      .output("y")
      .node("MaxPool", {"x"}, {"y", "i"}, {attr("kernel_shape", Dims{2, 2})});
  EXPECT_EQ(census(import_model(model)), "MaxPool:1") << "the indices are not read";
  model.output("i");
  EXPECT_THAT(import_error(model), HasSubstr("output 1 (Indices) is not supported"));
}

TEST(OnnxPool, AveragePool) {
  const auto plain = import_one(pool("AveragePool", {-1, 2, 8, 8}, {attr("kernel_shape", Dims{2, 4})}, 7));
  EXPECT_FALSE(plain.node.as<PoolAttrs>().count_include_pad);
  EXPECT_FALSE(plain.node.as<PoolAttrs>().ceil_mode);
  EXPECT_EQ(plain.shape, (Dims{kBatch, 2, 7, 5}));
  const Attrs attributes{attr("kernel_shape", Dims{2, 2}), attr("count_include_pad", 1),
                         attr("auto_pad", "SAME_UPPER"), attr("dilations", Dims{2, 2})};
  const auto dilated = import_one(pool("AveragePool", {-1, 2, 8, 8}, attributes, 19));
  EXPECT_TRUE(dilated.node.as<PoolAttrs>().count_include_pad);
  EXPECT_EQ(dilated.node.as<PoolAttrs>().window, (Window{{2, 2}, {1, 1}, {2, 2}, {1, 1}, {1, 1}}));
  EXPECT_EQ(dilated.shape, (Dims{kBatch, 2, 8, 8}));
}

TEST(OnnxPool, BadOnes) {
  EXPECT_THAT(import_error(pool("MaxPool", {-1, 2, 8, 8}, {})), HasSubstr("'kernel_shape' is missing"));
  EXPECT_THAT(import_error(pool("MaxPool", {-1, 2, 8, 8}, {attr("kernel_shape", Dims{0, 2})})),
              HasSubstr("'kernel_shape' holds 0"));
  EXPECT_THAT(import_error(pool("AveragePool", {-1, 2}, {attr("kernel_shape", Dims{2, 2})})),
              HasSubstr("spatial"));
  EXPECT_THAT(import_error(pool("AveragePool", {-1, 2, 8, 8},
                                {attr("kernel_shape", Dims{2, 2}), attr("ceil_mode", 7)})),
              HasSubstr("expected 0 or 1"));
}

TEST(OnnxPool, Global) {
  const auto got = import_one(pool("GlobalAveragePool", {-1, 2, 8, 8}, {}));
  EXPECT_EQ(got.node.type, OpType::kGlobalAveragePool);
  EXPECT_EQ(got.shape, (Dims{kBatch, 2, 1, 1}));
}

}  // namespace
}  // namespace xdn::testing
