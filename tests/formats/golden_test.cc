// The shared networks, through the reference executor, against the logits that came with them.

#include "executor/reference.h"
#include "formats/model_io.h"
#include "support/golden_images.h"
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

}  // namespace
}  // namespace xdn::testing
