// Random residual graphs compute the same before and after every level, on the oracle and on the fast
// executor.
#include <cmath>

#include "executor/executor.h"
#include "fusion/support.h"
#include "support/random_graph.h"

namespace xdn {
namespace {

using testing::Expected;

FuseOptions everything_forced() {
  FuseOptions options;
  for (const Pass& pass : aggressive_passes()) {
    if (pass.run_where != nullptr) options.forced.insert(pass.name);
  }
  return options;
}

std::vector<std::pair<std::string, DType>> signature(const Graph& graph) {
  std::vector<std::pair<std::string, DType>> out;
  for (const ValueId id : graph.outputs()) out.emplace_back(graph.value(id).name, graph.value(id).dtype);
  return out;
}

/// The executor gives the first output, before its Softmax, and sums in f32: four times the tolerance.
void expect_executor(const Graph& graph, FusionLevel level, const Expected& expected, const Tensor& logits) {
  ExecOptions options;
  options.fusion = level;
  options.threads = 1;
  Executor executor(graph, options);
  const int64_t n = expected.inputs[0].dim(0);
  ASSERT_EQ(executor.output_size() * n, logits.size());
  std::vector<float> out(static_cast<size_t>(logits.size()));
  executor.run_f32(expected.inputs[0].data<float>().data(), n, out.data());
  for (size_t i = 0; i < out.size(); ++i)
    ASSERT_NEAR(static_cast<double>(out[i]), logits.as_double(static_cast<int64_t>(i)),
                4 * expected.tolerance)
        << "element " << i << " of the executor's, level " << static_cast<int>(level);
}

struct Counts {
  int graphs = 0;
  std::map<std::string, int> rewrites;
};

void check_seed(uint64_t seed, Counts& counts) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  Graph graph = testing::RandomGraph(seed).make();
  Graph peeled = graph;
  const NodeId last = peeled.value(peeled.outputs()[0]).producer;
  if (peeled.node(last).type == OpType::kSoftmax) {
    std::vector<ValueId> outputs = peeled.outputs();
    outputs[0] = peeled.node(last).inputs[0];
    peeled.set_outputs(outputs);
  }
  const Expected expected = testing::expected_of(graph);
  const Tensor logits = testing::expected_of(peeled).outputs[0];

  struct Level {
    const char* name;
    std::span<const Pass> passes;
    FuseOptions options;
  };
  Graph fused;
  for (const Level& level :
       {Level{"cleanup", cleanup_passes(), {}}, Level{"traditional", traditional_passes(), {}},
        Level{"aggressive", aggressive_passes(), {}},
        Level{"forced", aggressive_passes(), everything_forced()}}) {
    SCOPED_TRACE(level.name);
    fused = graph;
    const PipelineReport report = run_passes(fused, level.passes, level.options);
    EXPECT_TRUE(report.converged);
    EXPECT_EQ(signature(fused), signature(graph));
    testing::expect_outputs(expected, fused);
    const std::string once = print(fused);
    EXPECT_TRUE(run_passes(fused, level.passes, level.options).steps.empty());
    EXPECT_EQ(print(fused), once);
    for (const PassReport& pass : report.passes) counts.rewrites[pass.name] += pass.rewrites;
  }
  for (const FusionLevel level : {FusionLevel::kOff, FusionLevel::kTraditional, FusionLevel::kAggressive})
    expect_executor(graph, level, expected, logits);
  SCOPED_TRACE("forced");
  expect_executor(fused, FusionLevel::kTraditional, expected, logits);
  ++counts.graphs;
}

/// Every seed holds, and together they reach every rewrite.
void check_seeds(uint64_t first, uint64_t last) {
  Counts counts;
  for (uint64_t seed = first; seed < last && !::testing::Test::HasFailure(); ++seed) check_seed(seed, counts);
  EXPECT_EQ(counts.graphs, static_cast<int>(last - first));
  for (const Pass& pass : aggressive_passes()) {
    EXPECT_GT(counts.rewrites[pass.name], 0) << pass.name;
  }
}

TEST(Property, OfAHundredRandomGraphs) { check_seeds(0, 100); }
TEST(Property, OfManyRandomGraphs) { check_seeds(100, 600); }

}  // namespace
}  // namespace xdn
