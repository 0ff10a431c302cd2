#pragma once

#include <torch/types.h>

#include <optional>
#include <span>

#include "data/preprocess.h"
#include "training/augment.h"
#include "training/module.h"

namespace xdn::training {

/// A GPU where libtorch has one.
at::Device best_device();

/// n images of h x w as the n c h w tensor that n h w c elements are; they stay where they lie.
at::Tensor image_tensor(const void* pixels, int64_t n, const ImageSet& images, at::ScalarType type);
at::Tensor label_tensor(std::span<const int64_t> labels);

/// Throws an input error unless the module has one output, its logits.
void check_logits(const Module& module);

/// Throws an input error unless the module takes these images and has an output for each label. `what` names
/// them.
void check_images(const Module& module, const ImageSet& images, const char* what);

/// Share of images whose largest logit is the label's; in evaluation mode and f32, which the module is left
/// in.
double evaluate(Module& module, const Preprocess& preprocess, const ImageSet& images,
                const at::Device& device);

}  // namespace xdn::training
