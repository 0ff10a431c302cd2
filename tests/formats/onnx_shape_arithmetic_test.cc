#include "formats/onnx/shape_arithmetic.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/error.h"
#include "formats/onnx_support.h"

namespace xdn::testing {
namespace {

using onnx_io::evaluate_sym;
using onnx_io::SymInt;
using onnx_io::SymTensor;
using ::testing::HasSubstr;

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

const SymInt kN = SymInt::batch(), kUnknown = SymInt::unknown();
SymInt k(int64_t value) { return SymInt::known(value); }
SymTensor vec(std::vector<SymInt> elements) {
  return {DType::kI64, {static_cast<int64_t>(elements.size())}, std::move(elements)};
}

std::string binary(OpType type, const SymInt& a, const SymInt& b) {
  const SymTensor x = vec({a}), y = vec({b});
  const SymTensor* inputs[] = {&x, &y};
  return to_string(*evaluate_sym(type, NoAttrs{}, inputs));
}

template <class A>
SymTensor unary(OpType type, const A& attrs, const SymTensor& x) {
  const SymTensor* inputs[] = {&x};
  return *evaluate_sym(type, attrs, inputs);
}

TEST(ShapeArithmetic, ElementwiseWithTheBatch) {
  EXPECT_EQ(binary(OpType::kAdd, k(2), k(3)), "[5]");
  EXPECT_EQ(binary(OpType::kAdd, kN, k(0)), "[N]");
  EXPECT_EQ(binary(OpType::kAdd, kN, k(1)), "[?]");
  EXPECT_EQ(binary(OpType::kSub, kN, kN), "[0]");
  EXPECT_EQ(binary(OpType::kSub, k(0), kN), "[?]");
  EXPECT_EQ(binary(OpType::kMul, k(1), kN), "[N]");
  EXPECT_EQ(binary(OpType::kMul, kN, k(0)), "[0]");
  EXPECT_EQ(binary(OpType::kMul, kN, k(64)), "[?]");
  EXPECT_EQ(binary(OpType::kDiv, kN, k(1)), "[N]");
  EXPECT_EQ(binary(OpType::kDiv, kN, kN), "[1]");
  EXPECT_EQ(binary(OpType::kDiv, k(-7), k(2)), "[-3]");
  EXPECT_EQ(binary(OpType::kMax, kN, k(1)), "[N]");
  EXPECT_EQ(binary(OpType::kMax, kN, k(2)), "[?]");
}

TEST(ShapeArithmetic, OverflowIsUnknown) {
  EXPECT_EQ(binary(OpType::kAdd, k(kMax), k(1)), "[?]");
  EXPECT_EQ(binary(OpType::kSub, k(-kMax), k(2)), "[?]");
  EXPECT_EQ(binary(OpType::kMul, k(kMax), k(2)), "[?]");
  EXPECT_EQ(binary(OpType::kDiv, k(-kMax - 1), k(-1)), "[?]");
  EXPECT_THROW(binary(OpType::kDiv, k(1), k(0)), Error);
  SymTensor a = vec({k(1 << 30)});
  a.dtype = DType::kI32;
  const SymTensor* inputs[] = {&a, &a};
  EXPECT_EQ(to_string(*evaluate_sym(OpType::kMul, NoAttrs{}, inputs)), "[?]");
}

TEST(ShapeArithmetic, Broadcasting) {
  const SymTensor column{DType::kI64, {2, 1}, {k(10), k(20)}}, row = vec({k(1), k(2), k(3)});
  const SymTensor* inputs[] = {&column, &row};
  const SymTensor sum = *evaluate_sym(OpType::kAdd, NoAttrs{}, inputs);
  EXPECT_EQ(sum.dims, (Dims{2, 3}));
  EXPECT_EQ(to_string(sum), "[11,12,13,21,22,23]");
  const SymTensor pair = vec({k(1), k(2)});
  const SymTensor* bad[] = {&pair, &row};
  EXPECT_THROW(evaluate_sym(OpType::kAdd, NoAttrs{}, bad), Error);
}

TEST(ShapeArithmetic, Layout) {
  const SymTensor x{DType::kI64, {2, 3}, {kN, k(1), k(2), k(3), k(4), k(5)}};
  EXPECT_EQ(to_string(unary(OpType::kTranspose, TransposeAttrs{{1, 0}}, x)), "[N,3,1,4,2,5]");
  EXPECT_EQ(unary(OpType::kReshape, ReshapeAttrs{{3, 2}}, x).dims, (Dims{3, 2}));
  EXPECT_EQ(unary(OpType::kFlatten, FlattenAttrs{0}, x).dims, (Dims{1, 6}));
  EXPECT_EQ(to_string(unary(OpType::kSlice, SliceAttrs{{1}, {2}, {-1}, {-2}}, x)), "[2,N,5,3]");
  EXPECT_THROW(unary(OpType::kReshape, ReshapeAttrs{{4}}, x), Error);
}

TEST(ShapeArithmetic, ConcatAndGather) {
  const SymTensor x{DType::kI64, {2, 2}, {k(1), k(2), k(3), k(4)}}, y{DType::kI64, {2, 1}, {kN, k(9)}};
  const SymTensor* parts[] = {&x, &y};
  EXPECT_EQ(to_string(*evaluate_sym(OpType::kConcat, AxisAttrs{1}, parts)), "[1,2,N,3,4,9]");
  EXPECT_THROW(evaluate_sym(OpType::kConcat, AxisAttrs{0}, parts), Error);
  const SymTensor last = vec({k(-1), k(0)}), beyond = vec({k(2)}), open = vec({kN});
  const SymTensor* gather[] = {&x, &last};
  EXPECT_EQ(to_string(*evaluate_sym(OpType::kGather, AxisAttrs{1}, gather)), "[2,1,4,3]");
  EXPECT_EQ(to_string(*evaluate_sym(OpType::kGather, AxisAttrs{0}, gather)), "[3,4,1,2]");
  const SymTensor* bad[] = {&x, &beyond};
  EXPECT_THROW(evaluate_sym(OpType::kGather, AxisAttrs{0}, bad), Error);
  const SymTensor* by_batch[] = {&x, &open};
  EXPECT_THROW(evaluate_sym(OpType::kGather, AxisAttrs{0}, by_batch), Error);
}

TEST(ShapeArithmetic, CastEqualWhereMin) {
  const SymTensor x = vec({kN, k(0), k(-1), k((int64_t{1} << 32) + 5)});
  EXPECT_EQ(to_string(unary(OpType::kCast, CastAttrs{DType::kBool}, x)), "[1,0,1,1]");
  EXPECT_EQ(to_string(unary(OpType::kCast, CastAttrs{DType::kI32}, x)), "[N,0,-1,5]");
  const SymTensor minus = vec({k(-1)});
  const SymTensor is_minus = *sym_equal(x, minus);
  EXPECT_EQ(to_string(is_minus), "[0,0,1,0]");
  EXPECT_EQ(to_string(*sym_where(is_minus, vec({k(7)}), x)), "[N,0,7,4294967301]");
  EXPECT_EQ(to_string(*sym_equal(vec({kN}), vec({k(3)}))), "[?]");
  EXPECT_EQ(to_string(*sym_min(vec({kN, k(5)}), vec({k(1), k(3)}))), "[1,3]");
}

/// x [N,c,h,w] -> ... -> y by the nodes that `build` adds.
template <class F>
OnnxModel over_image(F&& build) {
  OnnxModel model;
  model.input("x", {-1, 4, 2, 3}).output("y");
  model.initializer("0", Tensor::scalar(int64_t{0})).initializer("1", Tensor::scalar(int64_t{1}));
  model.initializer("axis 0", ints({0})).initializer("-1", ints({-1})).initializer("12", ints({12}));
  build(model);
  return model;
}

TEST(ShapeArithmetic, FlattenByHand) {
  // x.view(x.size(0), -1) as exporters write it.
  const Graph graph = import_model(over_image([](OnnxModel& m) {
    m.node("Shape", {"x"}, {"s"}).node("Gather", {"s", "0"}, {"n"}, {attr("axis", 0)});
    m.node("Unsqueeze", {"n", "axis 0"}, {"n1"}).node("Concat", {"n1", "-1"}, {"t"}, {attr("axis", 0)});
    m.node("Reshape", {"x", "t"}, {"y"});
  }));
  EXPECT_EQ(census(graph), "Reshape:1");
  EXPECT_EQ(value_of(graph, "y").shape, (Dims{kBatch, 24}));
}

TEST(ShapeArithmetic, SomethingComputedFromTheBatchIsWhatRemains) {
  // [12, N * 2]: the second is not N, but follows.
  EXPECT_THAT(import_error(over_image([](OnnxModel& m) {
                m.node("Shape", {"x"}, {"s"}).node("Gather", {"s", "axis 0"}, {"n"});
                m.node("Add", {"n", "n"}, {"n2"}).node("Concat", {"12", "n2"}, {"t"}, {attr("axis", 0)});
                m.node("Reshape", {"x", "t"}, {"y"});
              })),
              HasSubstr("cannot reshape [N,4,2,3] to [12,?]"));
  const Graph graph = import_model(over_image([](OnnxModel& m) {
    // (N * 24) / 24 is the batch, though its value is not tracked.
    m.initializer("24", ints({24}));
    m.node("Shape", {"x"}, {"s"}).node("Gather", {"s", "axis 0"}, {"n"}).node("Mul", {"n", "24"}, {"all"});
    m.node("Div", {"all", "24"}, {"again"}).node("Concat", {"again", "24"}, {"t"}, {attr("axis", 0)});
    m.node("Reshape", {"x", "t"}, {"y"});
  }));
  EXPECT_EQ(value_of(graph, "y").shape, (Dims{kBatch, 24}));
}

TEST(ShapeArithmetic, ShapeWithStartAndEnd) {
  OnnxModel model(15);
  model.input("x", {-1, 4, 2, 3}).output("a").output("b").output("c");
  model.node("Shape", {"x"}, {"a"}, {attr("start", 1)})
      .node("Shape", {"x"}, {"b"}, {attr("start", -2), attr("end", -1)});
  model.node("Shape", {"x"}, {"c"}, {attr("start", 3), attr("end", 2)});
  const Graph graph = import_model(model);
  EXPECT_EQ(value_of(graph, "a").constant->to_ints(), (Dims{4, 2, 3}));
  EXPECT_EQ(value_of(graph, "b").constant->to_ints(), (Dims{2}));
  EXPECT_EQ(value_of(graph, "c").constant->to_ints(), Dims{});
}

TEST(ShapeArithmetic, TheBatchItselfIsNoValue) {
  EXPECT_THAT(import_error(over_image([](OnnxModel& m) { m.node("Shape", {"x"}, {"y"}); })),
              HasSubstr("computed from the batch size"));
  EXPECT_THAT(
      import_error(over_image([](OnnxModel& m) {
        m.node("Shape", {"x"}, {"s"}).node("ConstantOfShape", {"s"}, {"z"}).node("Add", {"x", "z"}, {"y"});
      })),
      HasSubstr("layer 'node of z': input 0 (input) is [N,4,2,3], which depends on the batch size"));
}

TEST(ShapeArithmetic, ShapeOpsNeedKnownShapes) {
  EXPECT_THAT(import_error(over_image([](OnnxModel& m) {
                m.node("Min", {"x", "x"}, {"y"});
              })),
              HasSubstr("only in computations of shapes"));
}

TEST(ShapeArithmetic, SizeAndWhere) {
  OnnxModel model;
  model.input("x", {2, 3}).output("y").output("z");
  model.node("Size", {"x"}, {"y"}).node("Shape", {"x"}, {"s"}).node("Equal", {"s", "two"}, {"e"});
  model.initializer("two", ints({2})).node("Where", {"e", "y", "s"}, {"z"});
  const Graph graph = import_model(model);
  EXPECT_EQ(value_of(graph, "y").constant->as_int(0), 6);
  EXPECT_EQ(value_of(graph, "z").constant->to_ints(), (Dims{6, 3}));
}

}  // namespace
}  // namespace xdn::testing
