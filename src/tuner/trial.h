#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>

#include "tuner/settings.h"

namespace xdn::tuner {

/// What trials work on: a model and images, loaded once.
struct Workload {
  const Graph* graph = nullptr;
  ExecOptions exec;  ///< what is not tuned
  Scenario scenario = Scenario::kOffline;
  const uint8_t* images = nullptr;
  int64_t n_images = 0, image_bytes = 0;
  /// Labelled images, for accuracy; may be empty.
  const uint8_t* labelled = nullptr;
  std::span<const int64_t> labels;
};

/// Runs in the child: plans settings into numbered slots, and times them.
///
///   {"op": "plan", "slot", "settings"}  -> "isa", "precision", "data_parallel", "model_parallel",
///                                          "batch_tile", "bytes", "layers": [{"layer", "panel", "order"}]
///   {"op": "drop", "slot"}              -> null
///   {"op": "time", "slot", "images"}    -> seconds per image, or the 90th percentile of one image's
///   {"op": "profile", "slot", "images"} -> [seconds of each step]
///   {"op": "digest", "slot", "images"}  -> SHA-256 of the logits
///   {"op": "accuracy", "slot"}          -> "images", "correct"
class TrialServer {
 public:
  explicit TrialServer(const Workload& workload) : workload_(workload) {}

  Json handle(const Json& request);

 private:
  Json plan(const Json& request);
  double time(Executor& executor, int64_t images);
  Json profile(Executor& executor, int64_t images);
  std::string digest(Executor& executor, int64_t images);
  Json accuracy(Executor& executor);
  Executor& slot(const Json& request);
  void warm(Executor& executor);

  const Workload& workload_;
  std::map<int64_t, std::unique_ptr<Executor>> slots_;
  std::vector<float> logits_;
};

}  // namespace xdn::tuner
