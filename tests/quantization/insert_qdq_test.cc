// Where QuantizeLinear and DequantizeLinear stand, and what the integers are.

#include "quantization/insert_qdq.h"

#include <gmock/gmock.h>

#include <cmath>

#include "executor/plan_support.h"
#include "quantization/rounding.h"
#include "quantization/support.h"

namespace xdn::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

struct Options {
  std::set<std::string> float_layers = {};
  std::set<std::string> without_bias = {};
};

/// Weights to nearest, ranges that differ from value to value.
QdqSpec spec_of(const Graph& graph, const Options& options) {
  QdqSpec spec;
  spec.float_layers = options.float_layers;
  float high = 2;
  for (const std::string& name : quantized_values(graph)) spec.ranges[name] = {-1, high += 0.25f};
  for (const LinearLayer& layer : linear_layers(graph)) {
    const std::string& name = graph.node(layer.id).name;
    LayerWeights& weights = spec.weights[name];
    const std::vector<float> rows = weight_rows(graph, layer);
    if (layer.takes_bias && !options.without_bias.contains(name)) weights.bias = bias_of(graph, layer);
    weights.scale = weight_scales(rows, layer.k, weights.bias, 0.01f);
    weights.levels = round_to_nearest(rows, layer.k, weights.scale);
  }
  return spec;
}

Graph inserted(const std::string& text, const Options& options = {}) {
  Graph graph = parse_graph("graph {" + text + "}");
  name_layers(graph);
  insert_qdq(graph, spec_of(graph, options));
  graph.compact();
  verify(graph);
  return graph;
}

bool is_q(const Node& node) { return node.type == OpType::kQuantizeLinear; }
bool is_dq(const Node& node) { return node.type == OpType::kDequantizeLinear; }

/// The nodes that compute, as "y = Op(inputs)"; names end in _dq where they are read from levels.
std::vector<std::string> computing(const Graph& graph) {
  std::vector<std::string> out;
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (is_q(node) || is_dq(node)) continue;
    std::string line = graph.value(node.output).name + " = " + std::string(op_info(node.type).name) + "(";
    for (size_t i = 0; i < node.inputs.size(); ++i)
      line += (i == 0 ? "" : ", ") + (node.input(i) == kNoValue ? "none" : graph.value(node.input(i)).name);
    out.push_back(line + ")");
  }
  return out;
}

/// The values that are quantized, each once.
std::vector<std::string> quantized(const Graph& graph) {
  std::vector<std::string> out;
  for (const NodeId id : graph.order()) {
    if (is_q(graph.node(id))) out.push_back(graph.value(graph.node(id).input(0)).name);
  }
  return out;
}

/// Scale and zero point with which the value is quantized; its DequantizeLinear has the same.
LevelScale levels_of(const Graph& graph, const std::string& name) {
  const ValueId id = *graph.find_value(name);
  const auto users = graph.users();
  for (const NodeId q : graph.order()) {
    if (!is_q(graph.node(q)) || graph.node(q).input(0) != id) continue;
    const Node& node = graph.node(q);
    EXPECT_EQ(graph.value(node.output).dtype, DType::kU8);
    for (const NodeId dq : users[static_cast<size_t>(node.output)]) {
      EXPECT_EQ(graph.node(dq).input(1), node.input(1));
      EXPECT_EQ(graph.node(dq).input(2), node.input(2));
    }
    return {graph.constant(node.input(1)).data<float>()[0], graph.constant(node.input(2)).data<uint8_t>()[0]};
  }
  ADD_FAILURE() << name << " is not quantized";
  return {};
}

/// Tensor behind an input that is read through DequantizeLinear: 0 the levels, 1 the scales.
const Tensor& stored(const Graph& graph, const std::string& dq, size_t input) {
  return graph.constant(graph.node(graph.value(*graph.find_value(dq)).producer).input(input));
}

/// The plan computes every linear layer in integers, except those that stay float, and says what ONNX says.
void expect_runs(const Graph& graph, int i8_layers) {
  const std::vector<float> input = random_input(graph, 9, 4);
  const std::vector<float> want = oracle(graph, input, 9);
  for (const Isa isa : present_isas()) {
    ExecOptions options;
    options.isa = isa;
    Executor executor(graph, options);
    EXPECT_EQ(executor.settings().precision, Precision::kInt8);
    int found = 0;
    for (const StepReport& step : executor.steps()) found += step.arith == "i8";
    EXPECT_EQ(found, i8_layers) << isa_name(isa);
    // Levels at the edge of two may differ by one, rarely; a level is about 0.02 of activations of order one.
    const std::vector<float> got = run(executor, input, 9);
    expect_within(got, want, 0.03f * largest_of(want));
    size_t equal = 0;
    for (size_t i = 0; i < got.size(); ++i) equal += std::fabs(got[i] - want[i]) <= 1e-4f * largest_of(want);
    EXPECT_GE(equal, got.size() * 9 / 10) << isa_name(isa);
  }
}

