#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "cli/output.h"

namespace xdn::cli {

/// What xdn train takes. xdn checks it, and so does xdn-train, which xdn then becomes.
struct TrainFlags {
  std::string model, arch, data, val, test, out, teacher, run;
  int64_t classes = 0, input = 0;
  int64_t epochs = 10, batch = 128, reestimate = 0, threads = 0;
  uint64_t seed = 0;
  double lr = 0.05, warmup = 0, momentum = 0.9, weight_decay = 5e-4, label_smoothing = 0, ema = 0;
  double temperature = 4, alpha = 0.9, features = 0;
  std::string schedule = "cosine", augment = "crop:4,flip", precision = "fp32";
  bool resume = false, no_verify = false, learn_scales = false;
  Output output;

  void add_options(CLI::App& app);
  /// What the options cannot say one by one; throws a usage error.
  void check() const;
  /// --run, or OUT's stem with ".run".
  std::string run_folder() const;
};

/// "crop:4,flip,cutout:8", or "none".
struct AugmentChoice {
  int64_t crop = 0, cutout = 0;
  bool flip = false;
};
/// Throws a usage error.
AugmentChoice parse_augment(const std::string& text);

}  // namespace xdn::cli
