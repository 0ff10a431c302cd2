// The shared quantized ResNet-50 on images of the test set: one plan, the same logits from every instruction
// set.
#include <gtest/gtest.h>

#include "data/dataset.h"
#include "executor/plan_support.h"
#include "formats/model_io.h"
#include "support/pixels.h"
#include "support/shared_data.h"

namespace xdn::testing {
namespace {

class SharedModelQuantized : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto models = models_dir();
    if (!models) GTEST_SKIP() << "skipped: no shared models";
    const auto cifar = cifar10_dir();
    if (!cifar) GTEST_SKIP() << "skipped: no CIFAR-10";
    spec_ = (*models / "resnet50-cifar10" / "resnet50-qdq.onnx").string();
    const auto preprocess = find_preprocess(model_stem(spec_));
    ASSERT_TRUE(preprocess);
    const PixelMap map = testing::pixel_map(*preprocess);
    options_.pixels = map;
    const auto dataset = open_dataset((*cifar / "test").string(), dataset_options(*preprocess));
    bytes_.resize(static_cast<size_t>(kImages * dataset->image_bytes()));
    dataset->read(0, kImages, bytes_.data());
  }

  std::vector<float> logits(Isa isa, int64_t n) {
    ExecOptions options = options_;
    options.isa = isa;
    Executor executor(load_model(spec_), options);
    std::vector<float> out(static_cast<size_t>(n * executor.output_size()));
    executor.run_u8({bytes_.data(), {}}, n, out.data());
    return out;
  }

  static constexpr int64_t kImages = 200, kFew = 8;
  std::string spec_;
  ExecOptions options_;
  std::vector<uint8_t> bytes_;
};

TEST_F(SharedModelQuantized, GivesTheSameLogitsOnEveryIsa) {
  const std::vector<float> few = logits(Isa::kRef, kFew);
  EXPECT_GT(largest_of(few), 1.0f);
  std::vector<float> first;
  for (const Isa isa : present_isas()) {
    if (isa == Isa::kRef) continue;
    const std::vector<float> got = logits(isa, kImages);
    EXPECT_TRUE(std::equal(few.begin(), few.end(), got.begin())) << isa_name(isa) << " differs from ref";
    if (first.empty()) first = got;
    EXPECT_EQ(got, first) << isa_name(isa);
  }
}

TEST_F(SharedModelQuantized, IsPlannedInIntegersThroughout) {
  const Executor executor(load_model(spec_), options_);
  int convolutions = 0;
  for (const StepReport& step : executor.steps()) {
    if (step.macs == 0) continue;
    EXPECT_EQ(step.arith, "i8") << step.layer;
    EXPECT_EQ(step.refused.find("brgemm_i8"), std::string::npos) << step.layer << ": " << step.refused;
    ++convolutions;
  }
  EXPECT_EQ(convolutions, 54) << "53 convolutions and the classifier";
}

}  // namespace
}  // namespace xdn::testing
