#include "pruning/search.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>

#include "base/error.h"
#include "pruning/importance.h"

namespace xdn::pruning {
namespace {

/// A change of one group, or the loss of one block.
struct Move {
  std::optional<size_t> group, block;
  int64_t units = 0;  ///< of the group, that go
  double saved = 0, loss = 0;
  double worth() const { return saved / loss; }
};

class Search {
 public:
  Search(const Graph& graph, const Groups& groups, const std::vector<double>& scores, const NodeCostOf& cost,
         const SearchOptions& options)
      : graph_(graph), groups_(groups), cost_(cost), options_(options), widths_(graph, groups) {
    XDN_CHECK(scores.size() == static_cast<size_t>(groups.unit_count()));
    const std::vector<int64_t> granularity = granularity_of(groups, options.inner, options.trunk);
    double total = 0;
    for (const double score : scores) total += score;
    least_loss_ = std::max(total, 1e-300) * 1e-12;
    for (size_t g = 0; g < groups.groups.size(); ++g) add_group(groups.groups[g], granularity[g], scores);
    find_nodes();
    if (options.blocks) add_blocks();
    node_cost_.assign(node_count_, 0);
    for (const NodeId id : graph.order()) total_ += node_cost_[index(id)] = cost_(id, widths_);
  }

  SearchResult run() {
    best_.assign(groups_.groups.size(), std::nullopt);
    fresh_.assign(groups_.groups.size(), false);
    while (total_ > options_.target) {
      const std::optional<Move> move = best_move();
      if (!move) break;
      apply(*move);
    }
    const bool reached = total_ <= options_.target;
    if (reached) give_back();
    SearchResult out;
    for (const Candidate& block : blocks_) {
      if (!block.gone) continue;
      out.blocks.push_back(block.block.name);
      out.loss += block.loss;
    }
    for (size_t g = 0; g < groups_.groups.size(); ++g) {
      out.remaining.push_back(widths_.remaining(g));
      if (!in_block_[g]) out.loss += loss_of(g, gone(g));
    }
    out.cost = total_;
    out.reached = reached;
    return out;
  }

 private:
  struct Candidate {
    Block block;
    std::vector<size_t> inner;          ///< groups with all their filters in the branch
    std::vector<NodeId> nodes;          ///< the branch and the sum
    bool gone = false, inside = false;  ///< chosen; within a chosen one
    double loss = 0;                    ///< when it went
  };

  static size_t index(NodeId id) { return static_cast<size_t>(id); }

  void add_group(const Group& group, int64_t granularity, const std::vector<double>& scores) {
    std::vector<double> sorted(scores.begin() + group.first_unit, scores.begin() + group.end_unit());
    std::sort(sorted.begin(), sorted.end());
    std::vector<double> sums{0};
    for (const double score : sorted) sums.push_back(sums.back() + score);
    losses_.push_back(std::move(sums));
    granularity_.push_back(granularity);
    in_block_.push_back(false);
    closed_.push_back(group.trunk && !options_.trunks);
  }

  /// The nodes whose cost each group's width decides, and the groups that share one with it.
  void find_nodes() {
    std::map<ValueId, std::vector<size_t>> groups_of_value;
    for (size_t g = 0; g < groups_.groups.size(); ++g) {
      for (const GroupAxis& axis : groups_.groups[g].axes) groups_of_value[axis.value].push_back(g);
    }
    nodes_.resize(groups_.groups.size());
    std::vector<std::set<size_t>> neighbours(groups_.groups.size());
    for (const NodeId id : graph_.order()) {
      const Node& node = graph_.node(id);
      node_count_ = std::max(node_count_, index(id) + 1);
      std::set<size_t> touching;
      const auto add = [&](ValueId value) {
        const auto found = groups_of_value.find(value);
        if (found != groups_of_value.end()) touching.insert(found->second.begin(), found->second.end());
      };
      for (const ValueId input : node.inputs) add(input);
      add(node.output);
      for (const size_t g : touching) {
        nodes_[g].push_back(id);
        neighbours[g].insert(touching.begin(), touching.end());
      }
    }
    for (const auto& set : neighbours) neighbours_.emplace_back(set.begin(), set.end());
    dead_.assign(node_count_, false);
  }

