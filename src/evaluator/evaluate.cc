#include "evaluator/evaluate.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/error.h"
#include "evaluator/resources.h"

namespace xdn {
namespace {

/// Of one run, where the caller leaves the batch open.
constexpr int64_t kMostLogitBytes = int64_t{256} << 20;

}  // namespace

void check_labels(std::span<const int64_t> labels, int64_t outputs) {
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] >= 0 && labels[i] < outputs) continue;
    throw input_error("image " + std::to_string(i) + " has the label " + std::to_string(labels[i]) +
                      ", expected one of the model's " + std::to_string(outputs) + " outputs");
  }
}

Evaluation evaluate(Executor& executor, const ImageSource& images, std::span<const int64_t> labels,
                    int64_t image_bytes, const EvaluateOptions& options) {
  const auto n = static_cast<int64_t>(labels.size());
  const int64_t outputs = executor.output_size();
  XDN_CHECK(outputs > 0 && image_bytes > 0 && options.batch >= 0);
  const int64_t row_bytes = outputs * static_cast<int64_t>(sizeof(float));
  const int64_t batch =
      std::min(n, options.batch > 0 ? options.batch : std::max<int64_t>(1, kMostLogitBytes / row_bytes));
  const int64_t kept = options.keep_logits ? n : batch;
  std::vector<float> logits(static_cast<size_t>(element_count({kept, outputs}, sizeof(float))));
  Evaluation result;
  if (options.keep_predictions) result.predictions.reserve(labels.size());

  const Stopwatch watch;
  for (int64_t first = 0; first < n; first += batch) {
    const int64_t count = std::min(batch, n - first);
    ImageSource part;
    if (images.data != nullptr) {
      part.data = images.data + first * image_bytes;
    } else {
      part.fill = [&](int64_t at, int64_t images_of_tile, uint8_t* dst) {
        images.fill(first + at, images_of_tile, dst);
      };
    }
    float* rows = logits.data() + (options.keep_logits ? first * outputs : 0);
    executor.run_u8(part, count, rows, options.done);
    for (int64_t i = 0; i < count; ++i) {
      const std::span<const float> row(rows + i * outputs, static_cast<size_t>(outputs));
      const int64_t prediction = result.accuracy.add(row, labels[static_cast<size_t>(first + i)]);
      if (options.keep_predictions) result.predictions.push_back(prediction);
    }
  }
  result.seconds_total = watch.seconds();
  if (options.keep_logits) result.logits = std::move(logits);
  return result;
}

WarmUp warm_up(Executor& executor, int64_t image_bytes, int64_t most_images) {
  const ExecSettings& settings = executor.settings();
  const int64_t tiles = std::max<int64_t>(1, int64_t{settings.data_parallel} * settings.batch_tile);
  const int64_t n = std::max<int64_t>(1, std::min(tiles, most_images));
  const std::vector<uint8_t> black(static_cast<size_t>(element_count({n, image_bytes})));
  std::vector<float> logits(static_cast<size_t>(element_count({n, executor.output_size()}, sizeof(float))));
  const Stopwatch watch;
  executor.run_u8({.data = black.data(), .fill = {}}, n, logits.data());
  return {n, watch.seconds()};
}

}  // namespace xdn