constexpr const char* kConvs = R"( input %x f32[N,3,6,6]
  const %w f32[4,3,3,3] random(1) const %b f32[4] random(2) const %v f32[5,4,1,1] random(3)
  %c = Conv(%x, %w, %b) kernel=[3,3] pads_begin=[1,1] pads_end=[1,1] )";

TEST(InsertQdq, AfterTheRelu) {
  const std::string text = std::string(kConvs) + "%r = Relu(%c) %d = Conv(%r, %v) kernel=[1,1] output %d";
  EXPECT_THAT(quantized_values(parse_graph("graph {" + text + "}")), ElementsAre("x", "r"));
  const Graph graph = inserted(text, {{}, {"d"}});
  EXPECT_THAT(computing(graph),
              ElementsAre("c = Conv(x_dq, w_dq, b_dq)", "r = Relu(c)", "d = Conv(r_dq, v_dq)"));
  EXPECT_THAT(quantized(graph), ElementsAre("x", "r"));
  EXPECT_EQ(levels_of(graph, "x"), scale_of({-1, 2.25f}));
  EXPECT_EQ(levels_of(graph, "r"), scale_of({-1, 2.5f}));
  expect_runs(graph, 2);
}

TEST(InsertQdq, WeightsAndBiases) {
  const Graph graph =
      inserted(std::string(kConvs) + "%r = Relu(%c) %d = Conv(%r, %v) kernel=[1,1] output %d");
  const Graph before = parse_graph(std::string("graph {") + kConvs + "output %c }");
  const Tensor &w = before.constant(*before.find_value("w")), &b = before.constant(*before.find_value("b"));
  EXPECT_EQ(stored(graph, "w_dq", 0).dtype(), DType::kI8);
  EXPECT_EQ(stored(graph, "w_dq", 0).dims(), w.dims());
  EXPECT_EQ(stored(graph, "w_dq", 1).dims(), (Dims{4}));
  EXPECT_EQ(stored(graph, "b_dq", 0).dtype(), DType::kI32);
  EXPECT_EQ(stored(graph, "b_dq", 0).dims(), (Dims{4}));
  for (const int8_t zero : stored(graph, "w_dq", 2).data<int8_t>()) EXPECT_EQ(zero, 0);
  const float x_scale = levels_of(graph, "x").scale;
  for (size_t j = 0; j < 4; ++j) {
    const float scale = stored(graph, "w_dq", 1).data<float>()[j];
    float largest = 0;
    for (size_t i = j * 27; i < (j + 1) * 27; ++i) {
      const float x = w.data<float>()[i];
      EXPECT_NEAR(stored(graph, "w_dq", 0).data<int8_t>()[i] * scale, x, 0.501f * scale);
      largest = std::max(largest, std::fabs(x));
    }
    EXPECT_FLOAT_EQ(scale, largest / 127);
    const float bias_scale = stored(graph, "b_dq", 1).data<float>()[j];
    EXPECT_FLOAT_EQ(bias_scale, scale * x_scale);
    EXPECT_NEAR(static_cast<float>(stored(graph, "b_dq", 0).data<int32_t>()[j]) * bias_scale,
                b.data<float>()[j], 0.501f * bias_scale);
  }
  // The second has no bias in the model, but the spec gives one: zeros here.
  EXPECT_EQ(computing(graph).back(), "d = Conv(r_dq, v_dq, v_bias_dq)");
  for (const int32_t level : stored(graph, "v_bias_dq", 0).data<int32_t>()) EXPECT_EQ(level, 0);
  expect_runs(graph, 2);
}

TEST(InsertQdq, BiasesThatDoNotFitAreClamped) {
  Graph graph = parse_graph(std::string("graph {") + kConvs + "output %c }");
  name_layers(graph);
  QdqSpec spec = spec_of(graph, {});
  spec.weights.at("c").bias = {1e30f, -1e30f, 0, 1};
  insert_qdq(graph, spec);
  const auto levels = stored(graph, "b_dq", 0).data<int32_t>();
  EXPECT_EQ(levels[0], 0x7fffffff);
  EXPECT_EQ(levels[1], -0x7fffffff);
  EXPECT_EQ(levels[2], 0);
}

