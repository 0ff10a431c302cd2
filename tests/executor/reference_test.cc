#include "executor/reference.h"

#include <limits>

#include "reference_support.h"

namespace xdn::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();

TEST(ReferenceShape, ReshapeResolvesTheBatch) {
  const Tensor x = counting({4, 6});
  EXPECT_EQ(evaluate(OpType::kReshape, ReshapeAttrs{{kBatch, 2, 3}}, {&x}).dims(), (Dims{4, 2, 3}));
  EXPECT_EQ(evaluate(OpType::kReshape, ReshapeAttrs{{24}}, {&x}).dims(), Dims{24});
  const Tensor empty(DType::kF32, {5, 0});
  EXPECT_EQ(evaluate(OpType::kReshape, ReshapeAttrs{{kBatch, 0, 3}}, {&empty}).dims(), (Dims{5, 0, 3}));
  EXPECT_THAT(message_of([&] {
                evaluate(OpType::kReshape, ReshapeAttrs{{kBatch, 5}}, {&x});
              }),
              HasSubstr("expected 24 elements for shape [N,5]"));
}

TEST(ReferenceShape, Flatten) {
  const Tensor x = counting({2, 3, 4});
  EXPECT_EQ(evaluate(OpType::kFlatten, FlattenAttrs{0}, {&x}).dims(), (Dims{1, 24}));
  EXPECT_EQ(evaluate(OpType::kFlatten, FlattenAttrs{1}, {&x}).dims(), (Dims{2, 12}));
  EXPECT_EQ(evaluate(OpType::kFlatten, FlattenAttrs{3}, {&x}).dims(), (Dims{24, 1}));
  EXPECT_THAT(message_of([&] { evaluate(OpType::kFlatten, FlattenAttrs{4}, {&x}); }), HasSubstr("[0,4)"));
}

TEST(ReferenceShape, Transpose) {
  const Tensor x = counting({1, 2, 3});
  const Tensor y = evaluate(OpType::kTranspose, TransposeAttrs{{2, 0, 1}}, {&x});
  EXPECT_EQ(y.dims(), (Dims{3, 1, 2}));
  EXPECT_THAT(floats(y), ElementsAre(1, 4, 2, 5, 3, 6));
  const Tensor flags = Tensor::of<uint8_t>({2, 2}, {0, 1, 1, 1}).converted(DType::kBool);
  EXPECT_THAT(values<bool>(evaluate(OpType::kTranspose, TransposeAttrs{{1, 0}}, {&flags})),
              ElementsAre(false, true, true, true));
  EXPECT_THAT(message_of([&] {
                evaluate(OpType::kTranspose, TransposeAttrs{{0, 0, 1}}, {&x});
              }),
              HasSubstr("permutation"));
}

TEST(ReferenceShape, Concat) {
  const Tensor a = counting({2, 1}), b = f32({2, 2}, {10, 20, 30, 40}), none(DType::kF32, {2, 0});
  EXPECT_THAT(floats(evaluate(OpType::kConcat, AxisAttrs{1}, {&a, &b, &none, &a})),
              ElementsAre(1, 10, 20, 1, 2, 30, 40, 2));
  const Tensor c = f32({1, 2}, {5, 6});
  EXPECT_THAT(floats(evaluate(OpType::kConcat, AxisAttrs{0}, {&c, &b})), ElementsAre(5, 6, 10, 20, 30, 40));
  EXPECT_THAT(message_of([&] {
                evaluate(OpType::kConcat, AxisAttrs{0}, {&a, &b});
              }),
              HasSubstr("axis 0 only"));
}

