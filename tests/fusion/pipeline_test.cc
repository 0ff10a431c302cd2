#include <filesystem>
#include <set>

#include "base/atomic_file.h"
#include "base/error.h"
#include "fusion/support.h"
#include "support/shared_data.h"

namespace xdn {
namespace {

/// A residual block as Caffe has it, with a projection, an explicit Pad, and an Identity here and there.
const char* const kBlock = R"(graph "block" {
  metadata "source" = "test"
  input %data f32[N,3,8,8]
  const %w1 f32[6,3,3,3] random(1)
  const %w2 f32[6,6,3,3] random(2)
  const %wp f32[6,3,1,1] random(3)
  const %wf f32[10,6] random(4)
  const %bf f32[10] random(5)
  const %g f32[6,1,1] random(6)
  const %h f32[6,1,1] random(7)
  const %m f32[6] random(8)
  const %v f32[6] [0.5, 1, 0.25, 2, 0.125, 1]
  const %one f32[6] fill(1)
  const %zero f32[6] fill(0)
  const %half f32[] [0.5]
  %pad = Pad(%data) begin=[0,0,1,1] end=[0,0,1,1]
  %c1 = Conv(%pad, %w1) kernel=[3,3] strides=[2,2]
  %n1 = BatchNorm(%c1, %one, %zero, %m, %v)
  %s1 = Mul(%n1, %g)
  %t1 = Add(%s1, %h)
  %r1 = Relu(%t1)
  %i1 = Identity(%r1)
  %c2 = Conv(%i1, %w2) kernel=[3,3] pads_begin=[1,1] pads_end=[1,1]
  %n2 = BatchNorm(%c2, %one, %zero, %m, %v)
  %scale = Mul(%g, %half)
  %s2 = Mul(%n2, %scale)
  %p = Conv(%data, %wp) kernel=[1,1] strides=[2,2]
  %np = BatchNorm(%p, %one, %zero, %m, %v)
  %sum = Add(%s2, %np)
  %r2 = Relu(%sum)
  %unused = Sigmoid(%r2)
  %pool = GlobalAveragePool(%r2)
  %flat = Flatten(%pool)
  %fc = Gemm(%flat, %wf, %bf) trans_b=true
  %prob = Softmax(%fc)
  output %prob
})";

const char* const kFused = R"(graph "block" {
  metadata "source" = "test"
  input %data f32[N,3,8,8]
  const %w1 f32[6,3,3,3] random(1)
  const %b1 f32[6] iota
  const %w2 f32[6,6,3,3] random(2)
  const %b2 f32[6] iota
  const %wp f32[6,3,1,1] random(3)
  const %bp f32[6] iota
  const %wf f32[10,6] random(4)
  const %bf f32[10] random(5)
  %c1 = Conv(%data, %w1, %b1) kernel=[3,3] strides=[2,2] pads_begin=[1,1] pads_end=[1,1] act=relu
  %c2 = Conv(%c1, %w2, %b2) kernel=[3,3] pads_begin=[1,1] pads_end=[1,1]
  %p = Conv(%data, %wp, %bp, %c2) kernel=[1,1] strides=[2,2] act=relu
  %pool = GlobalAveragePool(%p)
  %flat = Flatten(%pool)
  %fc = Gemm(%flat, %wf, %bf) trans_b=true
  %prob = Softmax(%fc)
  output %prob
})";

const PassReport& report_of(const PipelineReport& report, const std::string& name) {
  for (const PassReport& pass : report.passes) {
    if (pass.name == name) return pass;
  }
  throw std::runtime_error("no report of " + name);
}

TEST(Pipeline, FusesAResidualBlock) {
  const Graph original = parse_graph(kBlock);
  Graph graph = parse_graph(kBlock);
  const PipelineReport report = run_passes(graph, traditional_passes());
  EXPECT_EQ(testing::structure(graph), testing::structure(parse_graph(kFused)));
  testing::expect_same_outputs(original, graph);
  EXPECT_TRUE(report.converged);
  EXPECT_EQ(report.passes.size(), traditional_passes().size());
  for (const char* name :
       {"eliminate_dead", "eliminate_identity", "fold_constants", "fold_pad", "fold_batchnorm",
        "fold_mul_into_conv", "fold_add_into_conv", "fuse_residual", "fuse_relu"}) {
    EXPECT_GT(report_of(report, name).applied, 0) << name;
  }
  EXPECT_EQ(graph.order().size(), 7u);
  EXPECT_EQ(graph.metadata.at("source"), "test");
}

TEST(Pipeline, IsIdempotent) {
  Graph graph = parse_graph(kBlock);
  run_passes(graph, traditional_passes());
  const std::string once = print(graph, 1000);
  const PipelineReport again = run_passes(graph, traditional_passes());
  EXPECT_EQ(print(graph, 1000), once);
  EXPECT_EQ(again.rounds, 1);
  EXPECT_TRUE(again.converged);
  for (const PassReport& pass : again.passes) EXPECT_EQ(pass.applied, 0) << pass.name;
}

