#include <cmath>
#include <cstring>
#include <set>

#include "graph/support.h"

namespace xdn {
namespace {

using testing::contains;
using testing::error_of;

/// One graph per operator at least, with every attribute away from its default.
const std::vector<std::string>& samples() {
  static const std::vector<std::string> out = [] {
    const std::string x = "input %x f32[N,4,8,8] ";
    const std::string w = x + "const %w f32[6,2,3,3] random(7) const %b f32[6] iota ";
    std::vector<std::string> texts;
    const auto add = [&](const std::string& declarations, const std::string& expression) {
      texts.push_back(testing::one_node(declarations, expression));
    };
    add(w, "Conv(%x, %w) kernel=[3,3] group=2");
    add(w + "input %r f32[N,6,3,9]",
        "Conv(%x, %w, %b, %r) kernel=[3,3] strides=[2,1] dilations=[2,1] pads_begin=[1,0] "
        "pads_end=[0,3] group=2 act=leaky_relu(0.1) \"res2a/conv \\\"1\\\"\"");
    add(w, "Conv(%x, %w, none) kernel=[3,3] group=2 act=clip(-inf,6)");
    add(w, "Conv(%x, %w, none) kernel=[3,3] group=2 act=relu");
    add("input %x f32[7,N] const %w f32[5,7] random(1) const %b f32[5] random(2)",
        "Gemm(%x, %w, %b) alpha=0.5 beta=2.25 trans_a=true trans_b=true act=relu");
    add("input %x f32[N,7] const %w f32[7,5] random(1)", "MatMul(%x, %w)");
    add("input %x f32[N,2] const %c f32[2] [1, 0.1]", "BatchNorm(%x, %c, %c, %c, %c) epsilon=0.001");
    add(x, "Relu(%x)");
    add(x, "LeakyRelu(%x) alpha=0.3");
    add(x + "const %s f32[4,1,1] fill(0.25)", "PRelu(%x, %s)");
    add(x, "Clip(%x) min=-1 max=1e-30");
    add(x, "Sigmoid(%x)");
    add(x, "HardSigmoid(%x) alpha=0.16666667 beta=0.4");
    add(x, "HardSwish(%x)");
    for (const std::string op : {"Add", "Sub", "Mul", "Div", "Pow", "Max"}) {
      add(x + "const %c f32[1,4,1,1] [1,2,3,inf]", op + "(%x, %c)");
    }
    add(x,
        "MaxPool(%x) kernel=[3,3] strides=[2,2] dilations=[2,2] pads_begin=[1,1] pads_end=[0,0] "
        "ceil_mode=true");
    add(x, "AveragePool(%x) kernel=[3,3] pads_begin=[1,1] count_include_pad=true");
    add(x, "GlobalAveragePool(%x)");
    add(x, "ReduceMean(%x) axes=[1,3] keepdims=false");
    add(x, "Reshape(%x) shape=[2,N,128]");
    add("input %x f32[2,3,4]", "Flatten(%x) axis=2");
    add(x, "Transpose(%x) perm=[0,2,3,1]");
    add(x, "Concat(%x, %x, %x) axis=2");
    add(x, "Slice(%x) axes=[2,3] starts=[0,7] ends=[8,-1] steps=[2,-1]");
    add(x, "Pad(%x) begin=[0,0,1,-1] end=[0,2,0,0] value=-0.5");
    add(x, "Pad(%x) mode=reflect begin=[0,0,1,1] end=[0,0,1,1]");
    add(x, "Pad(%x) mode=edge begin=[0,0,1,1] end=[0,0,1,1]");
    add(x + "const %i i64[2,1] [0,-1]", "Gather(%x, %i) axis=3");
    add(x, "Cast(%x) to=bf16");
    add(x, "Identity(%x)");
    add(x, "Softmax(%x) axis=2 to_end=true");
    add(x, "Lrn(%x) size=3 alpha=0.001 beta=0.5 bias=2 within_channel=true");
    add(x + "const %s f32[8] fill(0.5) const %z i8[8] [1,2,3,4,5,6,7,-128]",
        "QuantizeLinear(%x, %s, %z) axis=3 dtype=i8");
    add("input %x u16[N,4] const %s f32[] [0.5]", "DequantizeLinear(%x, %s) axis=0 dtype=u16");
    return texts;
  }();
  return out;
}

TEST(Text, EveryOperatorHasASample) {
  std::set<std::string_view> seen;
  for (const std::string& text : samples()) {
    const Graph graph = parse_graph(text);
    for (const NodeId id : graph.order()) seen.insert(op_info(graph.node(id).type).name);
  }
#define XDN_OP(Name, Attrs, least, most) EXPECT_TRUE(seen.contains(#Name)) << #Name;
#include "graph/ops.inc"
}

void expect_equal(const Graph& a, const Graph& b) {
  ASSERT_EQ(a.order().size(), b.order().size());
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(a.metadata, b.metadata);
  for (size_t i = 0; i < a.order().size(); ++i) {
    const Node &m = a.node(a.order()[i]), &n = b.node(b.order()[i]);
    EXPECT_EQ(m.type, n.type);
    EXPECT_EQ(m.name, n.name);
    ASSERT_EQ(m.inputs.size(), n.inputs.size());
    for (size_t k = 0; k < m.inputs.size(); ++k) {
      ASSERT_EQ(m.inputs[k] == kNoValue, n.inputs[k] == kNoValue);
      if (m.inputs[k] == kNoValue) continue;
      const Value &u = a.value(m.inputs[k]), &v = b.value(n.inputs[k]);
      EXPECT_EQ(u.name, v.name);
      ASSERT_EQ(u.constant.has_value(), v.constant.has_value());
      if (!u.constant) continue;
      ASSERT_EQ(u.constant->dtype(), v.constant->dtype());
      ASSERT_EQ(u.constant->dims(), v.constant->dims());
      EXPECT_EQ(std::memcmp(u.constant->raw(), v.constant->raw(), u.constant->bytes()), 0);
    }
  }
}

TEST(Text, RoundTrip) {
  for (const std::string& text : samples()) {
    const Graph first = parse_graph(text);
    const std::string printed = print(first, 1000);
    Graph second;
    ASSERT_NO_THROW(second = parse_graph(printed)) << printed;
    EXPECT_EQ(print(second, 1000), printed) << text;
    expect_equal(first, second);
  }
}

TEST(Text, AttributesSurvive) {
  const Graph graph = parse_graph(print(parse_graph(samples()[1]), 1000));
  const Node& node = graph.node(graph.order()[0]);
  const auto& conv = node.as<ConvAttrs>();
  EXPECT_EQ(conv.window, (Window{{3, 3}, {2, 1}, {2, 1}, {1, 0}, {0, 3}}));
  EXPECT_EQ(conv.group, 2);
  EXPECT_EQ(conv.act, (Activation{ActKind::kLeakyRelu, 0.1f, 0}));
  EXPECT_EQ(node.name, "res2a/conv \"1\"");
}

TEST(Text, PrintsAGraph) {
  const Graph graph = parse_graph(R"(# a comment
    graph "net" {
      metadata "key" = "va\\l\x01"
      input %data f32[N,3,4,4]
      const %w f32[2,3,1,1] [1,2,3,4,5,-6.5]   # all of it
      const %big f32[2,4,4] fill(2)
      %y = Conv(%data,%w) kernel=[1,1] strides=[1,1] act=relu "conv 1" f32[N,2,4,4]
      %"odd name" = Add(%y, %big)
      output %"odd name"
      output %y
    })");
  EXPECT_EQ(print(graph, 6), R"(graph "net" {
  metadata "key" = "va\\l\x01"
  input %data f32[N,3,4,4]
  const %w f32[2,3,1,1] [1, 2, 3, 4, 5, -6.5]
  const %big f32[2,4,4] fill(2)
  %y = Conv(%data, %w) kernel=[1,1] act=relu "conv 1" f32[N,2,4,4]
  %"odd name" = Add(%y, %big) f32[N,2,4,4]
  output %"odd name"
  output %y
}
)");
}

TEST(Text, OddNamesSurvive) {
  Graph graph;
  const std::string odd = "a\"b\\c\nd\x7f %#{}\xe5\x9b\xbe";
  graph.name = odd;
  graph.metadata[odd] = odd;
  const ValueId x = graph.add_input(odd, DType::kF32, {kBatch});
  const NodeId relu = graph.add_node(OpType::kRelu, NoAttrs{}, odd + "node", {x}, odd + "out");
  graph.set_outputs({graph.output_of(relu)});
  infer_shapes(graph);
  const Graph again = parse_graph(print(graph));
  EXPECT_EQ(again.name, odd);
  EXPECT_EQ(again.metadata.at(odd), odd);
  EXPECT_EQ(again.value(again.inputs()[0]).name, odd);
  EXPECT_EQ(again.node(again.order()[0]).name, odd + "node");
  EXPECT_EQ(again.value(again.outputs()[0]).name, odd + "out");
}

TEST(Text, Generators) {
  const auto constant = [](const std::string& definition) {
    const Graph graph = parse_graph("graph { const %c " + definition + " output %c }");
    return graph.constant(graph.outputs()[0]);
  };
  const Tensor random = constant("f32[1000] random(3)");
  double sum = 0;
  for (const float v : random.data<float>()) {
    EXPECT_GE(v, -1.0f);
    EXPECT_LT(v, 1.0f);
    sum += static_cast<double>(v);
  }
  EXPECT_LT(std::abs(sum), 100.0);
  EXPECT_EQ(std::memcmp(random.raw(), constant("f32[1000] random(3)").raw(), random.bytes()), 0);
  EXPECT_NE(std::memcmp(random.raw(), constant("f32[1000] random(4)").raw(), random.bytes()), 0);
  EXPECT_EQ(constant("i64[3] iota").to_ints(), (Dims{0, 1, 2}));
  EXPECT_EQ(constant("i8[2] [-128, 127]").to_ints(), (Dims{-128, 127}));
  EXPECT_EQ(constant("u8[2] fill(255)").to_ints(), (Dims{255, 255}));
  EXPECT_EQ(constant("b8[2] [0, 1]").to_ints(), (Dims{0, 1}));
  EXPECT_EQ(constant("f32[0] []").size(), 0);
  EXPECT_EQ(constant("u64[] [18446744073709551615]").data<uint64_t>()[0], ~uint64_t{0});
  EXPECT_TRUE(std::isnan(constant("f32[] [nan]").data<float>()[0]));
  EXPECT_EQ(constant("f16[] [0.5]").as_double(0), 0.5);
  for (const char* type :
       {"f32", "f64", "f16", "bf16", "i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64", "b8"}) {
    const Tensor a = constant(type + std::string("[40] random(5)"));
    Graph graph;
    graph.set_outputs({graph.add_constant("c", a)});
    const Graph again = parse_graph(print(graph));
    EXPECT_EQ(std::memcmp(a.raw(), again.constant(again.outputs()[0]).raw(), a.bytes()), 0) << type;
  }
}

TEST(Text, LargeConstantsAreChecksums) {
  const Graph graph =
      parse_graph("graph { const %c f32[100] random(1) const %d f32[100] fill(3) output %c output %d }");
  const std::string printed = print(graph);
  EXPECT_TRUE(contains(printed, "const %c f32[100] checksum(")) << printed;
  EXPECT_TRUE(contains(printed, "const %d f32[100] fill(3)")) << printed;
  EXPECT_EQ(error_of([&] { parse_graph(printed); }),
            "line 2: the values of this constant were not printed, only their checksum");
}

TEST(Text, Errors) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"", "line 1: expected 'graph', but found the end of the text"},
      {"network {}", "line 1: expected the text to begin with 'graph'"},
      {"graph {", "line 1: expected a statement or '}', but found the end of the text"},
      {"graph {}", "the graph has no outputs"},
      {"graph {\n} x", "line 2: expected nothing after the closing brace, but found 'x'"},
      {"graph {\n\nfoo %x\n}", "line 3: unknown statement 'foo'"},
      {"graph { input x f32[1] }", "line 1: expected '%', but found 'x'"},
      {"graph { input % f32[1] }", "expected a name after '%', but found 'f32'"},
      {"graph { input %\"\" f32[1] }", "a name must not be empty"},
      {"graph { input %x q7[1] }", "unknown element type 'q7'"},
      {"graph { input %x f32[N,N] }", "the free batch dimension N stands twice"},
      {"graph { input %x f32[-3] }", "a negative extent"},
      {"graph { input %x f32[1,2 }", "expected ']', but found '}'"},
      {"graph { input %x f32[1.5] }", "expected an integer, but found '1.5'"},
      {"graph { input %x f32[99999999999999999999] }", "the number '99999999999999999999' is out of range"},
      {"graph { input %x f32[1]\n input %x f32[1] }", "line 2: %x is defined twice"},
      {"graph { const %c f32[N] [1] }", "a constant has no free batch dimension"},
      {"graph { const %c f32[2] [1] }", "expected 2 values, but there are 1"},
      {"graph { const %c f32[2] [1,2,3] }", "expected ']' after 2 values, but found ','"},
      {"graph { const %c i8[1] [200] }", "the number '200' is out of range"},
      {"graph { const %c i8[1] [1.5] }", "expected an integer"},
      {"graph { const %c b8[1] [2] }", "expected 0 or 1, but found 2"},
      {"graph { const %c f32[1] [abc] }", "expected a number, but found 'abc'"},
      {"graph { const %c f32[1] }", "expected values in brackets"},
      {"graph { const %c f32[1] noise(1) }", "but found 'noise'"},
      {"graph { const %c f32[1] random(-1) }", "expected an integer, but found '-1'"},
      {"graph { const %c f32[100000,100000] fill(0) }", "constants of more than 1 GiB in all"},
      {"graph { const %c f32[1000000000,1000000000] fill(0) }", "larger than 64 GiB"},
      {"graph { input %x f32[1] output %y }", "%y is not defined above"},
      {"graph { input %x f32[1] %y = Frob(%x) output %y }", "unknown operator 'Frob'"},
      {"graph { input %x f32[1] %y = Relu(%z) output %y }", "%z is not defined above"},
      {"graph { input %x f32[1] %y = Relu(nothing) output %y }", "expected a value or 'none'"},
      {"graph { input %x f32[1] %y = Relu(%x", "expected ')', but found the end of the text"},
      {"graph { input %x f32[1] %y = Relu(%x) alpha=1 output %y }", "Relu has no attribute 'alpha'"},
      {"graph { input %x f32[1] %y = LeakyRelu(%x) alpha=1 alpha=2 output %y }",
       "attribute alpha stands twice"},
      {"graph { input %x f32[1] %y = LeakyRelu(%x) alpha=1e99 output %y }", "out of range"},
      {"graph { input %x f32[1] %y = Pad(%x) mode=odd output %y }", "unknown mode 'odd'"},
      {"graph { input %x f32[1] %y = ReduceMean(%x) keepdims=1 output %y }",
       "expected true or false, but found '1'"},
      {"graph { input %x f32[1] %y = Relu(%x) \"a\nb\" output %y }", "a string without a closing quote"},
      {"graph { input %x f32[1] %y = Relu(%x) \"a\\q\" output %y }", "unknown escape in a string"},
      {"graph { metadata \"a\" = \"\" metadata \"a\" = \"\" }", "metadata a stands twice"},
      {"graph {\n input %x f32[1]\n %y = Relu(%x) f32[2]\n output %y }",
       "layer 'y': line 3: the result is f32[1], not f32[2]"},
  };
  for (const auto& [text, message] : cases) {
    const std::string error = error_of([&input = text] { parse_graph(input); });
    EXPECT_TRUE(contains(error, message)) << text << "\ngave: " << error;
  }
}