  void add_blocks() {
    for (Block& block : find_blocks(graph_)) {
      Candidate candidate;
      candidate.nodes = block.branch;
      if (std::find(block.branch.begin(), block.branch.end(), block.sum) == block.branch.end())
        candidate.nodes.push_back(block.sum);
      const std::set<NodeId> branch(block.branch.begin(), block.branch.end());
      const bool kept = std::any_of(branch.begin(), branch.end(), [&](NodeId id) {
        return options_.keep.contains(layer_name(graph_, graph_.node(id)));
      });
      for (size_t g = 0; g < groups_.groups.size(); ++g) {
        const auto& producers = groups_.groups[g].producers;
        if (std::all_of(producers.begin(), producers.end(),
                        [&](const GroupLayer& layer) { return branch.contains(layer.node); }))
          candidate.inner.push_back(g);
      }
      candidate.block = std::move(block);
      if (!kept && !candidate.inner.empty()) blocks_.push_back(std::move(candidate));
    }
  }

  int64_t gone(size_t g) const { return groups_.groups[g].units - widths_.remaining(g); }
  double loss_of(size_t g, int64_t units_gone) const { return losses_[g][static_cast<size_t>(units_gone)]; }

  /// What the group's nodes cost now; those of removed blocks nothing.
  double cost_around(size_t g) const {
    double sum = 0;
    for (const NodeId id : nodes_[g]) {
      if (!dead_[index(id)]) sum += cost_(id, widths_);
    }
    return sum;
  }
  double known_cost_around(size_t g) const {
    double sum = 0;
    for (const NodeId id : nodes_[g]) {
      if (!dead_[index(id)]) sum += node_cost_[index(id)];
    }
    return sum;
  }

  /// The cut of this group that saves most per loss.
  std::optional<Move> best_cut(size_t g) {
    if (closed_[g]) return std::nullopt;
    const int64_t before = widths_.remaining(g), step = granularity_[g];
    const double loss = loss_of(g, gone(g)), cost = known_cost_around(g);
    std::optional<Move> best;
    for (int64_t width = (before - 1) / step * step; width >= step; width -= step) {
      const int64_t units = before - width;
      if (!widths_.can_remove(g, units, options_.min_width)) break;
      widths_.remove(g, units);
      Move move{g, std::nullopt, units, cost - cost_around(g), 0};
      move.loss = std::max(loss_of(g, gone(g)) - loss, least_loss_);
      widths_.remove(g, -units);
      if (move.saved > 0 && (!best || move.worth() > best->worth())) best = move;
    }
    return best;
  }

  /// What is left of the cheapest inner group.
  double loss_of_block(const Candidate& block) const {
    double least = 0;
    for (size_t i = 0; i < block.inner.size(); ++i) {
      const size_t g = block.inner[i];
      const double rest = losses_[g].back() - loss_of(g, gone(g));
      least = i == 0 ? rest : std::min(least, rest);
    }
    return std::max(least, least_loss_);
  }

  std::optional<Move> best_move() {
    std::optional<Move> best;
    const auto offer = [&](const std::optional<Move>& move) {
      if (move && move->saved > 0 && (!best || move->worth() > best->worth())) best = move;
    };
    for (size_t g = 0; g < groups_.groups.size(); ++g) {
      if (!fresh_[g]) best_[g] = best_cut(g);
      fresh_[g] = true;
      offer(best_[g]);
    }
    for (size_t b = 0; b < blocks_.size(); ++b) {
      if (blocks_[b].gone || blocks_[b].inside) continue;
      Move move{std::nullopt, b, 0, 0, loss_of_block(blocks_[b])};
      for (const NodeId id : blocks_[b].nodes) {
        if (!dead_[index(id)]) move.saved += node_cost_[index(id)];
      }
      offer(move);
    }
    return best;
  }