TEST(Pipeline, CleanupFusesNothing) {
  const Graph original = parse_graph(kBlock);
  Graph graph = parse_graph(kBlock);
  run_passes(graph, cleanup_passes());
  EXPECT_EQ(graph.order().size(), original.order().size() - 3);  // %i1, %scale, %unused
  testing::expect_same_outputs(original, graph);
}

TEST(Pipeline, EveryPassCanBeDisabled) {
  const Graph original = parse_graph(kBlock);
  for (const Pass& pass : traditional_passes()) {
    Graph graph = parse_graph(kBlock);
    const PipelineReport report = run_passes(graph, traditional_passes(), {pass.name});
    EXPECT_EQ(report_of(report, pass.name).applied, 0);
    EXPECT_TRUE(report.converged);
    testing::expect_same_outputs(original, graph);
  }
}

TEST(Pipeline, UnknownNamesAreRefused) {
  Graph graph = parse_graph(kBlock);
  try {
    run_passes(graph, traditional_passes(), {"fuse_everything"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_EQ(error.message().substr(0, 49), "unknown pass 'fuse_everything'; the passes are el");
  }
}

TEST(Pipeline, VerifiesWhatPassesLeave) {
  const Pass broken{"broken", [](Graph& graph) {
                      graph.set_outputs({});
                      return 1;
                    }};
  Graph graph = parse_graph(kBlock);
  EXPECT_THROW(run_passes(graph, std::span(&broken, 1)), Error);
}

TEST(Pipeline, VerifiesItsInput) {
  Graph graph = parse_graph(kBlock);
  graph.set_outputs({});
  EXPECT_THROW(run_passes(graph, traditional_passes()), Error);
}

TEST(Pipeline, CountsAndRecordsRewrites) {
  Graph graph = parse_graph(kBlock);
  graph.metadata["xdn.steps"] = "prune";
  const PipelineReport report = run_passes(graph, traditional_passes());
  EXPECT_EQ(report_of(report, "fold_batchnorm").rewrites, 3);
  EXPECT_EQ(report_of(report, "fuse_residual").rewrites, 1);
  int steps = 0, rewrites = 0;
  for (const PassStep& step : report.steps) steps += step.rewrites;
  for (const PassReport& pass : report.passes) rewrites += pass.rewrites;
  EXPECT_EQ(steps, rewrites);
  record_steps(graph, report);
  EXPECT_EQ(
      graph.metadata.at("xdn.steps"),
      "prune; eliminate_dead x1; eliminate_identity x1; fold_constants x1; fold_pad x1; fold_batchnorm x3; "
      "fold_mul_into_conv x2; fold_add_into_conv x1; fuse_residual x1; fuse_relu x2");
  record_steps(graph, run_passes(graph, traditional_passes()));
  EXPECT_TRUE(graph.metadata.at("xdn.steps").ends_with("fuse_relu x2"));
}

TEST(Pipeline, DumpsWhatEachPassLeaves) {
  const testing::TempDir folder;
  Graph graph = parse_graph(kBlock);
  FuseOptions options;
  options.dump_folder = folder.path().string();
  const PipelineReport report = run_passes(graph, traditional_passes(), options);
  std::set<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
    files.insert(entry.path().filename().string());
  EXPECT_EQ(files.size(), report.steps.size());
  EXPECT_TRUE(files.contains("01_eliminate_dead.txt"));
  const std::string last = read_file(folder / ("09_" + report.steps.back().name + ".txt"));
  EXPECT_NE(last.find("act=relu"), std::string::npos);
}

TEST(Pipeline, APricedPassWaitsForTheOthers) {
  static std::string trace;
  trace.clear();
  const Pass passes[] = {{"first",
                          [](Graph&) {
                            trace += "f";
                            return trace.size() < 3 ? 1 : 0;
                          }},
                         {"priced", nullptr, [](Graph&, bool forced) {
                            trace += forced ? "P" : "p";
                            return 0;
                          }}};
  Graph graph = parse_graph(kBlock);
  FuseOptions options;
  options.forced = {"priced"};
  run_passes(graph, passes, options);
  EXPECT_EQ(trace, "fffP");
}

TEST(Pipeline, StopsWhereAPassNeverRests) {
  const Pass restless{"restless", [](Graph&) { return 1; }};
  Graph graph = parse_graph(kBlock);
  const PipelineReport report = run_passes(graph, std::span(&restless, 1));
  EXPECT_FALSE(report.converged);
  EXPECT_EQ(report.rounds, kMostRounds);
  EXPECT_EQ(report.passes[0].applied, kMostRounds);
}

}  // namespace
}  // namespace xdn
