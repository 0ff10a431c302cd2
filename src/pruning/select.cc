#include "pruning/select.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <tuple>

#include "base/error.h"
#include "pruning/widths.h"

namespace xdn::pruning {
namespace {

constexpr std::string_view kRankingNames[] = {"global", "per-layer", "isomorphic"};

/// Units of one group that go together, the least important that are left.
struct Portion {
  size_t group;
  size_t index;  ///< among the group's
  std::vector<UnitId> units;
  double score;  ///< mean
  double key;    ///< portions go in the order of their keys
};

void check(const Groups& groups, const std::vector<double>& scores, const SelectOptions& options) {
  if (options.ratio.has_value() == options.macs_effective.has_value())
    throw Error(ErrorKind::kUsage,
                "pruning needs either a share of channels or a number of multiply-accumulates");
  if (options.ratio && !(*options.ratio >= 0 && *options.ratio < 1))
    throw input_error("the share of channels to remove must be at least 0 and less than 1");
  if (options.min_width < 1) throw input_error("the least width must be at least 1");
  if (std::any_of(options.granularity.begin(), options.granularity.end(), [](int64_t n) { return n < 1; }))
    throw input_error("widths must be multiples of at least 1");
  XDN_CHECK(scores.size() == static_cast<size_t>(groups.unit_count()));
  XDN_CHECK(options.granularity.empty() || options.granularity.size() == groups.groups.size());
  for (const double score : scores) XDN_CHECK(std::isfinite(score));
}

/// The group's units, the least important first.
std::vector<UnitId> ranked_units(const Group& group, const std::vector<double>& scores) {
  std::vector<UnitId> units(static_cast<size_t>(group.units));
  std::iota(units.begin(), units.end(), group.first_unit);
  std::stable_sort(units.begin(), units.end(), [&](UnitId a, UnitId b) {
    return scores[static_cast<size_t>(a)] < scores[static_cast<size_t>(b)];
  });
  return units;
}

/// Of one group, in the order in which they may go. What remains after each is a multiple of `step`, 0 last.
std::vector<Portion> portions_of(const Group& group, size_t index, const std::vector<double>& scores,
                                 int64_t step) {
  const std::vector<UnitId> units = ranked_units(group, scores);
  std::vector<Portion> out;
  const int64_t first = group.units % step == 0 ? step : group.units % step;
  for (int64_t at = 0; at < group.units;) {
    const int64_t count = at == 0 ? first : step;
    Portion portion{index, out.size(), {units.begin() + at, units.begin() + at + count}, 0, 0};
    for (const UnitId unit : portion.units)
      portion.score += scores[static_cast<size_t>(unit)] / static_cast<double>(count);
    if (!out.empty()) portion.score = std::max(portion.score, out.back().score);  // whatever rounding says
    out.push_back(std::move(portion));
    at += count;
  }
  return out;
}

/// Ranks portions of one class by score; the key is the share of the class's units gone with each.
void rank_within_class(std::vector<Portion*>& portions) {
  std::stable_sort(portions.begin(), portions.end(),
                   [](const Portion* a, const Portion* b) { return a->score < b->score; });
  int64_t total = 0, gone = 0;
  for (const Portion* portion : portions) total += std::ssize(portion->units);
  for (Portion* portion : portions) {
    gone += std::ssize(portion->units);
    portion->key = static_cast<double>(gone) / static_cast<double>(total);
  }
}

void set_keys(std::vector<Portion>& portions, const Groups& groups, Ranking ranking) {
  if (ranking == Ranking::kGlobal) {
    for (Portion& portion : portions) portion.key = portion.score;
    return;
  }
  std::map<std::string, std::vector<Portion*>> classes;
  for (Portion& portion : portions) {
    const std::string id =
        ranking == Ranking::kPerLayer ? std::to_string(portion.group) : groups.groups[portion.group].role;
    classes[id].push_back(&portion);
  }
  for (auto& [id, members] : classes) rank_within_class(members);
}

}  // namespace

std::string_view ranking_name(Ranking ranking) { return kRankingNames[static_cast<size_t>(ranking)]; }

std::optional<Ranking> parse_ranking(std::string_view name) {
  const auto found = std::find(std::begin(kRankingNames), std::end(kRankingNames), name);
  if (found == std::end(kRankingNames)) return std::nullopt;
  return static_cast<Ranking>(found - std::begin(kRankingNames));
}

std::vector<int64_t> granularity_of(const Groups& groups, int64_t inner, int64_t trunk) {
  std::vector<int64_t> out;
  for (const Group& group : groups.groups) {
    const int64_t channels = group.trunk ? trunk : inner;
    const int64_t per_unit = group.axes[group.producers[0].axis].per_unit;
    out.push_back(std::max<int64_t>(1, channels / per_unit));
  }
  return out;
}

Selection select_units(const Graph& graph, const Groups& groups, const std::vector<double>& scores,
                       const SelectOptions& options) {
  check(groups, scores, options);
  std::vector<Portion> portions;
  for (size_t g = 0; g < groups.groups.size(); ++g) {
    const int64_t step = options.granularity.empty() ? 1 : options.granularity[g];
    std::vector<Portion> of_group = portions_of(groups.groups[g], g, scores, step);
    std::move(of_group.begin(), of_group.end(), std::back_inserter(portions));
  }
  set_keys(portions, groups, options.ranking);
  std::stable_sort(portions.begin(), portions.end(), [](const Portion& a, const Portion& b) {
    return std::tie(a.key, a.group, a.index) < std::tie(b.key, b.group, b.index);
  });

  Widths widths(graph, groups);
  Selection out;
  out.removed.assign(scores.size(), false);
  const bool by_share = options.ranking != Ranking::kGlobal;
  const double wanted = options.ratio.value_or(0) * static_cast<double>(scores.size());
  const auto reached = [&](const Portion& next) {
    if (options.macs_effective) return widths.macs_effective() <= *options.macs_effective;
    return by_share ? next.key > *options.ratio : static_cast<double>(out.units) >= wanted;
  };
  std::vector<bool> closed(groups.groups.size(), false);  // a later portion would be no smaller
  bool skipped = false;
  for (const Portion& portion : portions) {
    if (reached(portion)) break;
    const int64_t count = std::ssize(portion.units);
    if (closed[portion.group] || !widths.can_remove(portion.group, count, options.min_width)) {
      closed[portion.group] = skipped = true;
      continue;
    }
    widths.remove(portion.group, count);
    for (const UnitId unit : portion.units) out.removed[static_cast<size_t>(unit)] = true;
    out.units += count;
  }
  out.macs_effective = widths.macs_effective();
  if (options.macs_effective) {
    out.reached = out.macs_effective <= *options.macs_effective;
  } else if (by_share) {
    out.reached = !skipped;
  } else {
    out.reached = static_cast<double>(out.units) >= wanted;
  }
  return out;
}

Removal remove_least(const Groups& groups, const std::vector<double>& scores,
                     const std::vector<int64_t>& remaining) {
  XDN_CHECK(remaining.size() == groups.groups.size());
  XDN_CHECK(scores.size() == static_cast<size_t>(groups.unit_count()));
  Removal removed(scores.size(), false);
  for (size_t g = 0; g < remaining.size(); ++g) {
    const Group& group = groups.groups[g];
    XDN_CHECK(remaining[g] >= 0 && remaining[g] <= group.units);
    const std::vector<UnitId> units = ranked_units(group, scores);
    for (int64_t i = 0; i < group.units - remaining[g]; ++i)
      removed[static_cast<size_t>(units[static_cast<size_t>(i)])] = true;
  }
  return removed;
}

}  // namespace xdn::pruning
