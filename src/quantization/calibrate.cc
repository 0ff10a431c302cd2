#include "quantization/calibrate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <limits>
#include <memory>
#include <mutex>
#include <numeric>

#include "base/cpu.h"
#include "base/error.h"
#include "base/thread_pool.h"

namespace xdn {
namespace {

/// Images between two accumulations; also the executor's tile, on which the order of float sums depends.
constexpr int64_t kImagesAtOnce = 32;
constexpr int64_t kMostBytes = int64_t{1} << 30;

/// Calls use(first, count) for this part's rows of the value.
template <class Use>
void for_rows(const ObservedValue& value, int part, int parts, Use use) {
  const int64_t positions = value.height * value.width;
  const int64_t first = positions * part / parts, last = positions * (part + 1) / parts;
  for (int64_t p = first; p < last; ++p) {
    for (int64_t i = 0; i < value.images; ++i)
      use(value.data + p * value.position_stride + i * value.image_stride, value.channels);
  }
}

struct Extremes {
  Range range{std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()};
  bool finite = true;

  void add(const float* values, int64_t count) {
    float low = range.low, high = range.high, sum = 0;
    for (int64_t i = 0; i < count; ++i) {
      low = std::min(low, values[i]);
      high = std::max(high, values[i]);
      sum += values[i] * 0;  // NaN where a value is NaN or infinite
    }
    range = {low, high};
    finite = finite && sum == 0;
  }
};

/// Runs task(i) for i < count on all threads; the first exception is thrown here.
template <class Task>
void for_each(int threads, size_t count, Task task) {
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::exception_ptr error;
  ThreadPool pool(threads);
  pool.run([&](int) {
    for (size_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) {
      try {
        task(i);
      } catch (...) {
        const std::lock_guard<std::mutex> lock(mutex);
        if (!error) error = std::current_exception();
      }
    }
  });
  if (error) std::rethrow_exception(error);
}

/// Layers, as indices, in rounds whose collectors fit into memory together.
std::vector<std::vector<size_t>> rounds_of(const Graph& graph, const std::vector<LinearLayer>& layers,
                                           int64_t images) {
  std::vector<std::vector<size_t>> rounds(1);
  int64_t held = 0;
  for (size_t i = 0; i < layers.size(); ++i) {
    const int64_t bytes = MomentCollector::bytes(graph, layers[i], images, kImagesAtOnce);
    if (!rounds.back().empty() && held + bytes > kMostBytes) {
      rounds.emplace_back();
      held = 0;
    }
    rounds.back().push_back(i);
    held += bytes;
  }
  return rounds;
}

}  // namespace

int Calibration::threads() const {
  return images_.threads > 0 ? std::min(images_.threads, available_cpus()) : available_cpus();
}

Executor Calibration::observe(const std::vector<std::string>& values) const {
  ExecOptions options;
  options.fusion = FusionLevel::kOff;
  options.model_parallel = options.threads = threads();
  options.batch_tile = static_cast<int>(kImagesAtOnce);
  options.pixels = images_.pixels;
  options.observed = values;
  return Executor(graph_, std::move(options));
}

void Calibration::run(Executor& executor, int64_t first, int64_t count, const Observer& observer) const {
  const int64_t bytes = element_count(executor.input_shape());
  executor.run_observed({.data = images_.data + first * bytes, .fill = {}}, count, observer, done);
}

std::map<std::string, ValueRange> Calibration::ranges(const std::vector<std::string>& values,
                                                      RangeMethod method) const {
  Executor executor = observe(values);
  const auto parts = static_cast<size_t>(executor.settings().model_parallel);
  std::vector<Extremes> extremes(values.size() * parts);
  run(executor, 0, images_.count, [&](const ObservedValue& value, int part, int of) {
    Extremes& mine = extremes[value.index * parts + static_cast<size_t>(part)];
    for_rows(value, part, of, [&](const float* row, int64_t count) { mine.add(row, count); });
  });
  std::vector<Histogram> histograms;
  for (size_t i = 0; i < values.size(); ++i) {
    Extremes all = extremes[i * parts];
    for (size_t p = 1; p < parts; ++p) {
      const Extremes& more = extremes[i * parts + p];
      all.range = {std::min(all.range.low, more.range.low), std::max(all.range.high, more.range.high)};
      all.finite = all.finite && more.finite;
    }
    if (!all.finite) {
      throw input_error(
          fmt::format("value '{}' is NaN or infinite on a calibration image", printable(values[i])));
    }
    if (all.range.low > all.range.high)
      throw input_error(fmt::format("value '{}' has no elements", printable(values[i])));
    histograms.insert(histograms.end(), parts, Histogram(all.range));
  }
  run(executor, 0, images_.count, [&](const ObservedValue& value, int part, int of) {
    Histogram& mine = histograms[value.index * parts + static_cast<size_t>(part)];
    for_rows(value, part, of, [&](const float* row, int64_t count) { mine.add(row, count); });
  });
  std::map<std::string, ValueRange> out;
  for (size_t i = 0; i < values.size(); ++i) {
    Histogram& all = histograms[i * parts];
    for (size_t p = 1; p < parts; ++p) all.merge(histograms[i * parts + p]);
    out[values[i]] = {all.range(), choose_range(all, method)};
  }
  return out;
}

void Calibration::moments(const std::vector<LinearLayer>& layers,
                          const std::function<void(const LinearLayer&, InputMoments)>& use) const {
  for (const std::vector<size_t>& round : rounds_of(graph_, layers, images_.count)) {
    std::vector<MomentCollector> collectors;
    std::vector<std::string> values;
    std::vector<std::vector<size_t>> readers;  // collectors, by value
    for (const size_t i : round) {
      const std::string& name = graph_.value(layers[i].src).name;
      const auto found = std::find(values.begin(), values.end(), name);
      if (found == values.end()) readers.emplace_back();
      readers[static_cast<size_t>(found - values.begin())].push_back(collectors.size());
      if (found == values.end()) values.push_back(name);
      collectors.emplace_back(graph_, layers[i], images_.count, kImagesAtOnce);
    }
    // The most laborious first: the threads finish together.
    std::vector<size_t> order(collectors.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return collectors[a].work() > collectors[b].work(); });
    Executor executor = observe(values);
    for (int64_t first = 0; first < images_.count; first += kImagesAtOnce) {
      const int64_t count = std::min(kImagesAtOnce, images_.count - first);
      run(executor, first, count, [&](const ObservedValue& value, int part, int parts) {
        for (const size_t c : readers[value.index]) collectors[c].gather(value, part, parts);
      });
      for_each(threads(), order.size(), [&](size_t i) { collectors[order[i]].accumulate(count); });
    }
    for_each(threads(), order.size(),
             [&](size_t i) { use(layers[round[order[i]]], collectors[order[i]].finish()); });
  }
}

int64_t Calibration::rounds(const std::vector<LinearLayer>& layers) const {
  return static_cast<int64_t>(rounds_of(graph_, layers, images_.count).size());
}

}  // namespace xdn
