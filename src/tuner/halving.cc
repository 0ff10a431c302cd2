#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <random>

#include "tuner/search_state.h"

namespace xdn::tuner {
namespace {

/// Rounds of each rung. The first has two, since a single slow slice of the best would end its hopes; what
/// took much longer than the defaults in the first of them is spared the second.
constexpr std::array kRounds{2, 2, 4, 8};
constexpr double kHopeless = 3;
/// Of a rung's candidates, one in so many goes on, but never fewer than kFinalists.
constexpr size_t kThin = 3, kFinalists = 3;

size_t survivors(size_t candidates) {
  return std::min(candidates, std::max(kFinalists, (candidates + kThin - 1) / kThin));
}

}  // namespace

SearchResult halving_search(size_t n, const SearchOptions& options, const Measure& measure) {
  SearchState state(n, options, measure);
  // In any order but that of the axes, so that a search which is stopped has seen something of each.
  std::vector<size_t> left(n - 1);
  std::iota(left.begin(), left.end(), size_t{1});
  std::mt19937_64 bits(1);
  for (size_t i = left.size(); i > 1; --i) std::swap(left[i - 1], left[bits() % i]);
  double work = 0;
  size_t count = left.size();
  for (const int rounds : kRounds) {
    work += static_cast<double>(count) * rounds;
    count = survivors(count);
  }
  for (size_t rung = 0; rung < kRounds.size(); ++rung) {
    const int rounds = kRounds[rung];
    state.set_contenders(left);
    for (size_t first = 0; first < left.size(); first += options.group) {
      const size_t last = std::min(left.size(), first + options.group);
      const std::vector<size_t> group(left.begin() + static_cast<std::ptrdiff_t>(first),
                                      left.begin() + static_cast<std::ptrdiff_t>(last));
      const double share = static_cast<double>(group.size()) * rounds / work;
      if (!state.stage({fmt::format("rung {}", rung), group, rounds, kHopeless}, share))
        return state.finish(false);
    }
    std::stable_sort(left.begin(), left.end(),
                     [&](size_t a, size_t b) { return state.score(a) < state.score(b); });
    if (rung + 1 < kRounds.size()) left.resize(survivors(left.size()));
  }
  return state.finish(true);
}

}  // namespace xdn::tuner