TEST(Text, DamagedTextNeverCrashes) {
  uint64_t state = 1;
  const auto next = [&](size_t bound) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<size_t>((state >> 33) % bound);
  };
  const std::string alphabet = "%\"\\[](){},=#0123456789-NnaxReluf32 \n\x80";
  for (const std::string& sample : samples()) {
    const std::string printed = print(parse_graph(sample), 1000);
    for (int round = 0; round < 60; ++round) {
      std::string damaged = printed;
      for (size_t edits = 1 + next(3); edits > 0; --edits) {
        const size_t at = next(damaged.size());
        switch (next(4)) {
          case 0:
            damaged.resize(at + 1);
            break;
          case 1:
            damaged.erase(at, 1 + next(8));
            break;
          case 2:
            damaged.insert(at, 1, alphabet[next(alphabet.size())]);
            break;
          default:
            damaged[at] = alphabet[next(alphabet.size())];
            break;
        }
        if (damaged.empty()) damaged = " ";
      }
      try {
        print(parse_graph(damaged));
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::kInput);
      }
    }
  }
}

TEST(Text, Dot) {
  const std::string dot = print_dot(parse_graph(samples()[1]));
  EXPECT_TRUE(dot.starts_with("digraph \"\" {")) << dot;
  EXPECT_TRUE(contains(dot, "res2a/conv \\\"1\\\": Conv kernel=[3,3]")) << dot;
  EXPECT_TRUE(contains(dot, " -> v")) << dot;
}

}  // namespace
}  // namespace xdn
