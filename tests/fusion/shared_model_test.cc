// The shared networks at every level: what remains of them, and that it computes the same.
#include <map>

#include "executor/executor.h"
#include "executor/reference.h"
#include "formats/model_io.h"
#include "fusion/support.h"
#include "support/golden_images.h"
#include "support/shared_data.h"

namespace xdn::testing {
namespace {

std::map<std::string, int> operators(const Graph& graph) {
  std::map<std::string, int> out;
  for (const NodeId id : graph.order()) ++out[std::string(op_info(graph.node(id).type).name)];
  return out;
}

FuseOptions forced(std::set<std::string> names) {
  FuseOptions options;
  options.forced = std::move(names);
  return options;
}

Tensor logits(const Graph& graph, FusionLevel level, const Tensor& images) {
  ExecOptions options;
  options.fusion = level;
  Executor executor(graph, options);
  Tensor out(DType::kF32, {images.dim(0), executor.output_size()});
  executor.run_f32(images.data<float>().data(), images.dim(0), out.mutable_data<float>().data());
  return out;
}

class SharedModelFusion : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!models_) GTEST_SKIP() << "skipped: no shared models";
  }
  Graph load(const std::string& folder, const std::string& file, const std::string& weights = "") {
    folder_ = (*models_ / folder).string() + "/";
    const std::string spec = folder_ + file + (weights.empty() ? "" : ":" + folder_ + weights);
    preprocess_ = find_preprocess(model_stem(spec));
    return load_model(spec);
  }
  Graph load_resnet50() { return load("resnet50-cifar10", "resnet50.prototxt", "resnet50.caffemodel"); }

  /// At every level, and written and read again, the golden logits come out.
  void expect_golden(const Graph& graph, const std::set<std::string>& to_force) {
    ASSERT_TRUE(preprocess_);
    const Tensor images = golden_input(*models_, *preprocess_, 8);
    const Tensor golden = read_npy(folder_ + "golden_logits.npy");
    const TempDir dir;
    for (const bool aggressive : {false, true}) {
      SCOPED_TRACE(aggressive ? "aggressive" : "traditional");
      Graph fused = graph;
      if (aggressive) {
        run_passes(fused, aggressive_passes(), forced(to_force));
      } else {
        run_passes(fused, traditional_passes());
      }
      expect_close_to_largest(logits(fused, FusionLevel::kTraditional, images), golden, 1e-3);
      export_onnx(fused, dir / "fused.onnx");
      expect_close_to_largest(logits(load_model(dir / "fused.onnx"), FusionLevel::kOff, images), golden,
                              1e-3);
    }
  }

  const std::optional<std::filesystem::path> models_ = models_dir();
  std::optional<Preprocess> preprocess_;
  std::string folder_;
};

TEST_F(SharedModelFusion, Resnet50HasNothingButConvolutionsLeft) {
  Graph graph = load_resnet50();
  EXPECT_EQ(graph.metadata.at("source_layers"), "228");
  const PipelineReport report = run_passes(graph, aggressive_passes());
  EXPECT_TRUE(report.converged);
  const std::map<std::string, int> expected{{"Conv", 53},   {"MaxPool", 1}, {"GlobalAveragePool", 1},
                                            {"Flatten", 1}, {"Gemm", 1},    {"Softmax", 1}};
  EXPECT_EQ(operators(graph), expected);
  int projections = 0, residuals = 0;
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (node.type != OpType::kConv || node.input(3) == kNoValue) continue;
    ++residuals;
    const Node& other = graph.node(graph.value(node.input(3)).producer);
    if (fusion::merges_in_plan(graph, other, node)) ++projections;
  }
  EXPECT_EQ(residuals, 16);
  EXPECT_EQ(projections, 4);
}

TEST_F(SharedModelFusion, Resnet50KeepsItsLogits) {
  expect_golden(load_resnet50(), {"merge_projection", "dirac_shortcut"});
}

TEST_F(SharedModelFusion, Resnet20LosesItsShortcutsAndKeepsItsLogits) {
  const Graph graph = load("resnet20-cifar10", "resnet20.onnx");
  Graph removed = graph;
  run_passes(removed, aggressive_passes(), forced({"reserve_and_merge"}));
  int residuals = 0;
  for (const NodeId id : removed.order()) {
    if (removed.node(id).input(3) != kNoValue) ++residuals;
  }
  EXPECT_EQ(residuals, 2);  // where the shortcut is cut and padded
  expect_golden(graph, {"reserve_and_merge"});
}

/// Levels and scales stay where the file put them.
TEST_F(SharedModelFusion, TheQuantizedResnet50KeepsItsLevels) {
  const Graph graph = load("resnet50-cifar10", "resnet50-qdq.onnx");
  ASSERT_TRUE(preprocess_);
  const Tensor images = golden_input(*models_, *preprocess_, 8);
  Graph fused = graph;
  run_passes(fused, aggressive_passes(), forced({"merge_projection", "dirac_shortcut", "reserve_and_merge"}));
  EXPECT_EQ(operators(fused)["QuantizeLinear"], operators(graph)["QuantizeLinear"]);
  EXPECT_EQ(operators(fused)["DequantizeLinear"], operators(graph)["DequantizeLinear"]);
  const Tensor before = logits(graph, FusionLevel::kOff, images);
  const Tensor after = logits(fused, FusionLevel::kTraditional, images);
  for (int64_t i = 0; i < before.size(); ++i) EXPECT_EQ(before.as_double(i), after.as_double(i)) << i;
}

}  // namespace
}  // namespace xdn::testing
