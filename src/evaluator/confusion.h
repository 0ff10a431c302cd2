#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

namespace xdn {

/// How often images of one class were taken for another. Memory grows with the pairs that occur, not with
/// the square of the classes.
class Confusion {
 public:
  /// Of as many predictions as labels. Labels are in [0, classes), predictions too, or -1: no class.
  Confusion(int64_t classes, std::span<const int64_t> labels, std::span<const int64_t> predictions);

  int64_t classes() const { return static_cast<int64_t>(images_.size()); }
  /// Images of class `label` that were predicted as `predicted`.
  int64_t count(int64_t label, int64_t predicted) const;
  int64_t images(int64_t label) const { return images_[static_cast<size_t>(label)]; }
  int64_t correct(int64_t label) const { return count(label, label); }
  /// 0 for a class without images.
  double accuracy(int64_t label) const;
  /// Images without a prediction.
  int64_t unpredicted() const { return unpredicted_; }

  /// At most `most` classes with a wrong image, the least accurate first, lower ones first among equals.
  std::vector<int64_t> worst(size_t most) const;

  struct Mistake {
    int64_t label, predicted, count;
  };
  /// At most `most` pairs of different classes, the most frequent first.
  std::vector<Mistake> mistakes(size_t most) const;

 private:
  std::map<std::pair<int64_t, int64_t>, int64_t> counts_;  ///< by label and prediction
  std::vector<int64_t> images_;                            ///< by label
  int64_t unpredicted_ = 0;
};

}  // namespace xdn