  void apply(const Move& move) {
    if (move.group) {
      widths_.remove(*move.group, move.units);
      refresh(*move.group);
      return;
    }
    Candidate& block = blocks_[*move.block];
    block.gone = true;
    block.loss = move.loss;
    for (const NodeId id : block.nodes) {
      if (dead_[index(id)]) continue;
      total_ -= node_cost_[index(id)];
      dead_[index(id)] = true;
    }
    for (const size_t g : block.inner) closed_[g] = in_block_[g] = true;
    for (Candidate& other : blocks_) {  // one inside of the branch went with it
      if (!other.gone)
        other.inside =
            std::all_of(other.nodes.begin(), other.nodes.end(), [&](NodeId id) { return dead_[index(id)]; });
    }
    std::fill(fresh_.begin(), fresh_.end(), false);
  }

  void refresh(size_t g) {
    for (const NodeId id : nodes_[g]) {
      if (dead_[index(id)]) continue;
      const double now = cost_(id, widths_);
      total_ += now - node_cost_[index(id)];
      node_cost_[index(id)] = now;
    }
    for (const size_t other : neighbours_[g]) fresh_[other] = false;
  }

  /// The last move may have gone too far: units return while the target holds.
  void give_back() {
    for (;;) {
      std::optional<Move> best;
      for (size_t g = 0; g < groups_.groups.size(); ++g) {
        if (closed_[g] || gone(g) == 0) continue;
        const int64_t step = granularity_[g], width = widths_.remaining(g);
        const int64_t wider = std::min<int64_t>((width / step + 1) * step, groups_.groups[g].units);
        const double loss = loss_of(g, gone(g)), cost = known_cost_around(g);
        widths_.remove(g, width - wider);
        const Move move{g, std::nullopt, width - wider, cost - cost_around(g), loss - loss_of(g, gone(g))};
        widths_.remove(g, wider - width);
        if (total_ - move.saved <= options_.target && (!best || move.loss > best->loss)) best = move;
      }
      if (!best) return;
      apply(*best);
    }
  }

  const Graph& graph_;
  const Groups& groups_;
  const NodeCostOf& cost_;
  const SearchOptions& options_;
  Widths widths_;
  std::vector<std::vector<double>> losses_;  ///< by group: of its n least important units
  std::vector<int64_t> granularity_;
  std::vector<bool> closed_;    ///< keeps its width
  std::vector<bool> in_block_;  ///< went with a block
  std::vector<std::vector<NodeId>> nodes_;
  std::vector<std::vector<size_t>> neighbours_;
  std::vector<Candidate> blocks_;
  std::vector<bool> dead_;  ///< by node
  std::vector<double> node_cost_;
  std::vector<std::optional<Move>> best_;
  std::vector<bool> fresh_;  ///< best_ holds
  size_t node_count_ = 0;
  double total_ = 0, least_loss_ = 0;
};

}  // namespace

SearchResult search_widths(const Graph& graph, const Groups& groups, const std::vector<double>& scores,
                           const NodeCostOf& cost, const SearchOptions& options) {
  return Search(graph, groups, scores, cost, options).run();
}

SearchedStep plan_by_search(const Graph& graph, const UnitScores& scores, const CostModel& cost,
                            const SearchOptions& options) {
  SearchedStep out;
  const Groups groups = find_groups(graph, options.keep);
  const NodeCostOf cost_of = cost(graph);
  std::vector<std::string> blocks;
  if (options.blocks) blocks = search_widths(graph, groups, scores(graph, groups), cost_of, options).blocks;

  const Graph shallow = remove_named_blocks(graph, blocks);
  std::set<std::string> keep;
  for (const NodeId id : shallow.order()) {
    const std::string name = layer_name(shallow, shallow.node(id));
    if (options.keep.contains(name)) keep.insert(name);
  }
  const Groups left = find_groups(shallow, keep);
  const std::vector<double> worth = scores(shallow, left);
  SearchOptions narrow = options;
  narrow.blocks = false;
  const SearchResult found = search_widths(shallow, left, worth, cost(shallow), narrow);
  out.cost = found.cost;
  out.reached = found.reached;
  out.step = plan_step(shallow, left, remove_least(left, worth, found.remaining), worth);
  out.step.blocks = std::move(blocks);
  out.step.keep.assign(keep.begin(), keep.end());
  return out;
}

}  // namespace xdn::pruning