TEST(InsertQdq, ResidualSum) {
  const Graph graph = inserted(std::string(kConvs) + R"(%r = Relu(%c)
    const %u f32[4,4,3,3] random(4) %d = Conv(%r, %u) kernel=[3,3] pads_begin=[1,1] pads_end=[1,1]
    %s = Add(%d, %r) %t = Relu(%s) %e = Conv(%t, %v) kernel=[1,1] output %e)");
  EXPECT_THAT(computing(graph),
              ElementsAre("c = Conv(x_dq, w_dq, b_dq)", "r = Relu(c)", "d = Conv(r_dq, u_dq, u_bias_dq)",
                          "s = Add(d_dq, r_dq)", "t = Relu(s)", "e = Conv(t_dq, v_dq, v_bias_dq)"));
  EXPECT_THAT(quantized(graph), ElementsAre("x", "r", "d", "t"));
  expect_runs(graph, 3);
}

TEST(InsertQdq, ConstantAddendsAndFactorsStayFloat) {
  const Graph graph = inserted(std::string(kConvs) + R"(const %k f32[4,1,1] random(7) %r = Sigmoid(%c)
    %s = Mul(%r, %k) %d = Conv(%s, %v) kernel=[1,1] output %d)");
  EXPECT_THAT(computing(graph), ElementsAre("c = Conv(x_dq, w_dq, b_dq)", "r = Sigmoid(c)", "s = Mul(r, k)",
                                            "d = Conv(s_dq, v_dq, v_bias_dq)"));
}

TEST(InsertQdq, PoolsThatMoveKeepTheScale) {
  const Graph graph = inserted(std::string(kConvs) + R"(%r = Relu(%c)
    %m = MaxPool(%r) kernel=[2,2] strides=[2,2] %p = Pad(%m) begin=[0,0,1,1] end=[0,0,0,0]
    %d = Conv(%p, %v) kernel=[1,1] output %d)");
  EXPECT_THAT(quantized(graph), UnorderedElementsAre("x", "r", "m", "p"));
  EXPECT_EQ(levels_of(graph, "m"), levels_of(graph, "r"));
  EXPECT_EQ(levels_of(graph, "p"), levels_of(graph, "r"));
  EXPECT_NE(levels_of(graph, "r"), levels_of(graph, "x"));
  expect_runs(graph, 2);

  // A border of another number is computed, not moved.
  const Graph other = inserted(std::string(kConvs) + R"(%r = Relu(%c)
    %p = Pad(%r) begin=[0,0,1,1] end=[0,0,0,0] value=1 %d = Conv(%p, %v) kernel=[1,1] output %d)");
  EXPECT_THAT(quantized(other), ElementsAre("x", "p"));
}

TEST(InsertQdq, PoolToClassifier) {
  const Graph graph = inserted(std::string(kConvs) + R"(%r = Relu(%c) %g = GlobalAveragePool(%r)
    %f = Flatten(%g) const %u f32[4,7] random(5) const %k f32[7] random(6) %y = Gemm(%f, %u, %k) output %y)");
  EXPECT_THAT(computing(graph),
              ElementsAre("c = Conv(x_dq, w_dq, b_dq)", "r = Relu(c)", "g = GlobalAveragePool(r_dq)",
                          "f = Flatten(g_dq)", "y = Gemm(f_dq, u_dq, k_dq)"));
  EXPECT_THAT(quantized(graph), ElementsAre("x", "r", "g", "f"));
  EXPECT_EQ(levels_of(graph, "f"), levels_of(graph, "g"));
  // Weights [k, oc]: the scales are along the second axis.
  const NodeId dq = graph.value(*graph.find_value("u_dq")).producer;
  EXPECT_EQ(graph.node(dq).as<QuantizeAttrs>().axis, 1);
  EXPECT_EQ(stored(graph, "u_dq", 1).dims(), (Dims{7}));
  expect_runs(graph, 2);
}

TEST(InsertQdq, MatMulHasNoRoomForABias) {
  const Graph graph =
      inserted(R"(input %x f32[N,3,2,2] const %w f32[12,8] random(1) const %v f32[5,8] random(2)
    %f = Flatten(%x) %m = MatMul(%f, %w) %r = Relu(%m) %y = Gemm(%r, %v) trans_b=true output %y)");
  EXPECT_THAT(computing(graph), ElementsAre("f = Flatten(x_dq)", "m = MatMul(f_dq, w_dq)", "r = Relu(m)",
                                            "y = Gemm(r_dq, v_dq, v_bias_dq)"));
  expect_runs(graph, 2);
}

