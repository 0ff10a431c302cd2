#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace xdn::tuner {

enum class Status : uint8_t { kOk, kFailed, kTimeout, kMemory };
const char* status_name(Status status);  ///< "ok", "failed", "timeout", "memory"
Status parse_status(const std::string& name);

/// What was seen of one candidate.
struct Trial {
  Status status = Status::kOk;
  std::string reason;             ///< where it failed
  std::vector<double> seconds;    ///< of its slices of work
  std::vector<double> reference;  ///< of the defaults' slice just before each of them

  bool ok() const { return status == Status::kOk && !seconds.empty(); }
  /// Its time to that of the defaults: the lower quartile of each. Whatever else runs on the machine only
  /// adds time, so the quick slices tell most, and the single quickest may be luck. Of up to four slices it
  /// is the quickest. Infinite where there is none or it failed.
  double ratio() const;
  void append(const Trial& more);
};

/// Measures the candidates in turn, `rounds` times each, every round beginning with the defaults. `stage`
/// and the candidate name the trial. Candidates that after a round took more than `give_up` times as long as
/// the defaults need no further ones. An empty result: the search was stopped.
struct Request {
  std::string stage;
  std::vector<size_t> candidates;
  int rounds = 1;
  double give_up = 1e9;
};
using Measure = std::function<std::vector<Trial>(const Request& request)>;

struct SearchOptions {
  size_t group = 6;      ///< candidates measured together
  int grid_rounds = 40;  ///< of every candidate, in passes of kPassRounds
  /// A candidate's score by its time's ratio; less is better. Empty: the ratio.
  std::function<double(size_t candidate, double ratio)> score;
  std::function<bool()> stopped;               ///< asked between groups
  std::function<void(double share)> progress;  ///< of the work that is done
};
inline constexpr int kPassRounds = 5;

struct SearchResult {
  std::vector<Trial> trials;  ///< by candidate; those of the defaults (candidate 0) are empty
  size_t best = 0;            ///< the least score; 0 where nothing beats the defaults
  bool complete = false;      ///< it was not stopped
};

/// Every candidate 1 ... n - 1 has all rounds.
SearchResult grid_search(size_t n, const SearchOptions& options, const Measure& measure);

/// Successive halving (Karnin, Koren, Somekh 2013; Jamieson, Talwalkar 2016) by thirds: all candidates have
/// two rounds, the best third two more, the best ninth four more, and the last three eight more.
SearchResult halving_search(size_t n, const SearchOptions& options, const Measure& measure);

/// Seconds of a comparison in turn, pair by pair: the median of a[i] / b[i], and twice the standard error of
/// that median, from the median of absolute deviations.
struct PairedRatio {
  double ratio = 1, noise = 0;
};
PairedRatio paired_ratio(std::span<const double> a, std::span<const double> b);

}  // namespace xdn::tuner
