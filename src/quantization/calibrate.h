#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "executor/executor.h"
#include "graph/graph.h"
#include "quantization/histogram.h"
#include "quantization/moments.h"
#include "quantization/ranges.h"

namespace xdn {

/// Images that stand for what a model will see.
struct CalibrationImages {
  const uint8_t* data = nullptr;  ///< count images of height x width x channels bytes
  int64_t count = 0;
  PixelMap pixels;
  int threads = 0;  ///< 0: as many as there are
};

/// Runs the graph in f32, unfused, and shows what happens inside. The same images give the same results to
/// the bit, whatever the number of threads.
class Calibration {
 public:
  Calibration(Graph graph, CalibrationImages images) : graph_(std::move(graph)), images_(std::move(images)) {}

  /// Counts images as they are run; ranges() runs each twice, moments() once per round().
  std::atomic<int64_t>* done = nullptr;

  /// The ranges of these values. Input error naming the value where one is NaN or infinite.
  std::map<std::string, ValueRange> ranges(const std::vector<std::string>& values, RangeMethod method) const;

  /// Calls use(layer, moments) for each of the layers, by several threads at once; at most about kMostBytes
  /// of moments are held at a time, for which the images may be run more than once.
  void moments(const std::vector<LinearLayer>& layers,
               const std::function<void(const LinearLayer& layer, InputMoments moments)>& use) const;
  /// How often moments() will run the images.
  int64_t rounds(const std::vector<LinearLayer>& layers) const;

 private:
  Executor observe(const std::vector<std::string>& values) const;
  void run(Executor& executor, int64_t first, int64_t count, const Observer& observer) const;
  int threads() const;

  Graph graph_;
  CalibrationImages images_;
};

}  // namespace xdn