TEST(InsertQdq, FloatLayers) {
  const std::string text = std::string(kConvs) + R"(%r = Relu(%c) %d = Conv(%r, %v) kernel=[1,1]
    const %u f32[5,5,1,1] random(4) %t = Relu(%d) %e = Conv(%t, %u) kernel=[1,1] output %e)";
  const Graph middle = inserted(text, {{"d"}, {}});
  EXPECT_THAT(computing(middle), ElementsAre("c = Conv(x_dq, w_dq, b_dq)", "r = Relu(c)", "d = Conv(r, v)",
                                             "t = Relu(d)", "e = Conv(t_dq, u_dq, u_bias_dq)"));
  EXPECT_THAT(quantized(middle), ElementsAre("x", "t"));
  expect_runs(middle, 2);
  const Graph first = inserted(text, {{"c"}, {}});
  EXPECT_EQ(computing(first).front(), "c = Conv(x, w, b)");
  EXPECT_THAT(quantized(first), ElementsAre("r", "t"));
  const Graph all = inserted(text, {{"c", "d", "e"}, {}});
  EXPECT_THAT(quantized(all), ElementsAre());

  // Whoever else wants the input in 8 bits gets it, and the float layer reads the same.
  const Graph shared = inserted(std::string(kConvs) + R"(const %u f32[4,3,1,1] random(4)
    %d = Conv(%x, %u) kernel=[1,1] %s = Sigmoid(%d) %y = Sub(%s, %c) output %y)",
                                {{"d"}, {}});
  EXPECT_THAT(quantized(shared), ElementsAre("x"));
  EXPECT_EQ(computing(shared)[1], "d = Conv(x_dq, u)");
}

TEST(InsertQdq, AFloatLayerIsAddedAsItIs) {
  const std::string text = std::string(kConvs) + R"(const %u f32[4,4,1,1] random(4) %r = Relu(%c)
    %d = Conv(%r, %u) kernel=[1,1] %s = Add(%d, %r) %e = Conv(%s, %v) kernel=[1,1] output %e)";
  const Graph graph = inserted(text, {{"d"}, {}});
  EXPECT_THAT(computing(graph), ElementsAre("c = Conv(x_dq, w_dq, b_dq)", "r = Relu(c)", "d = Conv(r_dq, u)",
                                            "s = Add(d, r_dq)", "e = Conv(s_dq, v_dq, v_bias_dq)"));
  EXPECT_THAT(quantized(graph), ElementsAre("x", "r", "s"));
  expect_runs(graph, 2);
  EXPECT_THAT(quantized(inserted(text)), ElementsAre("x", "r", "d", "s"));
}

TEST(InsertQdq, JoinsAndGates) {
  const Graph graph = inserted(std::string(kConvs) + R"(const %u f32[4,8,1,1] random(4) %r = Relu(%c)
    %g = GlobalAveragePool(%r) %h = Sigmoid(%g) %m = Mul(%r, %h) %j = Concat(%m, %r) axis=1
    %e = Conv(%j, %u) kernel=[1,1] output %e)");
  EXPECT_THAT(computing(graph),
              ElementsAre("c = Conv(x_dq, w_dq, b_dq)", "r = Relu(c)", "g = GlobalAveragePool(r_dq)",
                          "h = Sigmoid(g)", "m = Mul(r_dq, h_dq)", "j = Concat(m_dq, r_dq)",
                          "e = Conv(j_dq, u_dq, u_bias_dq)"));
  EXPECT_THAT(quantized(graph), ElementsAre("x", "r", "h", "m", "j"));
}

TEST(InsertQdq, OutputsStayFloat) {
  const std::string text =
      std::string(kConvs) + "%r = Relu(%c) %d = Conv(%r, %v) kernel=[1,1] output %d output %r";
  const Graph graph = inserted(text);
  EXPECT_THAT(computing(graph), ElementsAre("c = Conv(x_dq, w_dq, b_dq)", "r = Relu(c)", "d = Conv(r, v)"));
  EXPECT_EQ(graph.value(graph.outputs()[1]).name, "r");
  EXPECT_EQ(range_sources(parse_graph("graph {" + text + "}")),
            (std::map<std::string, std::string>{{"x", "x"}}));
}

TEST(InsertQdq, SumOfAValueWithItself) {
  const Graph graph =
      inserted(std::string(kConvs) + "%s = Add(%c, %c) %d = Conv(%s, %v) kernel=[1,1] output %d");
  EXPECT_EQ(computing(graph)[1], "s = Add(c_dq, c_dq)");
  EXPECT_THAT(quantized(graph), ElementsAre("x", "c", "s"));
  expect_runs(graph, 2);
}

TEST(InsertQdq, NamesThatAreTaken) {
  const Graph graph =
      inserted(R"(input %x f32[N,3,6,6] const %w f32[4,3,1,1] random(1) const %x_dq f32[4] iota
    const %w_q f32[4,4,1,1] random(2) %x_scale = Conv(%x, %w, %x_dq) kernel=[1,1] "x_q"
    %y = Conv(%x_scale, %w_q) kernel=[1,1] "x_q" output %y)");
  EXPECT_EQ(quantized(graph), (std::vector<std::string>{"x", "x_scale"}));
  EXPECT_EQ(graph.value(graph.outputs()[0]).name, "y");
  expect_runs(graph, 2);
}

}  // namespace
}  // namespace xdn::testing
