#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "tuner/search_state.h"

namespace xdn::tuner {

SearchResult grid_search(size_t n, const SearchOptions& options, const Measure& measure) {
  SearchState state(n, options, measure);
  std::vector<size_t> all_candidates(n - 1);
  std::iota(all_candidates.begin(), all_candidates.end(), size_t{1});
  state.set_contenders(std::move(all_candidates));
  const int passes = std::max(1, options.grid_rounds / kPassRounds);
  const double all = static_cast<double>(n - 1) * passes;
  for (size_t first = 1; first < n; first += options.group) {
    std::vector<size_t> group;
    for (size_t c = first; c < std::min(n, first + options.group); ++c) group.push_back(c);
    for (int pass = 0; pass < passes; ++pass) {
      const double share = static_cast<double>(group.size()) / all;
      if (!state.stage({fmt::format("grid {}", pass), group, kPassRounds}, share)) return state.finish(false);
    }
  }
  return state.finish(true);
}

}  // namespace xdn::tuner
