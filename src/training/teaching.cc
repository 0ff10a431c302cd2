#include "training/teaching.h"

#include <fmt/format.h>
#include <torch/torch.h>

#include "base/error.h"

namespace xdn::training {

TeacherModule::TeacherModule(const Teacher& teacher, const Preprocess& student, const at::Device& device)
    : module_(teacher.graph), swap_(teacher.preprocess.bgr != student.bgr) {
  const Preprocess& own = teacher.preprocess;
  std::vector<float> scale, shift;
  for (size_t c = 0; c < 3; ++c) {
    const size_t from = swap_ ? 2 - c : c;
    const double ratio = static_cast<double>(own.scale) / student.scale;
    scale.push_back(static_cast<float>(student.std[from] * ratio / own.std[c]));
    shift.push_back(static_cast<float>((student.mean[from] * ratio - own.mean[c]) / own.std[c]));
  }
  scale_ = at::tensor(scale).view({3, 1, 1}).to(device);
  shift_ = at::tensor(shift).view({3, 1, 1}).to(device);
  same_ = !swap_ && at::equal(scale_, at::ones_like(scale_)) && at::equal(shift_, at::zeros_like(shift_));
  module_.move_to(device);
}

Module::Result TeacherModule::forward(const at::Tensor& images) {
  const at::NoGradGuard no_grad;
  if (same_) return module_.forward(images);
  const at::Tensor x = images.to(at::kFloat);
  return module_.forward((swap_ ? x.flip({1}) : x) * scale_ + shift_);
}

void check_teacher(const Teacher& teacher, const Module& module, const Module& student, int64_t height,
                   int64_t width, bool features) {
  const Dims& shape = teacher.graph.value(teacher.graph.inputs()[0]).shape;
  if (shape != Dims{kBatch, 3, height, width}) {
    throw input_error(
        fmt::format("the teacher takes {}, expected images of {}x{}", to_string(shape), height, width));
  }
  if (module.classes() != student.classes()) {
    throw input_error(
        fmt::format("the teacher has {} outputs, the model {}", module.classes(), student.classes()));
  }
  if (features && module.features() != student.features()) {
    throw input_error(
        fmt::format("the teacher has {} features before its last layer, the model {}: these cannot "
                    "be compared",
                    module.features(), student.features()));
  }
}

std::unique_ptr<TeacherModule> begin_teaching(const Teacher& teacher, const Preprocess& preprocess,
                                              const Module& student, const ImageSet& images,
                                              const TrainOptions& options, const at::Device& device) {
  if (options.feature_weight != 0 && student.features() == 0) {
    throw input_error(
        "has no linear layer at its end, whose input a teacher's features could be compared with");
  }
  try {
    auto module = std::make_unique<TeacherModule>(teacher, preprocess, device);
    module->module().set_compute_type(options.bf16 ? at::kBFloat16 : at::kFloat);
    check_teacher(teacher, module->module(), student, images.height, images.width,
                  options.feature_weight != 0);
    return module;
  } catch (Error& error) {
    throw teacher.file.empty() ? error : error.in_file(teacher.file);
  }
}

void Teaching::start_epoch(int64_t augmented) {
  if (cache_) cache_->start(augmented);
}

Module::Result Teaching::forward(const at::Tensor& images, std::span<const int64_t> indices) {
  if (!cache_) return module_->forward(images);
  Module::Result result;
  if (cache_->has(indices)) {
    const at::Tensor logits = at::empty({images.size(0), module_->module().classes()}, at::kFloat);
    cache_->get(indices, logits.data_ptr<float>());
    result.logits = logits.to(images.device());
  } else {
    result.logits = module_->forward(images).logits;
    const at::Tensor logits = result.logits.to(at::kCPU).contiguous();
    cache_->put(indices, logits.data_ptr<float>());
  }
  return result;
}

void Teaching::end_epoch() {
  if (cache_) cache_->save();
}

at::Tensor loss_of(const Module::Result& student, const Module::Result* teacher, const at::Tensor& labels,
                   const TrainOptions& options) {
  const at::Tensor loss =
      at::cross_entropy_loss(student.logits, labels, {}, at::Reduction::Mean, -100, options.label_smoothing);
  if (teacher == nullptr) return loss;
  const double t = options.temperature;
  const at::Tensor divergence =
      at::kl_div(at::log_softmax(student.logits / t, 1), at::log_softmax(teacher->logits / t, 1),
                 at::Reduction::Sum, true) /
      static_cast<double>(student.logits.size(0));
  const at::Tensor both = (1 - options.alpha) * loss + options.alpha * t * t * divergence;
  if (options.feature_weight == 0) return both;
  return both + options.feature_weight * at::mse_loss(student.features, teacher->features);
}

}  // namespace xdn::training
