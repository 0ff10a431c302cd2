#include "training/evaluation.h"

#include <fmt/format.h>
#include <torch/torch.h>

#include "base/error.h"
#include "training/trainer.h"

namespace xdn::training {
namespace {

constexpr int64_t kEvaluationBatch = 256;

}  // namespace

at::Device best_device() {
  return torch::cuda::is_available() ? at::Device(at::kCUDA) : at::Device(at::kCPU);
}

/// n h w c elements as the n c h w tensor that they are.
at::Tensor image_tensor(const void* pixels, int64_t n, const ImageSet& images, at::ScalarType type) {
  const int64_t h = images.height, w = images.width;
  return at::from_blob(const_cast<void*>(pixels), {n, 3, h, w}, {h * w * 3, 1, w * 3, 3},
                       at::TensorOptions(type));
}

at::Tensor label_tensor(std::span<const int64_t> labels) {
  return at::from_blob(const_cast<int64_t*>(labels.data()), {static_cast<int64_t>(labels.size())},
                       at::TensorOptions(at::kLong));
}

void check_logits(const Module& module) {
  const size_t outputs = module.structure().outputs().size();
  if (outputs != 1) throw input_error(fmt::format("has {} outputs, expected logits alone", outputs));
}

void check_images(const Module& module, const ImageSet& images, const char* what) {
  const Graph& graph = module.structure();
  const Dims& shape = graph.value(graph.inputs()[0]).shape;
  const Dims expected{kBatch, 3, images.height, images.width};
  if (shape != expected) {
    throw input_error(
        fmt::format("takes {}, the {} images are {}", to_string(shape), what, to_string(expected)));
  }
  if (images.size() == 0) throw input_error(fmt::format("there are no {} images", what));
  for (const int64_t label : images.labels) {
    if (label >= 0 && label < module.classes()) continue;
    throw input_error(
        fmt::format("has {} outputs, but a {} image has the label {}", module.classes(), what, label));
  }
}

double evaluate(Module& module, const Preprocess& preprocess, const ImageSet& images,
                const at::Device& device) {
  const at::NoGradGuard no_grad;
  const PixelTransform transform(preprocess, images.width);
  module.set_training(false);
  module.set_compute_type(at::kFloat);
  std::vector<float> pixels(
      static_cast<size_t>(std::min(kEvaluationBatch, images.size()) * images.image_bytes()));
  int64_t correct = 0;
  for (int64_t first = 0; first < images.size(); first += kEvaluationBatch) {
    const int64_t count = std::min(kEvaluationBatch, images.size() - first);
    for (int64_t i = 0; i < count; ++i) {
      transform.apply(images, first + i, pixels.data() + i * images.image_bytes());
    }
    const at::Tensor x = image_tensor(pixels.data(), count, images, at::kFloat).to(device);
    const at::Tensor labels =
        label_tensor(images.labels.subspan(static_cast<size_t>(first), static_cast<size_t>(count)))
            .to(device);
    correct += module.forward(x).logits.argmax(1).eq(labels).sum().item<int64_t>();
  }
  return static_cast<double>(correct) / static_cast<double>(images.size());
}

double accuracy_of(const Graph& graph, const Preprocess& preprocess, const ImageSet& images) {
  Module module(graph);
  check_images(module, images, "test");
  const at::Device device = best_device();
  module.move_to(device);
  return evaluate(module, preprocess, images, device);
}

}  // namespace xdn::training
