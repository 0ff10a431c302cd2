#pragma once

#include <algorithm>
#include <limits>

#include "tuner/search.h"

namespace xdn::tuner {

/// What both searches keep: trials, the best so far, the share of the work that is done.
class SearchState {
 public:
  SearchState(size_t n, const SearchOptions& options, const Measure& measure)
      : options_(options), measure_(measure) {
    result_.trials.resize(n);
  }

  /// Only these, and the defaults, can be the best: others have been seen less often.
  void set_contenders(std::vector<size_t> candidates) { contenders_ = std::move(candidates); }

  double score(size_t candidate) const {
    const double ratio = candidate == 0 ? 1 : result_.trials[candidate].ratio();
    if (!options_.score || ratio == std::numeric_limits<double>::infinity()) return ratio;
    return options_.score(candidate, ratio);
  }

  /// One more stage of the group's candidates. False: stopped.
  bool stage(Request request, double share) {
    if (options_.stopped && options_.stopped()) return false;
    std::erase_if(request.candidates, [&](size_t c) { return result_.trials[c].status != Status::kOk; });
    if (request.candidates.empty()) return true;
    const std::vector<Trial> trials = measure_(request);
    if (trials.size() != request.candidates.size()) return false;
    for (size_t i = 0; i < trials.size(); ++i) result_.trials[request.candidates[i]].append(trials[i]);
    done_ += share;
    find_best();
    if (options_.progress) options_.progress(std::min(done_, 1.0));
    return true;
  }

  SearchResult finish(bool complete) {
    find_best();
    result_.complete = complete;
    return std::move(result_);
  }

 private:
  void find_best() {
    result_.best = 0;
    for (const size_t c : contenders_) {
      if (score(c) < score(result_.best)) result_.best = c;
    }
  }

  const SearchOptions& options_;
  const Measure& measure_;
  SearchResult result_;
  std::vector<size_t> contenders_;
  double done_ = 0;
};

}  // namespace xdn::tuner
