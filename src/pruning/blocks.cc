#include "pruning/blocks.h"

#include <algorithm>
#include <optional>
#include <set>

#include "base/error.h"

namespace xdn::pruning {
namespace {

class BlockFinder {
 public:
  explicit BlockFinder(const Graph& graph) : graph_(graph), users_(graph.users()) {}

  std::vector<Block> find() const {
    std::vector<Block> out;
    for (const NodeId id : graph_.order()) {
      const Node& node = graph_.node(id);
      std::optional<Block> block;
      if (node.type == OpType::kConv && node.input(3) != kNoValue) {
        block = trace(id, 3, {id});
      } else if (node.type == OpType::kAdd) {
        for (size_t shortcut = 0; shortcut < 2 && !block; ++shortcut) block = from_add(id, shortcut);
      }
      if (block) out.push_back(std::move(*block));
    }
    return out;
  }

 private:
  std::optional<Block> from_add(NodeId id, size_t shortcut) const {
    const Node& sum = graph_.node(id);
    const ValueId branch = sum.inputs[1 - shortcut];
    const NodeId last = graph_.value(branch).producer;
    if (last == kNoNode || branch == sum.inputs[shortcut] || !has_shape_of(sum, shortcut) ||
        !is_read_within(branch, {id})) {
      return std::nullopt;
    }
    return trace(id, shortcut, {last});
  }

  /// No broadcasting in between.
  bool has_shape_of(const Node& sum, size_t i) const {
    return graph_.value(sum.inputs[i]).shape == graph_.value(sum.output).shape;
  }

  bool is_read_within(ValueId value, const std::set<NodeId>& nodes) const {
    const auto& readers = users_[static_cast<size_t>(value)];
    return !graph_.is_output(value) &&
           std::all_of(readers.begin(), readers.end(), [&](NodeId id) { return nodes.contains(id); });
  }

  /// Walks from the branch's last node up to the shortcut. Node ids do not tell the order, so a node waits
  /// until all its readers are known to be the branch's.
  std::optional<Block> trace(NodeId sum, size_t shortcut, std::set<NodeId> branch) const {
    const ValueId from = graph_.node(sum).inputs[shortcut];
    bool reads_shortcut = false;
    std::vector<NodeId> found(branch.begin(), branch.end());
    std::vector<ValueId> waiting;
    for (size_t next = 0;; ++next) {
      if (next == found.size()) {
        const auto ready = std::find_if(waiting.begin(), waiting.end(),
                                        [&](ValueId value) { return is_read_within(value, branch); });
        if (ready == waiting.end()) break;
        const NodeId producer = graph_.value(*ready).producer;
        waiting.erase(ready);
        branch.insert(producer);
        found.push_back(producer);
      }
      const Node& node = graph_.node(found[next]);
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        const ValueId input = node.inputs[i];
        if (input == kNoValue || graph_.is_constant(input)) continue;
        if (input == from) {
          reads_shortcut |= found[next] != sum || i != shortcut;
        } else if (graph_.value(input).producer == kNoNode) {
          return std::nullopt;
        } else if (std::find(waiting.begin(), waiting.end(), input) == waiting.end()) {
          waiting.push_back(input);
        }
      }
    }
    if (!waiting.empty() || !reads_shortcut) return std::nullopt;
    Block block{layer_name(graph_, graph_.node(sum)), sum, shortcut, {}, 0};
    for (const NodeId id : graph_.order()) {
      if (!branch.contains(id)) continue;
      block.branch.push_back(id);
      block.macs_effective += node_cost(graph_, graph_.node(id)).macs_effective;
    }
    return block;
  }

  const Graph& graph_;
  const std::vector<std::vector<NodeId>> users_;
};

/// Makes the node compute the activation of x alone.
void become_activation(Node& node, ValueId x, const Activation& act) {
  node.inputs = {x};
  node.attrs = NoAttrs{};
  switch (act.kind) {
    case ActKind::kNone:
      node.type = OpType::kIdentity;
      return;
    case ActKind::kRelu:
      node.type = OpType::kRelu;
      return;
    case ActKind::kLeakyRelu:
      node.type = OpType::kLeakyRelu;
      node.attrs = LeakyReluAttrs{act.a};
      return;
    case ActKind::kClip:
      node.type = OpType::kClip;
      node.attrs = ClipAttrs{act.a, act.b};
      return;
  }
}

void remove_block(Graph& graph, const Block& block) {
  Node& sum = graph.node(block.sum);
  if (!sum.alive) return;  // it went with a block around it
  const ValueId x = sum.inputs[block.shortcut];
  const Activation act = sum.type == OpType::kConv ? sum.as<ConvAttrs>().act : Activation{};
  if (act.kind == ActKind::kNone && !graph.is_output(sum.output)) {
    graph.replace_uses(sum.output, x);
    graph.erase(block.sum);
  } else {
    become_activation(sum, x, act);
  }
  graph.eliminate_dead();
}

}  // namespace

std::vector<Block> find_blocks(const Graph& graph) { return BlockFinder(graph).find(); }

Graph remove_blocks(const Graph& graph, const std::vector<Block>& blocks) {
  Graph out = graph;
  for (const Block& block : blocks) remove_block(out, block);
  infer_shapes(out);
  verify(out);
  out.drop_unused_constants();
  return out;
}

Graph remove_named_blocks(const Graph& graph, const std::vector<std::string>& names) {
  const std::vector<Block> found = find_blocks(graph);
  std::vector<Block> chosen;
  for (const std::string& name : names) {
    const auto block =
        std::find_if(found.begin(), found.end(), [&](const Block& b) { return b.name == name; });
    if (block == found.end())
      throw input_error("is not the sum at the end of a residual block").in_layer(name);
    if (std::any_of(chosen.begin(), chosen.end(), [&](const Block& b) { return b.sum == block->sum; }))
      throw input_error("is to be removed twice").in_layer(name);
    chosen.push_back(*block);
  }
  return remove_blocks(graph, chosen);
}

}  // namespace xdn::pruning
