#pragma once

#include <span>
#include <vector>

#include "pruning/surgery.h"

namespace xdn::pruning {

/// For each group one of few colours, 0 to colours - 1: the same where two groups share an axis of a layer's
/// weights, so that an axis has one width per level; different, where that is possible, where one group is
/// what a layer reads and the other what it writes.
std::vector<int> colour_groups(const Graph& graph, const Groups& groups, int colours);

/// How many units each group keeps, in levels^2 variants of the network (fewer where some are equal), such
/// that groups of different colours meet at every pair of levels: with L levels, variant (i, j) gives colour
/// 0 the level i and colour c the level j + (c - 1) i mod L, orthogonal Latin squares. Levels are shares of a
/// group's units, rounded to a multiple of `granularity` (per group), at least one multiple; a group narrower
/// than that stays.
std::vector<std::vector<int64_t>> width_variants(const Graph& graph, const Groups& groups,
                                                 std::span<const double> levels,
                                                 const std::vector<int64_t>& granularity);

/// Of every group the first `remaining` units stay: for measuring speed, which weights do not change.
Removal keep_first(const Groups& groups, const std::vector<int64_t>& remaining);

}  // namespace xdn::pruning
