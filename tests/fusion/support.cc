#include "fusion/support.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "executor/reference.h"

namespace xdn::testing {

const Pass& find_pass(const std::string& name) {
  for (const Pass& pass : aggressive_passes()) {
    if (pass.name == name) return pass;
  }
  throw std::runtime_error("no pass " + name);
}

int apply(const std::string& name, Graph& graph, bool forced) {
  const Pass& pass = find_pass(name);
  return pass.run_where != nullptr ? pass.run_where(graph, forced) : pass.run(graph);
}

std::string structure(const Graph& graph) {
  Graph copy = graph;
  size_t constants = 0, values = 0;
  std::vector<bool> named(copy.value_count(), false);
  for (const NodeId id : copy.order()) {
    Node& node = copy.node(id);
    for (const ValueId input : node.inputs) {
      if (!copy.is_constant(input) || named[static_cast<size_t>(input)]) continue;
      Value& value = copy.value(input);
      value.name = "c" + std::to_string(constants++);
      value.constant = Tensor(value.dtype, value.shape);
      named[static_cast<size_t>(input)] = true;
    }
    if (!copy.is_output(node.output)) copy.value(node.output).name = "v" + std::to_string(values++);
    node.name = copy.value(node.output).name;
  }
  std::istringstream text(print(copy, 0));
  std::vector<std::string> declarations, rest;
  for (std::string line; std::getline(text, line);)
    (line.starts_with("  const") ? declarations : rest).push_back(line);
  std::sort(declarations.begin(), declarations.end());
  std::string out;
  for (const std::string& line : declarations) out += line + "\n";
  for (const std::string& line : rest) out += line + "\n";
  return out;
}

namespace {

std::vector<Tensor> random_inputs(const Graph& graph) {
  std::vector<Tensor> out;
  uint64_t state = 42;
  for (const ValueId id : graph.inputs()) {
    Dims dims = graph.value(id).shape;
    std::replace(dims.begin(), dims.end(), kBatch, int64_t{2});
    Tensor tensor(DType::kF32, dims);
    for (float& v : tensor.mutable_data<float>()) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      v = static_cast<float>(static_cast<int64_t>(state >> 40) - (int64_t{1} << 23)) * 0x1p-23f;
    }
    out.push_back(tensor.converted(graph.value(id).dtype));
  }
  return out;
}

double largest(const Tensor& tensor) {
  double out = 0;
  for (int64_t i = 0; i < tensor.size(); ++i) {
    const double v = std::abs(tensor.as_double(i));
    if (std::isfinite(v)) out = std::max(out, v);
  }
  return out;
}

/// Terms in one sum of the node.
int64_t depth(const Graph& graph, const Node& node) {
  if (node.type == OpType::kConv)
    return graph.value(node.input(1)).constant->size() / graph.value(node.input(1)).shape[0];
  if (node.type == OpType::kGemm) return graph.value(node.input(1)).constant->size();
  return 1;
}

}  // namespace

Expected expected_of(const Graph& graph) {
  Expected out;
  out.inputs = random_inputs(graph);
  std::map<std::string, Tensor> values;
  out.outputs = run_reference(graph, out.inputs, &values);
  double magnitude = 0;
  for (const auto& [name, tensor] : values) magnitude = std::max(magnitude, largest(tensor));
  int64_t k = 1;
  for (const NodeId id : graph.order()) {
    k = std::max(k, depth(graph, graph.node(id)));
    for (const ValueId input : graph.node(id).inputs) {
      if (graph.is_constant(input)) magnitude = std::max(magnitude, largest(graph.constant(input)));
    }
  }
  out.tolerance = static_cast<double>(std::numeric_limits<float>::epsilon()) * static_cast<double>(k + 8) *
                  static_cast<double>(graph.order().size() + 1) * magnitude;
  return out;
}

void expect_outputs(const Expected& expected, const Graph& graph) {
  const std::vector<Tensor> actual = run_reference(graph, expected.inputs);
  ASSERT_EQ(expected.outputs.size(), actual.size());
  for (size_t o = 0; o < actual.size(); ++o) {
    const Tensor& wanted = expected.outputs[o];
    ASSERT_EQ(wanted.dims(), actual[o].dims());
    ASSERT_EQ(wanted.dtype(), actual[o].dtype());
    for (int64_t i = 0; i < wanted.size(); ++i) {
      const double a = wanted.as_double(i), b = actual[o].as_double(i);
      if (a == b) continue;  // infinities too
      ASSERT_NEAR(a, b, expected.tolerance) << "output " << o << ", element " << i;
    }
  }
}

void expect_same_outputs(const Graph& before, const Graph& after) {
  expect_outputs(expected_of(before), after);
}

Graph expect_rewrite(const std::string& pass, const std::string& before, const std::string& after,
                     bool forced) {
  const Graph original = parse_graph(before);
  Graph graph = parse_graph(before);
  EXPECT_GT(apply(pass, graph, forced), 0) << before;
  for (const NodeId id : graph.order()) {
    const Value known = graph.value(graph.output_of(id));
    EXPECT_EQ(known.shape, infer_node(graph, graph.node(id)).shape) << known.name;
  }
  infer_shapes(graph);
  EXPECT_NO_THROW(verify(graph));
  graph.compact();
  EXPECT_NO_THROW(verify(graph));
  EXPECT_EQ(structure(graph), structure(parse_graph(after)));
  expect_same_outputs(original, graph);
  const std::string once = print(graph);
  EXPECT_EQ(apply(pass, graph, forced), 0);
  EXPECT_EQ(print(graph), once);
  return graph;
}

void expect_no_change(const std::string& pass, const std::string& text, bool forced) {
  Graph graph = parse_graph(text);
  const std::string before = print(graph);
  EXPECT_EQ(apply(pass, graph, forced), 0) << text;
  EXPECT_EQ(print(graph), before);
}

Tensor last_constant(const Graph& graph, size_t i) {
  return graph.constant(graph.node(graph.order().back()).input(i));
}

}  // namespace xdn::testing
