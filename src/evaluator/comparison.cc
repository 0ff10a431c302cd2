#include "evaluator/comparison.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "evaluator/accuracy.h"

namespace xdn {
namespace {

double error_of(float a, float b) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return 0;
  const double difference = std::abs(static_cast<double>(a) - static_cast<double>(b));
  return std::isnan(difference) ? std::numeric_limits<double>::infinity() : difference;
}

bool all_finite(std::span<const float> x) {
  return std::all_of(x.begin(), x.end(), [](float v) { return std::isfinite(v); });
}

bool tied(std::span<const float> logits, int64_t i, int64_t j) {
  double largest = 0;
  for (const float x : logits) largest = std::max(largest, std::abs(static_cast<double>(x)));
  const double x = logits[static_cast<size_t>(i)], y = logits[static_cast<size_t>(j)];
  return std::abs(x - y) <= kTie * largest;
}

}  // namespace

void ErrorStats::add(std::span<const float> a, std::span<const float> b) {
  XDN_CHECK(a.size() == b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    const double error = error_of(a[i], b[i]);
    if (error > max_) {
      max_ = error;
      max_at_ = count_ + static_cast<int64_t>(i);
    }
    sum_ += error;
    if (std::isfinite(a[i])) largest_ = std::max(largest_, std::abs(static_cast<double>(a[i])));
  }
  count_ += static_cast<int64_t>(a.size());
}

double ErrorStats::relative() const { return max_ == 0 ? 0.0 : max_ / largest_; }

void Comparison::add(std::span<const float> a, std::span<const float> b) {
  errors_.add(a, b);
  ++images_;
  const bool finite_a = all_finite(a), finite_b = all_finite(b);
  if (!finite_a) ++not_finite_a_;
  if (!finite_b) ++not_finite_b_;
  const int64_t top_a = argmax(a), top_b = argmax(b);
  if (top_a == top_b) return;
  ++flips_;
  if (finite_a && finite_b && tied(a, top_a, top_b) && tied(b, top_a, top_b)) ++ties_;
}

void Comparison::add(std::span<const float> a, std::span<const float> b, int64_t label) {
  add(a, b);
  const bool right_a = in_top_k(a, label, 1), right_b = in_top_k(b, label, 1);
  correct_a_ += right_a ? 1 : 0;
  correct_b_ += right_b ? 1 : 0;
  right_to_wrong_ += right_a && !right_b ? 1 : 0;
  wrong_to_right_ += !right_a && right_b ? 1 : 0;
}

double mcnemar_p(int64_t b, int64_t c) {
  const int64_t n = b + c, fewer = std::min(b, c);
  if (2 * fewer + 1 >= n) return 1;
  const double log_half_power = -static_cast<double>(n) * std::log(2.0);
  const auto log_factorial = [](int64_t k) { return std::lgamma(static_cast<double>(k) + 1); };
  double tail = 0;
  for (int64_t k = 0; k <= fewer; ++k)
    tail += std::exp(log_factorial(n) - log_factorial(k) - log_factorial(n - k) + log_half_power);
  return std::min(1.0, 2 * tail);
}

}  // namespace xdn
