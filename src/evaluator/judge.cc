#include "evaluator/judge.h"

#include <algorithm>

#include "base/error.h"
#include "evaluator/evaluate.h"
#include "evaluator/latency.h"
#include "evaluator/resources.h"

namespace xdn {
namespace {

double variance_of(std::span<const float> values) {
  double sum = 0, squares = 0;
  for (const float x : values) {
    sum += static_cast<double>(x);
    squares += static_cast<double>(x) * static_cast<double>(x);
  }
  const double n = std::max<double>(1, static_cast<double>(values.size()));
  return std::max(0.0, squares / n - sum / n * (sum / n));
}

}  // namespace

double Verdict::accuracy() const {
  return static_cast<double>(comparison.correct_b()) / static_cast<double>(comparison.images());
}

double Verdict::original_accuracy() const {
  return static_cast<double>(comparison.correct_a()) / static_cast<double>(comparison.images());
}

Judge::Judge(Graph original, LabelledImages images)
    : images_(std::move(images)), original_(std::move(original)) {
  Executor executor = plan(original_, true);
  outputs_ = executor.output_size();
  image_bytes_ = element_count(executor.input_shape());
  check_labels(images_.labels, outputs_);
  logits_.resize(static_cast<size_t>(element_count({size(), outputs_}, sizeof(float))));
  executor.run_u8({.data = images_.data, .fill = {}}, size(), logits_.data());
  variance_ = variance_of(logits_);
}

Executor Judge::plan(Graph model, bool original) const {
  ExecOptions options = images_.exec;
  options.pixels = images_.pixels;
  options.precision.reset();
  if (original) options.precision = Precision::kFp32;
  return Executor(std::move(model), std::move(options));
}

Verdict Judge::judge(Graph model, int64_t most) {
  const int64_t n = most > 0 ? std::min(most, size()) : size();
  Executor executor = plan(std::move(model), false);
  if (executor.output_size() != outputs_) {
    throw input_error("gives " + std::to_string(executor.output_size()) + " numbers per image, expected " +
                      std::to_string(outputs_));
  }
  std::vector<float> logits(static_cast<size_t>(n * outputs_));
  warm_up(executor, image_bytes_, n);
  const Stopwatch watch;
  executor.run_u8({.data = images_.data, .fill = {}}, n, logits.data(), done);
  Verdict verdict;
  verdict.images_per_second = static_cast<double>(n) / std::max(watch.seconds(), 1e-9);
  double squares = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    const double difference = static_cast<double>(logits[i]) - static_cast<double>(logits_[i]);
    squares += difference * difference;
  }
  verdict.logit_error = squares / static_cast<double>(logits.size()) / std::max(variance_, 1e-30);
  const auto width = static_cast<size_t>(outputs_);
  for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
    verdict.comparison.add(std::span(logits_).subspan(i * width, width),
                           std::span<const float>(logits).subspan(i * width, width), images_.labels[i]);
  }
  return verdict;
}

double Judge::speed_ratio(Graph model) {
  // Runs long enough for the clock, short enough that both meet the same disturbances.
  constexpr int kPairs = 7;
  constexpr double kSeconds = 0.15;
  Executor given = plan(original_, true), other = plan(std::move(model), false);
  const auto timed = [&](Executor& executor, int64_t n) {
    std::vector<float> logits(static_cast<size_t>(n * outputs_));
    const Stopwatch watch;
    executor.run_u8({.data = images_.data, .fill = {}}, n, logits.data());
    return std::max(watch.seconds(), 1e-9);
  };
  const int64_t few = std::min<int64_t>(size(), 64);
  (void)timed(other, few);
  (void)timed(given, few);
  const double per_image = timed(given, few) / static_cast<double>(few);
  const int64_t n = std::clamp<int64_t>(static_cast<int64_t>(kSeconds / per_image), 1, size());
  std::vector<double> ratios;
  for (int pair = 0; pair < kPairs; ++pair) {
    const double seconds = timed(given, n);
    ratios.push_back(seconds / timed(other, n));
  }
  return median(ratios);
}

}  // namespace xdn
