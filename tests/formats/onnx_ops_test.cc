#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "formats/onnx_support.h"

namespace xdn::testing {
namespace {

using ::testing::HasSubstr;

using Attrs = std::vector<onnx::AttributeProto>;
using Type = onnx::TensorProto;

/// x -> op(x, constants...) -> y; an empty tensor is an absent input.
OnnxModel model_of(const std::string& op, int64_t opset, const Dims& x, const std::vector<Tensor>& constants,
                   const Attrs& attributes = {}, int data_type = Type::FLOAT) {
  OnnxModel model(opset);
  model.input("x", x, data_type).output("y");
  std::vector<std::string> inputs{"x"};
  for (const Tensor& tensor : constants) {
    inputs.push_back(tensor.size() == 0 ? "" : "c" + std::to_string(inputs.size()));
    if (tensor.size() != 0) model.initializer(inputs.back(), tensor);
  }
  return model.node(op, inputs, {"y"}, attributes);
}

TEST(OnnxOps, Unary) {
  const Attrs consumed{attr("consumed_inputs", Dims{0})};
  EXPECT_EQ(import_one(model_of("Relu", 1, {-1, 2}, {}, consumed)).node.type, OpType::kRelu);
  EXPECT_EQ(import_one(model_of("Relu", 14, {-1, 2}, {})).node.type, OpType::kRelu);
  EXPECT_EQ(import_one(model_of("Sigmoid", 13, {-1, 2}, {})).node.type, OpType::kSigmoid);
  EXPECT_EQ(import_one(model_of("HardSwish", 14, {-1, 2}, {})).node.type, OpType::kHardSwish);
  EXPECT_EQ(import_one(model_of("LeakyRelu", 13, {-1, 2}, {})).node.as<LeakyReluAttrs>().alpha, 0.01f);
  EXPECT_EQ(import_one(model_of("LeakyRelu", 6, {-1, 2}, {}, {attr("alpha", 0.3f)}))
                .node.as<LeakyReluAttrs>()
                .alpha,
            0.3f);
  const auto hard =
      import_one(model_of("HardSigmoid", 6, {-1, 2}, {}, {attr("alpha", 0.5f), attr("beta", 0.6f)}));
  EXPECT_EQ(hard.node.as<HardSigmoidAttrs>().alpha, 0.5f);
  EXPECT_EQ(hard.node.as<HardSigmoidAttrs>().beta, 0.6f);
  EXPECT_EQ(import_one(model_of("HardSigmoid", 6, {-1, 2}, {})).node.as<HardSigmoidAttrs>().alpha, 0.2f);
}

TEST(OnnxOps, BinaryBroadcasts) {
  for (const char* op : {"Add", "Sub", "Mul", "Div", "Pow"}) {
    EXPECT_EQ(import_one(model_of(op, 13, {-1, 2, 3}, {floats({2, 1})})).shape, (Dims{kBatch, 2, 3})) << op;
  }
  EXPECT_THAT(import_error(model_of("Add", 13, {-1, 2, 3}, {floats({4})})), HasSubstr("node of y"));
}

TEST(OnnxOps, OldBroadcastHasAnAxis) {
  const Attrs old{attr("broadcast", 1), attr("axis", 1)};
  const auto got = import_one(model_of("Add", 6, {-1, 2, 3, 4}, {floats({2, 3})}, old));
  EXPECT_EQ(got.graph.value(got.node.inputs[1]).shape, (Dims{2, 3, 1}));
  const auto suffix = import_one(model_of("Mul", 6, {-1, 2, 3}, {floats({2, 3})}, {attr("broadcast", 1)}));
  EXPECT_EQ(suffix.graph.value(suffix.node.inputs[1]).shape, (Dims{2, 3}));
  EXPECT_THAT(import_error(model_of("Add", 6, {-1, 2}, {floats({2, 3})}, old)), HasSubstr("does not fit"));
  EXPECT_THAT(import_error(model_of("Add", 7, {-1, 2, 3}, {floats({2, 3})}, old)), HasSubstr("not known"));
}

TEST(OnnxOps, SumAndMaxBecomeChains) {
  OnnxModel model;
  model.input("a", {-1, 2}).input("b", {-1, 2}).input("c", {-1, 2}).output("y").output("z").output("w");
  model.node("Sum", {"a", "b", "c"}, {"y"}).node("Max", {"a", "b"}, {"z"}).node("Sum", {"a"}, {"w"});
  const Graph graph = import_model(model);
  EXPECT_EQ(census(graph), "Add:2 Identity:1 Max:1");
  EXPECT_EQ(graph.value(graph.outputs()[0]).name, "y");
}

TEST(OnnxOps, PRelu) {
  EXPECT_EQ(import_one(model_of("PRelu", 9, {-1, 3, 2, 2}, {floats({3, 1, 1})})).node.type, OpType::kPRelu);
  const auto old = import_one(model_of("PRelu", 6, {-1, 3, 2, 2}, {floats({3})}));
  EXPECT_EQ(old.graph.value(old.node.inputs[1]).shape, (Dims{3, 1, 1}));
  const auto shared = import_one(model_of("PRelu", 6, {-1, 3, 2, 2}, {floats({1})}));
  EXPECT_EQ(shared.graph.value(shared.node.inputs[1]).shape, (Dims{1}));
  EXPECT_THAT(import_error(model_of("PRelu", 9, {-1, 3, 2, 2}, {floats({3})})), HasSubstr("node of y"));
}

TEST(OnnxOps, Clip) {
  const auto attrs = [](const OnnxModel& model) { return import_one(model).node.as<ClipAttrs>(); };
  const float inf = std::numeric_limits<float>::infinity();
  const auto old = attrs(model_of("Clip", 6, {-1, 2}, {}, {attr("min", -1.0f), attr("max", 6.0f)}));
  EXPECT_EQ(old.min, -1.0f);
  EXPECT_EQ(old.max, 6.0f);
  const auto upper = attrs(model_of("Clip", 11, {-1, 2}, {Tensor(DType::kF32, {0}), Tensor::scalar(6.0f)}));
  EXPECT_EQ(upper.min, -inf);
  EXPECT_EQ(upper.max, 6.0f);
  EXPECT_EQ(attrs(model_of("Clip", 13, {-1, 2}, {})).max, inf);
  const auto ints = attrs(model_of("Clip", 13, {-1, 2}, {Tensor::scalar<int8_t>(-3)}, {}, Type::INT8));
  EXPECT_EQ(ints.min, -3.0f);
  EXPECT_THAT(import_error(model_of("Clip", 13, {-1, 2}, {floats({2})})), HasSubstr("expected a scalar"));
  OnnxModel open;
  open.input("x", {-1, 2}).input("m", {}).output("y").node("Clip", {"x", "m"}, {"y"});
  EXPECT_THAT(import_error(open), HasSubstr("input 1 (min) must be a constant"));
}

TEST(OnnxOps, GemmAndMatMul) {
  const Attrs attributes{attr("alpha", 0.5f), attr("beta", 2.0f), attr("transB", 1)};
  const auto gemm = import_one(model_of("Gemm", 13, {-1, 3}, {floats({5, 3}), floats({5})}, attributes));
  const auto& a = gemm.node.as<GemmAttrs>();
  EXPECT_EQ(a.alpha, 0.5f);
  EXPECT_EQ(a.beta, 2.0f);
  EXPECT_FALSE(a.trans_a);
  EXPECT_TRUE(a.trans_b);
  EXPECT_EQ(gemm.shape, (Dims{kBatch, 5}));
  EXPECT_EQ(import_one(model_of("Gemm", 11, {-1, 3}, {floats({3, 5})})).node.inputs.size(), 2u);
  EXPECT_EQ(
      import_one(model_of("Gemm", 6, {-1, 3}, {floats({3, 5}), floats({5})}, {attr("broadcast", 1)})).shape,
      (Dims{kBatch, 5}));
  EXPECT_EQ(import_one(model_of("MatMul", 13, {-1, 2, 3}, {floats({3, 4})})).shape, (Dims{kBatch, 2, 4}));
  EXPECT_THAT(import_error(model_of("Gemm", 13, {-1, 3}, {floats({4, 5})})), HasSubstr("cannot multiply"));
}

TEST(OnnxOps, BatchNormalization) {
  const std::vector<Tensor> c(4, floats({3}, 1));
  for (const int64_t opset : {7, 9, 14, 15}) {
    const auto got =
        import_one(model_of("BatchNormalization", opset, {-1, 3, 2, 2}, c, {attr("epsilon", 0.25f)}));
    EXPECT_EQ(got.node.type, OpType::kBatchNorm);
    EXPECT_EQ(got.node.as<BatchNormAttrs>().epsilon, 0.25f);
  }
  const Attrs old{attr("is_test", 1), attr("spatial", 1), attr("consumed_inputs", Dims{0, 0, 0, 1, 1}),
                  attr("momentum", 0.9f)};
  EXPECT_EQ(census(import_model(model_of("BatchNormalization", 1, {-1, 3, 2, 2}, c, old))), "BatchNorm:1");
  EXPECT_THAT(import_error(model_of("BatchNormalization", 7, {-1, 3, 2, 2}, c, {attr("spatial", 0)})),
              HasSubstr("spatial"));
  EXPECT_THAT(import_error(model_of("BatchNormalization", 15, {-1, 3, 2, 2}, c, {attr("training_mode", 1)})),
              HasSubstr("training"));
  EXPECT_THAT(import_error(model_of("BatchNormalization", 9, {-1, 4, 2, 2}, c)), HasSubstr("4 channels"));
  EXPECT_THAT(import_error(model_of("BatchNormalization", 9, {-1, 3, 2, 2}, {c[0], c[0], c[0]})),
              HasSubstr("input 4 (var) is missing"));
  const std::vector<Tensor> wide(4, floats({3}, 1).converted(DType::kF64));
  const auto cast = import_one(model_of("BatchNormalization", 15, {-1, 3, 2, 2}, wide));
  EXPECT_EQ(cast.graph.value(cast.node.inputs[4]).dtype, DType::kF32);
}

TEST(OnnxOps, Softmax) {
  const auto attrs = [](int64_t opset, const Attrs& a) {
    return import_one(model_of("Softmax", opset, {-1, 3, 4}, {}, a)).node.as<SoftmaxAttrs>();
  };
  EXPECT_EQ(attrs(13, {}).axis, 2);
  EXPECT_FALSE(attrs(13, {attr("axis", 1)}).to_end);
  EXPECT_EQ(attrs(7, {}).axis, 1);
  EXPECT_TRUE(attrs(7, {}).to_end);
  EXPECT_FALSE(attrs(11, {attr("axis", -1)}).to_end) << "the last axis alone is the same in both senses";
}

TEST(OnnxOps, Lrn) {
  const auto got =
      import_one(model_of("LRN", 13, {-1, 5, 2, 2}, {},
                          {attr("size", 3), attr("alpha", 0.1f), attr("beta", 0.5f), attr("bias", 2.0f)}));
  const auto& a = got.node.as<LrnAttrs>();
  EXPECT_EQ(a.size, 3);
  EXPECT_EQ(a.alpha, 0.1f);
  EXPECT_EQ(a.beta, 0.5f);
  EXPECT_EQ(a.bias, 2.0f);
  EXPECT_FALSE(a.within_channel);
  EXPECT_THAT(import_error(model_of("LRN", 13, {-1, 5, 2, 2}, {})), HasSubstr("size"));
}

TEST(OnnxOps, ReduceMean) {
  const auto old = import_one(
      model_of("ReduceMean", 13, {-1, 3, 4, 5}, {}, {attr("axes", Dims{-1, 2}), attr("keepdims", 0)}));
  EXPECT_EQ(old.node.as<ReduceAttrs>().axes, (Dims{2, 3}));
  EXPECT_EQ(old.shape, (Dims{kBatch, 3}));
  EXPECT_EQ(import_one(model_of("ReduceMean", 18, {-1, 3, 4}, {ints({1})})).shape, (Dims{kBatch, 1, 4}));
  EXPECT_EQ(import_one(model_of("ReduceMean", 18, {2, 3}, {})).shape, (Dims{1, 1}));
  EXPECT_EQ(import_one(model_of("ReduceMean", 18, {2, 3}, {}, {attr("noop_with_empty_axes", 1)})).node.type,
            OpType::kIdentity);
  EXPECT_THAT(import_error(model_of("ReduceMean", 13, {2, 3}, {}, {attr("axes", Dims{2})})),
              HasSubstr("out of range"));
}

TEST(OnnxOps, Cast) {
  const auto to = [](const OnnxModel& model) { return import_one(model).node.as<CastAttrs>().to; };
  EXPECT_EQ(to(model_of("Cast", 13, {-1, 2}, {}, {attr("to", Type::FLOAT16)})), DType::kF16);
  EXPECT_EQ(to(model_of("Cast", 19, {-1, 2}, {}, {attr("to", Type::BFLOAT16), attr("saturate", 0)})),
            DType::kBF16);
  EXPECT_EQ(to(model_of("Cast", 1, {-1, 2}, {}, {attr("to", "INT32")})), DType::kI32);
  EXPECT_THAT(import_error(model_of("Cast", 13, {-1, 2}, {}, {attr("to", Type::STRING)})),
              HasSubstr("string"));
  EXPECT_THAT(import_error(model_of("Cast", 13, {-1, 2}, {}, {attr("to", int64_t{1} << 33)})),
              HasSubstr("cannot cast"));
  EXPECT_THAT(import_error(model_of("Cast", 19, {-1, 2}, {}, {attr("to", 17)})), HasSubstr("float8"));
}

TEST(OnnxOps, Dropout) {
  EXPECT_EQ(
      import_one(model_of("Dropout", 6, {-1, 2}, {}, {attr("is_test", 1), attr("ratio", 0.5f)})).node.type,
      OpType::kIdentity);
  EXPECT_EQ(import_one(model_of("Dropout", 13, {-1, 2}, {Tensor::scalar(0.5f)}, {attr("seed", 1)})).node.type,
            OpType::kIdentity);
  EXPECT_EQ(
      import_one(model_of("Dropout", 13, {-1, 2}, {Tensor::scalar(0.0f), Tensor::scalar(true)})).node.type,
      OpType::kIdentity);
  EXPECT_THAT(import_error(model_of("Dropout", 13, {-1, 2}, {Tensor::scalar(0.5f), Tensor::scalar(true)})),
              HasSubstr("training"));
  OnnxModel mask;
  mask.input("x", {3, 2}).output("y").output("m").node("Dropout", {"x"}, {"y", "m"});
  const Graph graph = import_model(mask);
  const Value& value = value_of(graph, "m");
  EXPECT_EQ(value.dtype, DType::kBool);
  ASSERT_TRUE(value.constant);
  EXPECT_EQ(value.constant->to_ints(), Dims(6, 1));
}

TEST(OnnxOps, Constants) {
  const auto constant = [](const onnx::AttributeProto& value) {
    OnnxModel model;
    model.output("y").node("Constant", {}, {"y"}, {value});
    return import_model(model);
  };
  const auto tensor = [](const Graph& graph) { return graph.constant(graph.outputs()[0]); };
  EXPECT_EQ(tensor(constant(attr("value", floats({2, 2})))).dims(), (Dims{2, 2}));
  EXPECT_EQ(tensor(constant(attr("value_float", 2.5f))).as_double(0), 2.5);
  EXPECT_EQ(tensor(constant(attr("value_int", 7))).dtype(), DType::kI64);
  EXPECT_EQ(tensor(constant(attr("value_ints", Dims{7, 8}))).to_ints(), (Dims{7, 8}));
  OnnxModel text;
  text.output("y").node("Constant", {}, {"y"}, {attr("value_string", "abc")});
  EXPECT_THAT(import_error(text), HasSubstr("value_string"));
  OnnxModel none;
  none.output("y").node("Constant", {}, {"y"});
  EXPECT_THAT(import_error(none), HasSubstr("without a value"));
}

TEST(OnnxOps, ConstantOfShape) {
  const auto model = [](const Dims& shape, const Attrs& attributes) {
    OnnxModel m;
    m.initializer("s", ints(shape)).output("y").node("ConstantOfShape", {"s"}, {"y"}, attributes);
    return m;
  };
  const Graph ones = import_model(model({2, 3}, {attr("value", Tensor::of({1}, std::vector<int8_t>{1}))}));
  EXPECT_EQ(ones.constant(ones.outputs()[0]).to_ints(), Dims(6, 1));
  const Graph zeros = import_model(model({}, {}));
  EXPECT_EQ(zeros.constant(zeros.outputs()[0]).dtype(), DType::kF32);
  EXPECT_THAT(import_error(model({1 << 20, 1 << 20}, {})), HasSubstr("is larger"));
  EXPECT_THAT(import_error(model({1 << 14, 1 << 14}, {})), HasSubstr("too large"));
  EXPECT_THAT(import_error(model({-1}, {})), HasSubstr("negative"));
  EXPECT_THAT(import_error(model({1}, {attr("value", ints({1, 2}))})), HasSubstr("one element"));
}

TEST(OnnxOps, IdentityOfAConstantIsTheConstant) {
  OnnxModel model;
  model.input("x", {-1, 2}).initializer("c", floats({2})).output("y").output("d");
  model.node("Identity", {"c"}, {"d"}).node("Add", {"x", "d"}, {"y"});
  const Graph graph = import_model(model);
  EXPECT_EQ(census(graph), "Add:1");
  EXPECT_TRUE(value_of(graph, "d").constant) << "an output keeps its name";
  EXPECT_EQ(census(import_model(model_of("Identity", 13, {-1, 2}, {}))), "Identity:1");
}

TEST(OnnxQuantize, TypesAndAxes) {
  const Tensor scale = floats({3}, 1), zero_i8(DType::kI8, {3});
  const auto per_axis =
      import_one(model_of("QuantizeLinear", 13, {-1, 3, 2, 2}, {scale, zero_i8}, {attr("axis", -3)}));
  EXPECT_EQ(per_axis.node.as<QuantizeAttrs>().axis, 1);
  EXPECT_EQ(per_axis.node.as<QuantizeAttrs>().dtype, DType::kI8);
  EXPECT_EQ(per_axis.graph.value(per_axis.node.output).dtype, DType::kI8);
  const auto plain = import_one(model_of("QuantizeLinear", 10, {-1, 3}, {Tensor::scalar(0.5f)}));
  EXPECT_EQ(plain.node.as<QuantizeAttrs>().dtype, DType::kU8);
  const auto single =
      import_one(model_of("QuantizeLinear", 13, {-1, 3}, {floats({1}, 1), Tensor(DType::kU8, {1})}));
  EXPECT_EQ(single.graph.value(single.node.inputs[1]).shape, Dims{});
  EXPECT_EQ(single.graph.value(single.node.inputs[2]).shape, Dims{});
  const auto wide = import_one(
      model_of("QuantizeLinear", 21, {-1, 3}, {Tensor::scalar(0.5f)}, {attr("output_dtype", Type::INT16)}));
  EXPECT_EQ(wide.node.as<QuantizeAttrs>().dtype, DType::kI16);
  const auto back =
      import_one(model_of("DequantizeLinear", 13, {-1, 3}, {Tensor::scalar(0.5f)}, {}, Type::INT8));
  EXPECT_EQ(back.node.type, OpType::kDequantizeLinear);
  EXPECT_EQ(back.node.as<QuantizeAttrs>().dtype, DType::kI8);
}

TEST(OnnxQuantize, BadOnes) {
  const Tensor half = Tensor::scalar(0.5f);
  EXPECT_THAT(import_error(model_of("QuantizeLinear", 21, {-1, 4}, {half}, {attr("block_size", 2)})),
              HasSubstr("blocked"));
  EXPECT_THAT(import_error(model_of("QuantizeLinear", 21, {-1, 4}, {half, Tensor::scalar<int8_t>(0)},
                                    {attr("output_dtype", Type::UINT8)})),
              HasSubstr("zero point's type"));
  EXPECT_THAT(import_error(model_of("QuantizeLinear", 21, {-1, 4}, {half}, {attr("output_dtype", 17)})),
              HasSubstr("float8"));
  EXPECT_THAT(import_error(model_of("QuantizeLinear", 13, {-1, 4}, {floats({3})})), HasSubstr("node of y"));
  EXPECT_THAT(import_error(model_of("QuantizeLinear", 13, {-1, 4}, {floats({4})}, {attr("axis", 2)})),
              HasSubstr("out of range"));
}

}  // namespace
}  // namespace xdn::testing
