#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "evaluator/accuracy.h"
#include "executor/executor.h"

namespace xdn {

struct EvaluateOptions {
  int64_t batch = 0;  ///< images handed to the executor at once; 0: as many as memory suits
  bool keep_predictions = false;
  bool keep_logits = false;
  std::atomic<int64_t>* done = nullptr;  ///< counts finished images
};

struct Evaluation {
  Accuracy accuracy;
  double seconds_total = 0;          ///< from the first image byte read to the last prediction
  std::vector<int64_t> predictions;  ///< per image, if kept: the class, or -1 where the logits hold a NaN
  std::vector<float> logits;         ///< if kept: images x outputs
};

/// Throws an input error unless every label is an index of one of `outputs` logits.
void check_labels(std::span<const int64_t> labels, int64_t outputs);

/// Classifies labels.size() images of image_bytes each. What images.fill throws on a worker is thrown here,
/// after the workers have come to rest.
Evaluation evaluate(Executor& executor, const ImageSource& images, std::span<const int64_t> labels,
                    int64_t image_bytes, const EvaluateOptions& options);

struct WarmUp {
  int64_t images = 0;
  double seconds = 0;
};
/// Runs a tile per worker, but at most most_images (and at least one), on black images: caches and pages are
/// warm when the first timed run comes, and its pace is known.
WarmUp warm_up(Executor& executor, int64_t image_bytes, int64_t most_images);

}  // namespace xdn
