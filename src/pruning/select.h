#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "pruning/surgery.h"

namespace xdn::pruning {

enum class Ranking {
  kGlobal,      ///< all units against each other
  kPerLayer,    ///< every group loses the same share
  kIsomorphic,  ///< groups of one role against each other; every role loses the same share (Fang et al., ECCV
                ///< 2024)
};
std::string_view ranking_name(Ranking ranking);
std::optional<Ranking> parse_ranking(std::string_view name);

struct SelectOptions {
  Ranking ranking = Ranking::kGlobal;
  /// One of the two: the share of units that goes, in [0, 1), or the effective multiply-accumulates per image
  /// that may remain.
  std::optional<double> ratio;
  std::optional<int64_t> macs_effective;
  int64_t min_width = 1;  ///< no axis of any value becomes narrower; those that are stay as they are
  /// Per group: it keeps a multiple of this many units, or all. Empty: 1. Units go in portions that lead from
  /// one such width to the next, and a portion is ranked by the mean of its scores.
  std::vector<int64_t> granularity = {};
};

/// For SelectOptions::granularity: one number for trunks, another for all else, in channels of the first
/// producer.
std::vector<int64_t> granularity_of(const Groups& groups, int64_t inner, int64_t trunk);

struct Selection {
  Removal removed;
  int64_t units = 0;           ///< that go
  int64_t macs_effective = 0;  ///< that remain, per image
  bool reached = false;        ///< false: widths and granularity allow no more
};

/// Which units to remove: the least important, until the goal is met. Equal scores: earlier groups first,
/// then earlier units. The result depends on nothing but the arguments. Throws an input error for options
/// that make no sense, a usage error where not exactly one goal is given.
Selection select_units(const Graph& graph, const Groups& groups, const std::vector<double>& scores,
                       const SelectOptions& options);

/// Of every group the least important units, so many that `remaining` of it stay: for searches that choose
/// the widths themselves. Ties as in select_units.
Removal remove_least(const Groups& groups, const std::vector<double>& scores,
                     const std::vector<int64_t>& remaining);

}  // namespace xdn::pruning
