#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "pruning/blocks.h"
#include "pruning/cost_model.h"
#include "pruning/plan.h"

namespace xdn::pruning {

/// What every unit is worth, in any unit, so that sums over groups compare.
using UnitScores = std::function<std::vector<double>(const Graph& graph, const Groups& groups)>;

struct SearchOptions {
  double target = 0;  ///< the cost that may remain
  int64_t min_width = 1;
  int64_t inner = 1, trunk = 1;     ///< widths are multiples of this many channels (granularity_of)
  bool trunks = true;               ///< what shortcuts carry may become narrower
  bool blocks = true;               ///< whole residual branches may go
  std::set<std::string> keep = {};  ///< layers whose filters stay; a branch that holds one stays too
};

struct SearchResult {
  std::vector<std::string> blocks;  ///< sums whose branches go, in execution order
  std::vector<int64_t> remaining;   ///< units, per group
  double cost = 0;                  ///< of what remains
  double loss = 0;                  ///< the scores that go
  bool reached = false;             ///< false: this is the least that widths and blocks allow
};

/// Widths, and blocks to drop, of the least loss at the target's cost: again and again whatever loses least
/// per saved cost goes, some units of one group (of any number, so that a kernel whose time falls in steps is
/// crossed in one) or a block; then what fits under the target comes back, the most valuable first. A block
/// is worth what is left of its cheapest inner group; one without inner groups stays. With target 0, the
/// least cost there is.
SearchResult search_widths(const Graph& graph, const Groups& groups, const std::vector<double>& scores,
                           const NodeCostOf& cost, const SearchOptions& options);

struct SearchedStep {
  PlanStep step;
  double cost = 0;
  bool reached = false;
};
/// A plan's step by search_widths: blocks first, then widths of the graph without them, with scores of its
/// own.
SearchedStep plan_by_search(const Graph& graph, const UnitScores& scores, const CostModel& cost,
                            const SearchOptions& options);

}  // namespace xdn::pruning
