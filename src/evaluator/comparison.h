#pragma once

#include <cstdint>
#include <span>

namespace xdn {

/// How far numbers lie from others that stand for the same. Where only one of two is NaN, or infinities
/// differ, the error is infinite; two NaNs are equal.
class ErrorStats {
 public:
  /// As many of a as of b.
  void add(std::span<const float> a, std::span<const float> b);

  int64_t count() const { return count_; }
  double max() const { return max_; }
  /// Where the largest error is, counted over all numbers added; the first among equals.
  int64_t max_at() const { return max_at_; }
  double mean() const { return count_ == 0 ? 0.0 : sum_ / static_cast<double>(count_); }
  /// The largest finite magnitude of a.
  double largest() const { return largest_; }
  /// max() / largest(); 0 where nothing differs.
  double relative() const;

 private:
  int64_t count_ = 0, max_at_ = 0;
  double max_ = 0, sum_ = 0, largest_ = 0;
};

/// Logits of two classes that lie closer than this, relative to the image's largest, are tied: float32
/// arithmetic in another order may swap them.
inline constexpr double kTie = 1e-5;

/// Two models' logits of the same images. A prediction is argmax(); a NaN predicts nothing.
class Comparison {
 public:
  void add(std::span<const float> a, std::span<const float> b);
  void add(std::span<const float> a, std::span<const float> b, int64_t label);

  const ErrorStats& errors() const { return errors_; }
  int64_t images() const { return images_; }
  int64_t flips() const { return flips_; }  ///< predictions differ
  /// Flips between two classes that are tied in both models.
  int64_t ties() const { return ties_; }
  /// Images with a logit that is NaN or infinite, in a or in b.
  int64_t not_finite_a() const { return not_finite_a_; }
  int64_t not_finite_b() const { return not_finite_b_; }

  // Of images added with a label.
  int64_t correct_a() const { return correct_a_; }
  int64_t correct_b() const { return correct_b_; }
  int64_t right_to_wrong() const { return right_to_wrong_; }
  int64_t wrong_to_right() const { return wrong_to_right_; }

 private:
  ErrorStats errors_;
  int64_t images_ = 0, flips_ = 0, ties_ = 0, not_finite_a_ = 0, not_finite_b_ = 0;
  int64_t correct_a_ = 0, correct_b_ = 0, right_to_wrong_ = 0, wrong_to_right_ = 0;
};

/// Exact two-sided McNemar test: the probability of a split at least as uneven of n = b + c discordant
/// images, were either direction as likely. 1 where there are none.
double mcnemar_p(int64_t b, int64_t c);

}  // namespace xdn
