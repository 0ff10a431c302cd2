#include "evaluator/accuracy.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace xdn {
namespace {

bool has_nan(std::span<const float> logits) {
  return std::any_of(logits.begin(), logits.end(), [](float x) { return std::isnan(x); });
}

}  // namespace

int64_t argmax(std::span<const float> logits) {
  if (logits.empty() || has_nan(logits)) return -1;
  return std::max_element(logits.begin(), logits.end()) - logits.begin();
}

std::vector<int64_t> top_k(std::span<const float> logits, int64_t k) {
  if (k <= 0 || has_nan(logits)) return {};
  std::vector<int64_t> order(logits.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  const auto kept = std::min(static_cast<size_t>(k), order.size());
  const auto better = [&](int64_t a, int64_t b) {
    const float x = logits[static_cast<size_t>(a)], y = logits[static_cast<size_t>(b)];
    return x > y || (x == y && a < b);
  };
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(kept), order.end(), better);
  order.resize(kept);
  return order;
}

bool in_top_k(std::span<const float> logits, int64_t label, int64_t k) {
  if (label < 0 || label >= static_cast<int64_t>(logits.size())) return false;
  const auto at = static_cast<size_t>(label);
  int64_t before = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (std::isnan(logits[i])) return false;
    if (logits[i] > logits[at] || (logits[i] == logits[at] && i < at)) ++before;
  }
  return before < k;
}

std::vector<double> softmax(std::span<const float> logits) {
  std::vector<double> out(logits.size());
  if (logits.empty()) return out;
  if (has_nan(logits)) {
    std::fill(out.begin(), out.end(), std::numeric_limits<double>::quiet_NaN());
    return out;
  }
  const double most = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    const double logit = logits[i];
    // An infinite maximum takes all of the mass; inf - inf would be NaN.
    out[i] = logit == most ? 1.0 : std::isinf(most) ? 0.0 : std::exp(logit - most);
    sum += out[i];
  }
  for (double& x : out) x /= sum;
  return out;
}

int64_t Accuracy::add(std::span<const float> logits, int64_t label) {
  const int64_t prediction = argmax(logits);
  ++images_;
  if (prediction >= 0 && prediction == label) ++correct_;
  if (in_top_k(logits, label, 5)) ++correct_top5_;
  return prediction;
}

Interval wilson_interval(int64_t correct, int64_t images) {
  if (images <= 0) return {0, 1};
  constexpr double kZ = 1.959963984540054;  // the normal distribution's 97.5 % quantile
  const auto n = static_cast<double>(images);
  const double share = static_cast<double>(correct) / n, z2 = kZ * kZ / n;
  const double middle = (share + z2 / 2) / (1 + z2);
  const double half = kZ * std::sqrt(share * (1 - share) / n + z2 / (4 * n)) / (1 + z2);
  // At the ends the interval touches 0 or 1 exactly, which rounding would miss.
  return {correct == 0 ? 0.0 : middle - half, correct == images ? 1.0 : middle + half};
}

}  // namespace xdn
