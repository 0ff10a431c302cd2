// The shared ResNet-50 as Cambricon's files and back.

#include <algorithm>

#include "executor/executor.h"
#include "executor/reference.h"
#include "formats/model_io.h"
#include "fusion/pipeline.h"
#include "quantization/mlu.h"
#include "support/golden_images.h"
#include "support/pixels.h"
#include "support/shared_data.h"

namespace xdn::testing {
namespace {

std::map<std::string, MluLayer> names_of(const Graph& graph, const MluLayers& layers) {
  std::map<std::string, MluLayer> out;
  for (const auto& [id, layer] : layers) out[graph.node(id).name] = layer;
  return out;
}

std::map<std::string, float> calibrate(const Graph& graph, const Tensor& images) {
  std::map<std::string, Tensor> values;
  run_reference(graph, std::span(&images, 1), &values);
  std::map<std::string, float> out;
  for (const ValueId id : mlu_inputs(graph)) {
    const std::string& name = graph.value(id).name;
    float& most = out[name];
    for (const float x : values.at(name).data<float>()) most = std::max(most, std::abs(x));
  }
  return out;
}

Tensor logits_of(const Graph& graph, const Tensor& images) {
  std::map<std::string, Tensor> values;
  run_reference(graph, std::span(&images, 1), &values);
  return values.at("fc10");
}

int64_t best(const Tensor& logits, int64_t row) {
  const float* at = logits.data<float>().data() + row * 10;
  return std::max_element(at, at + 10) - at;
}

class MluResNet50 : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!models_) GTEST_SKIP() << "skipped: no shared models";
    folder_ = (*models_ / "resnet50-cifar10").string() + "/";
    preprocess_ = find_preprocess(folder_ + "resnet50").value();
    const Preprocess& p = preprocess_;
    fused_ = load_model(folder_ + "resnet50.prototxt:" + folder_ + "resnet50.caffemodel");
    run_passes(fused_, traditional_passes());
    chip_ = normalise_on_chip(
        fused_, {p.scale, {p.mean.begin(), p.mean.end()}, {p.std.begin(), p.std.end()}, !p.bgr});
    raw_ = raw_bgr_pixels(preprocess_);
    layers_ = mlu_layers(chip_, calibrate(chip_, golden_input(*models_, raw_, 4)));
  }

  std::optional<std::filesystem::path> models_ = models_dir();
  std::string folder_;
  Preprocess preprocess_, raw_;
  Graph fused_, chip_;
  MluLayers layers_;
};

TEST_F(MluResNet50, FilesGiveTheGoldenLogitsOfRawBytes) {
  const TempDir dir;
  const std::string spec = dir / "net.prototxt:" + (dir / "net.caffemodel");
  export_caffe(chip_, dir / "net.prototxt", dir / "net.caffemodel", layers_);
  write_preprocess(raw_, dir / "net.preprocess.json");

  const auto preprocess = find_preprocess(model_stem(spec));
  ASSERT_TRUE(preprocess);
  EXPECT_TRUE(preprocess->bgr);
  EXPECT_EQ(preprocess->scale, 1);
  EXPECT_EQ(preprocess->classes, preprocess_.classes);
  const Graph again = load_model(spec);
  const Tensor golden = read_npy(folder_ + "golden_logits.npy");
  expect_close_to_largest(logits_of(again, golden_input(*models_, *preprocess, 4)), golden, 1e-3);

  ExecOptions options;
  const PixelMap map = testing::pixel_map(*preprocess);
  options.pixels = map;
  Executor executor(again, options);
  const Tensor images = read_npy(folder_ + "golden_images.npy");
  Tensor logits(DType::kF32, {kGoldenImages, executor.output_size()});
  executor.run_u8({images.data<uint8_t>().data(), {}}, kGoldenImages, logits.mutable_data<float>().data());
  expect_close_to_largest(logits, golden, 1e-3);

  // What the file says, and nothing else, gives the same simulation.
  const MluLayers read = caffe_mlu_layers(again);
  EXPECT_EQ(read.size(), 54U);
  EXPECT_EQ(names_of(again, read), names_of(chip_, layers_));
  std::vector<std::string> of_bytes;
  for (const auto& [name, layer] : names_of(again, read)) {
    if (layer.bytes) of_bytes.push_back(name);
  }
  EXPECT_EQ(of_bytes, std::vector<std::string>{"conv1"});
  const Tensor few = golden_input(*models_, raw_, 4);
  const Tensor expected = logits_of(simulate_mlu(chip_, layers_), few);
  expect_close_to_largest(logits_of(simulate_mlu(again, read), few), expected, 0);
}

TEST_F(MluResNet50, TheChipsArithmeticKeepsTheClasses) {
  const Graph simulation = simulate_mlu(chip_, layers_);
  ExecOptions options;
  options.pixels = testing::pixel_map(raw_);
  Executor executor(simulation, options);
  const Tensor images = read_npy(folder_ + "golden_images.npy");
  const Tensor golden = read_npy(folder_ + "golden_logits.npy");
  Tensor logits(DType::kF32, {kGoldenImages, executor.output_size()});
  executor.run_u8({images.data<uint8_t>().data(), {}}, kGoldenImages, logits.mutable_data<float>().data());
  int64_t same = 0;
  for (int64_t i = 0; i < kGoldenImages; ++i) same += best(logits, i) == best(golden, i);
  EXPECT_GE(same, kGoldenImages * 15 / 16);
  expect_close_to_largest(logits_of(simulation, golden_input(*models_, raw_, 4)), logits, 0.02);
}

}  // namespace
}  // namespace xdn::testing