TEST(ReferenceShape, Slice) {
  const Tensor x = counting({2, 5});
  const auto sliced = [&](int64_t start, int64_t end, int64_t step) {
    return floats(evaluate(OpType::kSlice, SliceAttrs{{0, 1}, {1, start}, {kMost, end}, {1, step}}, {&x}));
  };
  EXPECT_THAT(sliced(1, 3, 1), ElementsAre(7, 8));
  EXPECT_THAT(sliced(0, kMost, 2), ElementsAre(6, 8, 10));
  EXPECT_THAT(sliced(0, kMost, kMost), ElementsAre(6));
  EXPECT_THAT(sliced(kMost, -1, -2), ElementsAre(10, 8, 6));
  EXPECT_THAT(sliced(4, -1, kLeast), ElementsAre(10));
  EXPECT_THAT(sliced(3, 0, -1), ElementsAre(9, 8, 7));
  EXPECT_THAT(sliced(3, 3, 1), ElementsAre());
  EXPECT_THAT(sliced(4, 1, 1), ElementsAre());
  EXPECT_THAT(sliced(1, 4, -1), ElementsAre());
  EXPECT_EQ(evaluate(OpType::kSlice, SliceAttrs{{1}, {7}, {9}, {1}}, {&x}).dims(), (Dims{2, 0}));
  const Tensor empty(DType::kF32, {0, 3});
  EXPECT_EQ(evaluate(OpType::kSlice, SliceAttrs{{0}, {0}, {-1}, {-1}}, {&empty}).dims(), (Dims{0, 3}));
  EXPECT_THAT(message_of([&] { sliced(0, 1, 0); }), HasSubstr("steps other than 0"));
  EXPECT_THAT(message_of([&] {
                evaluate(OpType::kSlice, SliceAttrs{{1}, {7}, {9}, {}}, {&x});
              }),
              HasSubstr("expected 1 steps, got 0"));
}

TEST(ReferenceShape, Pad) {
  const Tensor x = counting({3});
  const auto padded = [&](PadMode mode, int64_t begin, int64_t end) {
    return floats(
        evaluate(OpType::kPad, PadAttrs{.mode = mode, .begin = {begin}, .end = {end}, .value = 9}, {&x}));
  };
  EXPECT_THAT(padded(PadMode::kConstant, 1, 2), ElementsAre(9, 1, 2, 3, 9, 9));
  EXPECT_THAT(padded(PadMode::kReflect, 2, 1), ElementsAre(3, 2, 1, 2, 3, 2));
  EXPECT_THAT(padded(PadMode::kReflect, 5, 0), ElementsAre(2, 1, 2, 3, 2, 1, 2, 3));
  EXPECT_THAT(padded(PadMode::kEdge, 2, 1), ElementsAre(1, 1, 1, 2, 3, 3));
  EXPECT_THAT(padded(PadMode::kConstant, -1, 1), ElementsAre(2, 3, 9));
  EXPECT_THAT(padded(PadMode::kConstant, -1, -2), ElementsAre());
  EXPECT_THAT(message_of([&] { padded(PadMode::kConstant, -2, -2); }), HasSubstr("negative extent"));
  EXPECT_THAT(message_of([&] { padded(PadMode::kConstant, kMost, 0); }), HasSubstr("smaller pads"));
  EXPECT_THAT(message_of([&] { padded(PadMode::kConstant, kMost / 2, 0); }), HasSubstr("larger than"));
  const Tensor matrix = Tensor::of<int8_t>({1, 2}, {1, 2});
  const PadAttrs both{.begin = {1, 0}, .end = {0, 1}, .value = 1000};
  EXPECT_THAT(values<int8_t>(evaluate(OpType::kPad, both, {&matrix})), ElementsAre(127, 127, 127, 1, 2, 127));
  const Tensor empty(DType::kF32, {0});
  EXPECT_THAT(floats(evaluate(OpType::kPad, PadAttrs{.begin = {1}, .end = {1}}, {&empty})),
              ElementsAre(0, 0));
  const PadAttrs edge{.mode = PadMode::kEdge, .begin = {1}, .end = {1}};
  EXPECT_THAT(message_of([&] { evaluate(OpType::kPad, edge, {&empty}); }), HasSubstr("elements to repeat"));
}

TEST(ReferenceShape, Gather) {
  const Tensor x = counting({2, 3});
  const Tensor indices = Tensor::of<int64_t>({2, 1}, {-1, 0}), scalar = Tensor::scalar<int32_t>(1);
  const Tensor y = evaluate(OpType::kGather, AxisAttrs{1}, {&x, &indices});
  EXPECT_EQ(y.dims(), (Dims{2, 2, 1}));
  EXPECT_THAT(floats(y), ElementsAre(3, 1, 6, 4));
  const Tensor row = evaluate(OpType::kGather, AxisAttrs{0}, {&x, &scalar});
  EXPECT_EQ(row.dims(), Dims{3});
  EXPECT_THAT(floats(row), ElementsAre(4, 5, 6));
  const Tensor beyond = Tensor::scalar<int32_t>(3);
  EXPECT_THAT(message_of([&] {
                evaluate(OpType::kGather, AxisAttrs{1}, {&x, &beyond});
              }),
              HasSubstr("[-3,3), got 3"));
}

