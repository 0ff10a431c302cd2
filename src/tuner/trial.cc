#include "tuner/trial.h"

#include <algorithm>

#include "base/error.h"
#include "base/sha256.h"
#include "evaluator/evaluate.h"
#include "evaluator/latency.h"
#include "evaluator/resources.h"

namespace xdn::tuner {
namespace {

constexpr int64_t kMostSlots = 1'000'000;
/// Images of a tile that bring a worker's weights and code back into its caches.
constexpr int64_t kWarmImages = 4;

}  // namespace

Json TrialServer::handle(const Json& request) {
  const std::string op = text_member(request, "op");
  if (op == "plan") return plan(request);
  if (op == "drop") {
    slots_.erase(whole_member(request, "slot", 0, kMostSlots));
    return nullptr;
  }
  Executor& executor = slot(request);
  if (op == "accuracy") return accuracy(executor);
  const int64_t images = whole_member(request, "images", 1, workload_.n_images);
  if (op == "time") return time(executor, images);
  if (op == "profile") return profile(executor, images);
  if (op == "digest") return digest(executor, images);
  throw input_error("no such operation: " + printable(op));
}

Executor& TrialServer::slot(const Json& request) {
  const auto found = slots_.find(whole_member(request, "slot", 0, kMostSlots));
  XDN_CHECK(found != slots_.end());
  return *found->second;
}

Json TrialServer::plan(const Json& request) {
  const int64_t slot = whole_member(request, "slot", 0, kMostSlots);
  slots_.erase(slot);
  ExecOptions options = apply(parse_settings(member(request, "settings")), workload_.exec);
  if (workload_.scenario == Scenario::kSingleStream) options.batch_hint = 1;
  auto executor = std::make_unique<Executor>(*workload_.graph, std::move(options));
  const ExecSettings& chosen = executor->settings();
  Json layers = Json::array();
  int64_t bytes = executor->arena_bytes() * chosen.data_parallel;
  for (const StepReport& step : executor->steps()) {
    bytes += step.weight_bytes;
    layers.push_back({{"layer", step.layer},
                      {"panel", step.layout.panel_vectors},
                      {"order", order_name(step.layout.order)}});
  }
  logits_.resize(static_cast<size_t>(
      element_count({std::max<int64_t>(workload_.n_images, 1), executor->output_size()}, sizeof(float))));
  slots_[slot] = std::move(executor);
  return {{"isa", isa_name(chosen.isa)},
          {"precision", chosen_precision_name(chosen)},
          {"data_parallel", chosen.data_parallel},
          {"model_parallel", chosen.model_parallel},
          {"batch_tile", chosen.batch_tile},
          {"bytes", bytes},
          {"layers", std::move(layers)}};
}

/// The slice before has left another plan's weights in the caches.
void TrialServer::warm(Executor& executor) {
  const ExecSettings& settings = executor.settings();
  const int64_t tile = std::min<int64_t>(settings.batch_tile, kWarmImages);
  const int64_t images = std::min(workload_.n_images, tile * settings.data_parallel);
  executor.run_u8({.data = workload_.images, .fill = {}}, images, logits_.data());
}

double TrialServer::time(Executor& executor, int64_t images) {
  warm(executor);
  if (workload_.scenario == Scenario::kOffline) {
    const Stopwatch watch;
    executor.run_u8({.data = workload_.images, .fill = {}}, images, logits_.data());
    return watch.seconds() / static_cast<double>(images);
  }
  std::vector<double> seconds;
  for (int64_t i = 0; i < images; ++i) {
    const Stopwatch watch;
    executor.run_u8({.data = workload_.images + i * workload_.image_bytes, .fill = {}}, 1, logits_.data());
    seconds.push_back(watch.seconds());
  }
  return percentile(std::move(seconds), 90);
}

Json TrialServer::profile(Executor& executor, int64_t images) {
  executor.start_profile();
  (void)time(executor, images);
  Json seconds = Json::array();
  for (const StepReport& step : executor.steps()) seconds.push_back(step.seconds);
  return seconds;
}

std::string TrialServer::digest(Executor& executor, int64_t images) {
  executor.run_u8({.data = workload_.images, .fill = {}}, images, logits_.data());
  return sha256_hex(logits_.data(), static_cast<size_t>(images * executor.output_size()) * sizeof(float));
}

Json TrialServer::accuracy(Executor& executor) {
  XDN_CHECK(workload_.labelled != nullptr && !workload_.labels.empty());
  check_labels(workload_.labels, executor.output_size());
  const Evaluation result = evaluate(executor, {.data = workload_.labelled, .fill = {}}, workload_.labels,
                                     workload_.image_bytes, {});
  return {{"images", result.accuracy.images()}, {"correct", result.accuracy.correct()}};
}

}  // namespace xdn::tuner
