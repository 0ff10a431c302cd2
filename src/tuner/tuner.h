#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tuner/journal.h"
#include "tuner/search.h"
#include "tuner/settings.h"
#include "tuner/trial.h"

namespace xdn::tuner {

enum class SearchKind : uint8_t { kHalving, kGrid };
const char* search_name(SearchKind kind);

/// What the best is. Time: the fastest whose accuracy is at least the floor. Weighted: the least time, as a
/// multiple of the defaults', plus the weight times the points of accuracy lost. Pareto: time for every
/// precision, and the front of time and accuracy.
enum class ScoreKind : uint8_t { kTime, kWeighted, kPareto };

struct TuneOptions {
  SearchKind search = SearchKind::kHalving;
  double budget = 80;  ///< seconds, of everything
  int threads = 1;     ///< that settings may use
  /// Precisions that may be chosen; empty: the file's own.
  std::vector<std::optional<Precision>> precisions{std::nullopt};
  int64_t images = 0;  ///< of a slice of work; 0: as many as take about kSliceSeconds
  ScoreKind score = ScoreKind::kTime;
  double weight = 0;
  std::optional<double> min_accuracy;  ///< in [0, 1]
  double trial_seconds = 0;            ///< until a step of a trial counts as hung; 0: by the defaults' times
  std::function<bool()> stopped;       ///< asked all the time; true: keep the best so far
  std::function<void(double share, const std::string& note)> progress;
  std::function<void()> before_fork;  ///< see WorkerOptions
};
inline constexpr double kSliceSeconds = 0.12;

/// Settings, and what was seen of them.
struct TunePoint {
  Settings settings;
  Status status = Status::kOk;
  std::string reason;
  double ratio = 1;    ///< time to the defaults' time
  double seconds = 0;  ///< per image (offline), or the 90th percentile of an image's (single stream)
  std::optional<double> accuracy;
};

struct TuneResult {
  TunePoint defaults, best;  ///< best is defaults where nothing gains beyond noise
  bool kept_defaults = true;
  bool complete = false;           ///< neither stopped nor out of time before its end
  std::vector<TunePoint> surface;  ///< of the global settings, the defaults first
  std::vector<TunePoint> front;    ///< pareto: fastest first
  std::string isa, precision;      ///< of the defaults
  int64_t slice_images = 0;
  double seconds = 0;  ///< of the search, with what was resumed
  size_t trials = 0, failed = 0, resumed = 0;

  double speedup() const { return best.ratio > 0 ? 1 / best.ratio : 1; }
};

/// Searches for the fastest settings of a workload. Trials run in a child process; those in the journal are
/// not run again. Input error where there is nothing to tune (the oracle), where an accuracy is asked for
/// without labelled images, or where no precision reaches the floor; failure where the defaults cannot be
/// run.
TuneResult tune(const Workload& workload, const TuneOptions& options, Journal& journal);

}  // namespace xdn::tuner
