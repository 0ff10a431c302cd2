#include "cli/optimize_measure.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "evaluator/evaluate.h"
#include "evaluator/latency.h"
#include "evaluator/resources.h"

namespace xdn::cli {
namespace {

constexpr int kTurns = 9;
constexpr double kTurnSeconds = 0.15;  // long enough for the clock, short enough that both meet what disturbs

}  // namespace

Scale::Scale(const ModelInput& original, const std::string& path, bool verify, int threads,
             bool single_stream)
    : original_(original),
      images_(path, original, Split::kAuto, verify),
      threads_(threads),
      single_stream_(single_stream) {
  ExecOptions exec;
  exec.threads = threads;
  try {
    judge_.emplace(original.graph, LabelledImages{images_.data(), images_.labels(), images_.pixels(), exec});
  } catch (Error& error) {
    if (error.layer().empty()) error.in_file(path);
    throw;
  }
}

Paired Scale::measure_original() { return measure(original_.graph); }

Paired Scale::measure(const std::string& file) {
  const ModelInput model = load_model_input(file, {});
  try {
    return measure(model.graph);
  } catch (Error& error) {
    throw error.in_file(file);
  }
}

Paired Scale::measure(const Graph& graph) {
  Paired paired;
  paired.verdict = judge_->judge(graph);
  ExecOptions exec;
  exec.threads = threads_;
  exec.pixels = images_.pixels();
  if (single_stream_) exec.batch_hint = 1;
  Executor other(graph, exec);
  exec.precision = Precision::kFp32;
  Executor given(original_.graph, exec);
  const int64_t image_bytes = original_.image_bytes();
  std::vector<float> logits(static_cast<size_t>(images_.size() * given.output_size()));
  // Seconds per image of n images, `times` over.
  const auto timed = [&](Executor& executor, int64_t n, int64_t times = 1) {
    const Stopwatch watch;
    for (int64_t time = 0; time < times; ++time) {
      if (!single_stream_) executor.run_u8({.data = images_.data(), .fill = {}}, n, logits.data());
      for (int64_t i = 0; single_stream_ && i < n; ++i)
        executor.run_u8({.data = images_.data() + i * image_bytes, .fill = {}}, 1, logits.data());
    }
    return std::max(watch.seconds(), 1e-9) / static_cast<double>(n * times);
  };
  const int64_t few = std::min<int64_t>(images_.size(), single_stream_ ? 8 : 64);
  // Turns of equal time: what disturbs a short one more than a long one would pass for speed.
  struct Turn {
    int64_t images, times;
  };
  const auto turn_of = [&](Executor& executor) {
    (void)timed(executor, few);
    const double images = kTurnSeconds / timed(executor, few);
    const int64_t n = std::clamp<int64_t>(static_cast<int64_t>(images), 1, images_.size());
    return Turn{n, std::max<int64_t>(static_cast<int64_t>(images) / n, 1)};
  };
  const Turn of_given = turn_of(given), of_other = turn_of(other);
  std::vector<double> ratios, seconds;
  for (int turn = 0; turn < kTurns; ++turn) {
    seconds.push_back(timed(given, of_given.images, of_given.times));
    ratios.push_back(seconds.back() / timed(other, of_other.images, of_other.times));
  }
  paired.speed = median(ratios);
  paired.original_seconds = median(seconds);
  return paired;
}

}  // namespace xdn::cli
