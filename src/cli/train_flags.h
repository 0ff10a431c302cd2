#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "cli/output.h"

namespace xdn::cli {

/// Groups of options in --help.
inline constexpr const char* kLearningGroup = "Learning";
inline constexpr const char* kTeachingGroup = "Distillation";

/// What xdn train takes. xdn checks it, and so does xdn-train, which xdn then becomes.
struct TrainFlags {
  std::string model, arch, data, val, test, out, teacher, teacher_cache, run, scores, sparsity, prune_plan;
  int64_t classes = 0, input = 0;
  int64_t epochs = 10, batch = 128, reestimate = 0, threads = 0, augment_epochs = 0, score_images = 4096;
  uint64_t seed = 0;
  double lr = 0.05, warmup = 0, momentum = 0.9, weight_decay = 5e-4, label_smoothing = 0, ema = 0;
  double temperature = 4, alpha = 0.9, features = 0, sparsity_strength = 0;
  std::string schedule = "cosine", augment = "crop:4,flip", precision = "fp32";
  bool from_scratch = false, resume = false, no_verify = false, learn_scales = false;
  Output output;

  void add_options(CLI::App& app);
  /// How is learned, and from whom: the part of the options that xdn prune has, too.
  void add_learning(CLI::App& app);
  void add_teaching(CLI::App& app);
  /// What the options cannot say one by one; throws a usage error.
  void check() const;
  void check_sparsity() const;
  /// --run, or OUT's stem with ".run".
  std::string run_folder() const;
};

/// A finite number in [least, most], or ]least, most[ where `open`.
CLI::Validator real_number(double least, double most, bool open = false);

/// "crop:4,flip,cutout:8", or "none".
struct AugmentChoice {
  int64_t crop = 0, cutout = 0;
  bool flip = false;
};
/// Throws a usage error.
AugmentChoice parse_augment(const std::string& text);

}  // namespace xdn::cli
