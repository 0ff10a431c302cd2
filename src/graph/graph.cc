#include "graph/graph.h"

#include <algorithm>

#include "base/error.h"

namespace xdn {

ValueId Graph::add_value(Value value) {
  value.name = unique_name(value.name);
  const auto id = static_cast<ValueId>(values_.size());
  by_name_[value.name] = id;
  values_.push_back(std::move(value));
  return id;
}

ValueId Graph::add_input(const std::string& wanted, DType dtype, Dims shape) {
  const ValueId id = add_value({wanted, dtype, std::move(shape), kNoNode, std::nullopt});
  inputs_.push_back(id);
  return id;
}

ValueId Graph::add_constant(const std::string& wanted, Tensor tensor) {
  Value value{wanted, tensor.dtype(), tensor.dims(), kNoNode, std::nullopt};
  value.constant = std::move(tensor);
  return add_value(std::move(value));
}

NodeId Graph::add_node(OpType type, OpAttrs attrs, const std::string& node_name,
                       std::vector<ValueId> node_inputs, const std::string& output_name, NodeId before) {
  const auto id = static_cast<NodeId>(nodes_.size());
  Value out;
  out.name = output_name;
  out.producer = id;
  Node node;
  node.type = type;
  node.attrs = std::move(attrs);
  node.name = node_name;
  node.inputs = std::move(node_inputs);
  node.output = add_value(std::move(out));
  nodes_.push_back(std::move(node));
  const auto at = before == kNoNode ? order_.end() : std::find(order_.begin(), order_.end(), before);
  order_.insert(at, id);
  return id;
}

bool Graph::is_output(ValueId id) const {
  return std::find(outputs_.begin(), outputs_.end(), id) != outputs_.end();
}

std::optional<ValueId> Graph::find_value(const std::string& wanted) const {
  const auto found = by_name_.find(wanted);
  return found == by_name_.end() ? std::nullopt : std::optional(found->second);
}

std::string Graph::unique_name(const std::string& wanted) const {
  if (!wanted.empty() && !by_name_.contains(wanted)) return wanted;
  const std::string stem = wanted.empty() ? "v" : wanted;
  for (size_t i = 1;; ++i) {
    std::string candidate = stem + "." + std::to_string(i);
    if (!by_name_.contains(candidate)) return candidate;
  }
}

std::vector<std::vector<NodeId>> Graph::users() const {
  std::vector<std::vector<NodeId>> out(values_.size());
  for (const NodeId id : order_) {
    for (const ValueId input : node(id).inputs) {
      if (input != kNoValue) out[static_cast<size_t>(input)].push_back(id);
    }
  }
  return out;
}

void Graph::replace_uses(ValueId from, ValueId to) {
  for (const NodeId id : order_) std::replace(node(id).inputs.begin(), node(id).inputs.end(), from, to);
  if (!is_output(from)) return;
  std::replace(outputs_.begin(), outputs_.end(), from, to);
  const bool keeps_name = std::find(inputs_.begin(), inputs_.end(), to) != inputs_.end();
  if (keeps_name) return;
  std::swap(value(from).name, value(to).name);
  by_name_[value(from).name] = from;
  by_name_[value(to).name] = to;
}

void Graph::move_before(NodeId id, NodeId before) {
  if (id == before) return;
  const auto at = std::find(order_.begin(), order_.end(), id);
  XDN_CHECK(at != order_.end());
  order_.erase(at);
  const auto to = std::find(order_.begin(), order_.end(), before);
  XDN_CHECK(to != order_.end());
  order_.insert(to, id);
}

void Graph::erase(NodeId id) {
  const auto at = std::find(order_.begin(), order_.end(), id);
  XDN_CHECK(at != order_.end());
  order_.erase(at);
  node(id).alive = false;
}

size_t Graph::eliminate_dead() {
  std::vector<bool> needed(values_.size(), false);
  for (const ValueId id : outputs_) needed[static_cast<size_t>(id)] = true;
  std::vector<NodeId> kept;
  for (auto it = order_.rbegin(); it != order_.rend(); ++it) {
    Node& n = node(*it);
    n.alive = needed[static_cast<size_t>(n.output)];
    if (!n.alive) continue;
    kept.push_back(*it);
    for (const ValueId input : n.inputs) {
      if (input != kNoValue) needed[static_cast<size_t>(input)] = true;
    }
  }
  const size_t removed = order_.size() - kept.size();
  order_.assign(kept.rbegin(), kept.rend());
  return removed;
}

std::vector<bool> Graph::used_values() const {
  std::vector<bool> used(values_.size(), false);
  const auto mark = [&](ValueId id) {
    if (id != kNoValue) used[static_cast<size_t>(id)] = true;
  };
  std::for_each(inputs_.begin(), inputs_.end(), mark);
  std::for_each(outputs_.begin(), outputs_.end(), mark);
  for (const NodeId id : order_) {
    std::for_each(node(id).inputs.begin(), node(id).inputs.end(), mark);
    mark(node(id).output);
  }
  return used;
}

void Graph::drop_unused_constants() {
  const std::vector<bool> used = used_values();
  for (size_t i = 0; i < values_.size(); ++i) {
    if (!used[i]) values_[i].constant.reset();
  }
}

void Graph::compact() {
  const std::vector<bool> used = used_values();
  std::vector<ValueId> renumbered(values_.size(), kNoValue);
  std::vector<Value> values;
  by_name_.clear();
  for (size_t i = 0; i < values_.size(); ++i) {
    if (!used[i]) continue;
    renumbered[i] = static_cast<ValueId>(values.size());
    by_name_[values_[i].name] = renumbered[i];
    values.push_back(std::move(values_[i]));
  }
  const auto renumber = [&](ValueId& id) {
    if (id != kNoValue) id = renumbered[static_cast<size_t>(id)];
  };
  std::for_each(inputs_.begin(), inputs_.end(), renumber);
  std::for_each(outputs_.begin(), outputs_.end(), renumber);
  std::vector<Node> nodes;
  for (NodeId& id : order_) {
    Node& n = node(id);
    std::for_each(n.inputs.begin(), n.inputs.end(), renumber);
    renumber(n.output);
    values[static_cast<size_t>(n.output)].producer = static_cast<NodeId>(nodes.size());
    id = static_cast<NodeId>(nodes.size());
    nodes.push_back(std::move(n));
  }
  values_ = std::move(values);
  nodes_ = std::move(nodes);
}

}  // namespace xdn
