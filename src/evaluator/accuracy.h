#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace xdn {

/// Index of the largest logit, the lowest one among equals; -1 where a logit is NaN or there are none.
int64_t argmax(std::span<const float> logits);

/// The k largest logits' indices, best first, lower indices first among equals; fewer than k where there are
/// fewer logits, none where a logit is NaN.
std::vector<int64_t> top_k(std::span<const float> logits, int64_t k);

/// Whether label is among top_k(logits, k); false for a label that is no index of logits.
bool in_top_k(std::span<const float> logits, int64_t label, int64_t k);

/// exp(logit) / sum of exp, in double, shifted by the maximum. All NaN where a logit is NaN.
std::vector<double> softmax(std::span<const float> logits);

/// Counts of a data set's predictions; images whose logits hold a NaN count as wrong.
class Accuracy {
 public:
  /// Also counts labels among the five largest logits. Returns the prediction: argmax(logits).
  int64_t add(std::span<const float> logits, int64_t label);

  int64_t images() const { return images_; }
  int64_t correct() const { return correct_; }
  int64_t correct_top5() const { return correct_top5_; }
  double top1() const { return ratio(correct_); }
  double top5() const { return ratio(correct_top5_); }

 private:
  double ratio(int64_t count) const {
    return images_ == 0 ? 0.0 : static_cast<double>(count) / static_cast<double>(images_);
  }
  int64_t images_ = 0, correct_ = 0, correct_top5_ = 0;
};

struct Interval {
  double lo = 0, hi = 0;
};
/// Where the share that `correct` of `images` estimates lies with 95 % confidence: Wilson's score interval
/// (Wilson 1927), which holds near 0 and 1 too. {0, 1} without images.
Interval wilson_interval(int64_t correct, int64_t images);

}  // namespace xdn
