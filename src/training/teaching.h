#pragma once

#include <torch/types.h>

#include <memory>
#include <optional>
#include <span>

#include "training/augment.h"
#include "training/module.h"
#include "training/teacher_cache.h"
#include "training/trainer.h"

namespace xdn::training {

/// A teacher that sees the student's input: its own preprocessing is reached from there.
class TeacherModule {
 public:
  TeacherModule(const Teacher& teacher, const Preprocess& student, const at::Device& device);

  Module& module() { return module_; }
  /// Without gradients.
  Module::Result forward(const at::Tensor& images);

 private:
  Module module_;
  bool swap_, same_ = false;  ///< the channels' order differs; nothing differs
  at::Tensor scale_, shift_;
};

/// Throws an input error unless the teacher takes images of height x width, has the student's outputs and,
/// where features count, as many features.
void check_teacher(const Teacher& teacher, const Module& module, const Module& student, int64_t height,
                   int64_t width, bool features);

/// What a teacher says of batches: it is run, or what is kept of it is looked up.
class Teaching {
 public:
  explicit Teaching(std::unique_ptr<TeacherModule> module) : module_(std::move(module)) {}

  /// Keeps logits, and looks for them, in this cache; results then have no features.
  void keep_in(TeacherCache cache) { cache_ = std::move(cache); }
  /// `augmented` tells epochs apart in which the images are different ones.
  void start_epoch(int64_t augmented);
  /// The images are those of these indices in this epoch.
  Module::Result forward(const at::Tensor& images, std::span<const int64_t> indices);
  /// Call when the epoch is complete.
  void end_epoch();

 private:
  std::unique_ptr<TeacherModule> module_;
  std::optional<TeacherCache> cache_;
};

/// The teacher of this student for these images, in the precision of the options, checked; errors about it
/// name its file. An input error, too, where features count and the student has none.
std::unique_ptr<TeacherModule> begin_teaching(const Teacher& teacher, const Preprocess& preprocess,
                                              const Module& student, const ImageSet& images,
                                              const TrainOptions& options, const at::Device& device);

/// The loss that TrainOptions describes; `teacher` is null without one.
at::Tensor loss_of(const Module::Result& student, const Module::Result* teacher, const at::Tensor& labels,
                   const TrainOptions& options);

}  // namespace xdn::training
