// The shared networks, through the reference executor and through plans of every ISA, against the logits that
// came with them.

#include <fstream>

#include "base/cpu.h"
#include "executor/executor.h"
#include "executor/reference.h"
#include "formats/model_io.h"
#include "support/golden_images.h"
#include "support/pixels.h"
#include "support/shared_data.h"

namespace xdn::testing {
namespace {

/// Compares the value called `logits` (the output, where that is empty) to 1e-3 of the largest golden logit.
void expect_golden(const std::string& folder, const std::string& prototxt_or_onnx,
                   const std::string& caffemodel, const std::string& logits) {
  const auto models = models_dir();
  if (!models) GTEST_SKIP() << "skipped: no shared models";
  const auto dir = *models / folder;
  std::string spec = (dir / prototxt_or_onnx).string();
  if (!caffemodel.empty()) spec += ":" + (dir / caffemodel).string();
  const Graph graph = load_model(spec);
  const auto preprocess = find_preprocess(model_stem(spec));
  ASSERT_TRUE(preprocess);

  const Tensor input = golden_input(*models, *preprocess, kGoldenImages);
  std::map<std::string, Tensor> values;
  const std::vector<Tensor> outputs = run_reference(graph, std::span(&input, 1), &values);
  const Tensor& found = logits.empty() ? outputs.front() : values.at(logits);
  ASSERT_EQ(found.dims(), (Dims{kGoldenImages, 10}));
  expect_close_to_largest(found, read_npy((dir / "golden_logits.npy").string()), 1e-3);
}

TEST(Golden, ResNet50Caffe) {
  expect_golden("resnet50-cifar10", "resnet50.prototxt", "resnet50.caffemodel", "fc10");
}
TEST(Golden, ResNet20Onnx) { expect_golden("resnet20-cifar10", "resnet20.onnx", "", ""); }
TEST(Golden, ResNet56Onnx) { expect_golden("resnet56-cifar10", "resnet56.onnx", "", ""); }

/// The graph as it comes back from files of that form.
Graph saved_and_loaded(const Graph& graph, const std::string& spec) {
  save_model(graph, spec);
  return load_model(spec);
}

TEST(Golden, ResNet50ThroughFilesOfBothFormats) {
  const auto models = models_dir();
  if (!models) GTEST_SKIP() << "skipped: no shared models";
  const std::string stem = (*models / "resnet50-cifar10" / "resnet50").string();
  const Graph original = load_model(stem + ".prototxt:" + stem + ".caffemodel");
  const TempDir dir;
  const std::string caffe = dir / "net.prototxt:" + (dir / "net.caffemodel");
  const Graph again = saved_and_loaded(original, caffe);
  // The text is the file's own, but for the heading.
  std::ifstream before(stem + ".prototxt"), after(dir / "net.prototxt");
  std::string heading, line;
  std::getline(after, heading);
  EXPECT_EQ(heading.substr(0, 2), "# ");
  for (std::string expected; std::getline(before, expected);) {
    ASSERT_TRUE(std::getline(after, line));
    ASSERT_EQ(line, expected);
  }
  EXPECT_FALSE(std::getline(after, line));
  const Graph converted = saved_and_loaded(saved_and_loaded(original, dir / "net.onnx"), caffe);

  const Tensor input = golden_input(*models, find_preprocess(stem).value(), 4);
  std::map<std::string, Tensor> expected, same, through_onnx;
  run_reference(original, std::span(&input, 1), &expected);
  run_reference(again, std::span(&input, 1), &same);
  run_reference(converted, std::span(&input, 1), &through_onnx);
  for (const auto* found : {&same, &through_onnx})
    expect_close_to_largest(found->at("fc10"), expected.at("fc10"), 0);
}

TEST(Golden, ResNet20FromOnnxToCaffe) {
  const auto models = models_dir();
  if (!models) GTEST_SKIP() << "skipped: no shared models";
  const auto folder = *models / "resnet20-cifar10";
  const TempDir dir;
  const Graph converted = saved_and_loaded(load_model((folder / "resnet20.onnx").string()),
                                           dir / "net.prototxt:" + (dir / "net.caffemodel"));
  const Tensor input = golden_input(*models, find_preprocess((folder / "resnet20").string()).value(), 16);
  const Tensor found = run_reference(converted, std::span(&input, 1)).front();
  expect_close_to_largest(found, read_npy((folder / "golden_logits.npy").string()), 1e-3);
}

/// The bytes of the golden images, folded into the first convolution.
void expect_golden_plan(const std::string& folder, const std::string& spec_in_folder, Isa isa) {
  const auto models = models_dir();
  if (!models) GTEST_SKIP() << "skipped: no shared models";
  const std::string dir = (*models / folder).string() + "/";
  const size_t colon = spec_in_folder.find(':');
  const std::string spec = colon == std::string::npos ? dir + spec_in_folder
                                                      : dir + spec_in_folder.substr(0, colon) + ":" + dir +
                                                            spec_in_folder.substr(colon + 1);
  const auto preprocess = find_preprocess(model_stem(spec));
  ASSERT_TRUE(preprocess);
  const PixelMap map = testing::pixel_map(*preprocess);
  ExecOptions options;
  options.isa = isa;
  options.pixels = map;
  Executor executor(load_model(spec), options);
  const Tensor images = read_npy((*models / "resnet50-cifar10" / "golden_images.npy").string());
  Tensor logits(DType::kF32, {kGoldenImages, executor.output_size()});
  executor.run_u8({images.data<uint8_t>().data(), {}}, kGoldenImages, logits.mutable_data<float>().data());
  expect_close_to_largest(logits, read_npy(dir + "golden_logits.npy"), 1e-3);
}

class GoldenPlan : public ::testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    const bool present = GetParam() == Isa::kRef || (GetParam() == Isa::kAvx2 && cpu_features().avx2) ||
                         (GetParam() == Isa::kAvx512 && cpu_features().avx512);
    if (!present) GTEST_SKIP() << "skipped: this processor lacks " << isa_name(GetParam());
  }
};

TEST_P(GoldenPlan, ResNet50Caffe) {
  expect_golden_plan("resnet50-cifar10", "resnet50.prototxt:resnet50.caffemodel", GetParam());
}
TEST_P(GoldenPlan, ResNet20Onnx) { expect_golden_plan("resnet20-cifar10", "resnet20.onnx", GetParam()); }
TEST_P(GoldenPlan, ResNet56Onnx) { expect_golden_plan("resnet56-cifar10", "resnet56.onnx", GetParam()); }

INSTANTIATE_TEST_SUITE_P(EveryIsa, GoldenPlan, ::testing::Values(Isa::kRef, Isa::kAvx2, Isa::kAvx512),
                         [](const auto& p) { return std::string(isa_name(p.param)); });

}  // namespace
}  // namespace xdn::testing
