#include "pruning/width_variants.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "base/error.h"

namespace xdn::pruning {
namespace {

/// Groups that share an axis are one class.
class Classes {
 public:
  explicit Classes(size_t groups) : parent_(groups) { std::iota(parent_.begin(), parent_.end(), size_t{0}); }
  size_t root(size_t group) {
    while (parent_[group] != group) group = parent_[group] = parent_[parent_[group]];
    return group;
  }
  /// The earlier group stands for both.
  void join(size_t a, size_t b) {
    a = root(a);
    b = root(b);
    parent_[std::max(a, b)] = std::min(a, b);
  }

 private:
  std::vector<size_t> parent_;
};

/// How many of the squares of width_variants are orthogonal to each other: colours c and d meet at all pairs
/// if c - d has an inverse mod `levels`.
int most_colours(size_t levels) {
  size_t divisor = 2;
  while (divisor < levels && levels % divisor != 0) ++divisor;
  return static_cast<int>(levels < 2 ? 1 : divisor + 1);
}

}  // namespace

std::vector<int> colour_groups(const Graph& graph, const Groups& groups, int colours) {
  XDN_CHECK(colours >= 1);
  const size_t n = groups.groups.size();
  std::map<std::pair<NodeId, size_t>, std::vector<size_t>> on_axis;
  std::map<NodeId, std::pair<std::vector<size_t>, std::vector<size_t>>> layers;  // what each reads, writes
  Classes classes(n);
  for (size_t g = 0; g < n; ++g) {
    const auto note = [&](const std::vector<GroupLayer>& ends, bool reads) {
      for (const GroupLayer& end : ends) {
        // A depthwise convolution's only axis is both.
        on_axis[{end.node, groups.groups[g].axes[end.axis].axis}].push_back(g);
        auto& [in, out] = layers[end.node];
        (reads ? in : out).push_back(g);
      }
    };
    note(groups.groups[g].producers, false);
    note(groups.groups[g].consumers, true);
  }
  for (const auto& [axis, members] : on_axis) {
    for (const size_t g : members) classes.join(members[0], g);
  }
  std::vector<std::map<size_t, int>> meets(n);  // by class: the others, and in how many layers
  for (const NodeId id : graph.order()) {
    const auto found = layers.find(id);
    if (found == layers.end()) continue;
    std::set<std::pair<size_t, size_t>> pairs;
    for (const size_t in : found->second.first) {
      for (const size_t out : found->second.second) pairs.insert({classes.root(in), classes.root(out)});
    }
    for (const auto& [in, out] : pairs) {
      if (in == out) continue;
      ++meets[in][out];
      ++meets[out][in];
    }
  }
  // The class whose neighbours have most colours already is next (Brelaz, CACM 1979); ties: the earlier one.
  std::vector<int> colour(n, -1);
  const auto colours_around = [&](size_t g) {
    std::vector<int> used(static_cast<size_t>(colours), 0);
    for (const auto& [other, times] : meets[g]) {
      if (colour[other] >= 0) used[static_cast<size_t>(colour[other])] += times;
    }
    return used;
  };
  while (true) {
    size_t next = n;
    int64_t most = -1;
    for (size_t g = 0; g < n; ++g) {
      if (classes.root(g) != g || colour[g] >= 0) continue;
      const std::vector<int> used = colours_around(g);
      const int64_t saturation = std::ssize(used) - std::count(used.begin(), used.end(), 0);
      if (saturation > most) {
        most = saturation;
        next = g;
      }
    }
    if (next == n) break;
    const std::vector<int> used = colours_around(next);
    colour[next] = static_cast<int>(std::min_element(used.begin(), used.end()) - used.begin());
  }
  for (size_t g = 0; g < n; ++g) colour[g] = colour[classes.root(g)];
  return colour;
}

std::vector<std::vector<int64_t>> width_variants(const Graph& graph, const Groups& groups,
                                                 std::span<const double> levels,
                                                 const std::vector<int64_t>& granularity) {
  XDN_CHECK(!levels.empty() && granularity.size() == groups.groups.size());
  XDN_CHECK(std::all_of(levels.begin(), levels.end(), [](double level) { return level > 0 && level <= 1; }));
  const size_t count = levels.size();
  const std::vector<int> colours = colour_groups(graph, groups, most_colours(count));
  std::vector<std::vector<int64_t>> variants;
  for (size_t i = 0; i < count; ++i) {
    for (size_t j = 0; j < count; ++j) {
      std::vector<int64_t> remaining;
      for (size_t g = 0; g < colours.size(); ++g) {
        const auto colour = static_cast<size_t>(colours[g]);
        const size_t level = colour == 0 ? i : (j + (colour - 1) * i) % count;
        const int64_t units = groups.groups[g].units, step = granularity[g];
        const int64_t multiples =
            std::lround(levels[level] * static_cast<double>(units) / static_cast<double>(step));
        remaining.push_back(levels[level] == 1 ? units
                                               : std::min(units, std::max<int64_t>(1, multiples) * step));
      }
      if (std::find(variants.begin(), variants.end(), remaining) == variants.end())
        variants.push_back(std::move(remaining));
    }
  }
  return variants;
}

Removal keep_first(const Groups& groups, const std::vector<int64_t>& remaining) {
  XDN_CHECK(remaining.size() == groups.groups.size());
  Removal removed(static_cast<size_t>(groups.unit_count()), false);
  for (size_t g = 0; g < remaining.size(); ++g) {
    const Group& group = groups.groups[g];
    XDN_CHECK(remaining[g] >= 0 && remaining[g] <= group.units);
    std::fill(removed.begin() + group.first_unit + remaining[g], removed.begin() + group.end_unit(), true);
  }
  return removed;
}

}  // namespace xdn::pruning