/// y = relu(x + bias) and z = y + x, for a free batch of rows of two.
Graph small_graph() {
  Graph graph;
  const ValueId x = graph.add_input("x", DType::kF32, {kBatch, 2});
  const ValueId bias = graph.add_constant("bias", f32({2}, {-2, 1}));
  const NodeId add = graph.add_node(OpType::kAdd, NoAttrs{}, "add", {x, bias}, "sum");
  const NodeId relu = graph.add_node(OpType::kRelu, NoAttrs{}, "relu", {graph.output_of(add)}, "y");
  const NodeId twice = graph.add_node(OpType::kAdd, NoAttrs{}, "twice", {graph.output_of(relu), x}, "z");
  graph.set_outputs({graph.output_of(relu), graph.output_of(twice)});
  return graph;
}

TEST(RunReference, OutputsAndValues) {
  const Graph graph = small_graph();
  const std::vector<Tensor> inputs{f32({2, 2}, {1, 2, 3, -4})};
  std::map<std::string, Tensor> values;
  const std::vector<Tensor> outputs = run_reference(graph, inputs, &values);
  ASSERT_EQ(outputs.size(), 2u);
  EXPECT_THAT(floats(outputs[0]), ElementsAre(0, 3, 1, 0));
  EXPECT_THAT(floats(outputs[1]), ElementsAre(1, 5, 4, -4));
  ASSERT_EQ(values.size(), 3u);
  EXPECT_THAT(floats(values.at("sum")), ElementsAre(-1, 3, 1, -3));
  EXPECT_THAT(floats(values.at("z")), ElementsAre(1, 5, 4, -4));
}

TEST(RunReference, ConstantsAndInputsAsOutputs) {
  Graph graph = small_graph();
  graph.set_outputs({*graph.find_value("bias"), *graph.find_value("x")});
  const std::vector<Tensor> outputs = run_reference(graph, std::vector<Tensor>{f32({1, 2}, {7, 8})});
  EXPECT_THAT(floats(outputs[0]), ElementsAre(-2, 1));
  EXPECT_THAT(floats(outputs[1]), ElementsAre(7, 8));
}

TEST(RunReference, RefusesInputsThatDoNotFit) {
  Graph graph = small_graph();
  const auto message = [&](std::vector<Tensor> inputs) {
    return message_of([&] { run_reference(graph, inputs); });
  };
  EXPECT_THAT(message({}), HasSubstr("expected 1 inputs, got 0"));
  EXPECT_THAT(message({counting({2, 3})}), HasSubstr("input 'x': expected shape [N,2], got [2,3]"));
  EXPECT_THAT(message({counting({2})}), HasSubstr("expected shape [N,2], got [2]"));
  EXPECT_THAT(message({Tensor(DType::kU8, {2, 2})}), HasSubstr("expected type f32, got u8"));
  graph.add_input("w", DType::kF32, {kBatch});
  EXPECT_THAT(message({counting({2, 2}), counting({3})}), HasSubstr("input 'w': expected a batch of 2"));
}

TEST(RunReference, ErrorsNameTheLayer) {
  Graph graph;
  const ValueId x = graph.add_input("x", DType::kF32, {kBatch, 2});
  const NodeId flat = graph.add_node(OpType::kReshape, ReshapeAttrs{{3, 5}}, "odd one", {x}, "y");
  graph.set_outputs({graph.output_of(flat)});
  EXPECT_THAT(message_of([&] {
                run_reference(graph, std::vector<Tensor>{counting({1, 2})});
              }),
              HasSubstr("layer 'odd one': expected 2 elements"));
}

TEST(RunReference, EveryOperatorIsEvaluated) {
  // Without inputs each operator says what it misses, rather than aborting.
  for (size_t i = 0;; ++i) {
    const auto type = static_cast<OpType>(i);
    const OpInfo& info = op_info(type);
    EXPECT_THAT(message_of([&] { evaluate(type, info.default_attrs, {}); }), HasSubstr("position 0"))
        << info.name;
    if (type == OpType::kDequantizeLinear) break;
  }
}

}  // namespace
}  // namespace xdn::testing
