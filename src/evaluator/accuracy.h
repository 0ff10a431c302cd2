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
  /// Also counts labels among the five largest logits.
  void add(std::span<const float> logits, int64_t label);

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

}  // namespace xdn
