#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "evaluator/comparison.h"
#include "executor/executor.h"
#include "graph/graph.h"

namespace xdn {

/// Images whose classes are known.
struct LabelledImages {
  const uint8_t* data = nullptr;  ///< labels.size() images, NHWC
  std::span<const int64_t> labels;
  PixelMap pixels;
  ExecOptions exec;  ///< how both models run; `pixels` and `precision` are set here
};

/// How another model does beside the original one, in f32, on the same images. comparison().correct_a() and
/// what follows from it is of the original, b of the other.
struct Verdict {
  Comparison comparison;
  double images_per_second = 0;
  /// Mean over images and outputs of the squared difference of logits, to the variance of the original's.
  double logit_error = 0;

  double accuracy() const;
  double original_accuracy() const;
  /// In percentage points; negative where the other model is better.
  double drop() const { return 100 * (original_accuracy() - accuracy()); }
};

/// Judges models by the original's logits, which are computed once.
class Judge {
 public:
  /// Input error where a label is no index of an output.
  Judge(Graph original, LabelledImages images);

  /// Runs the model on the first `most` images (0: all).
  Verdict judge(Graph model, int64_t most = 0);
  /// Images per second of the other model to those of the original: the median of runs in turn.
  double speed_ratio(Graph model);
  int64_t size() const { return static_cast<int64_t>(images_.labels.size()); }

  std::atomic<int64_t>* done = nullptr;  ///< counts images

 private:
  Executor plan(Graph model, bool original) const;

  LabelledImages images_;
  Graph original_;
  int64_t outputs_ = 0, image_bytes_ = 0;
  std::vector<float> logits_;  ///< of the original
  double variance_ = 0;
};

}  // namespace xdn
