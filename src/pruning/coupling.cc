#include "pruning/coupling.h"

#include <algorithm>

#include "base/error.h"

namespace xdn::pruning {
namespace {

/// Some 50 bytes each in all. ResNet-50 at 224x224 has 0.3 M.
constexpr int64_t kMostLabels = int64_t{1} << 24;

std::vector<bool> used_values(const Graph& graph) {
  std::vector<bool> used(graph.value_count(), false);
  const auto mark = [&](ValueId id) {
    if (id != kNoValue) used[static_cast<size_t>(id)] = true;
  };
  std::for_each(graph.inputs().begin(), graph.inputs().end(), mark);
  std::for_each(graph.outputs().begin(), graph.outputs().end(), mark);
  for (const NodeId id : graph.order()) {
    std::for_each(graph.node(id).inputs.begin(), graph.node(id).inputs.end(), mark);
    mark(graph.node(id).output);
  }
  return used;
}

}  // namespace

Coupling::Coupling(const Graph& graph) : graph_(&graph) {
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (node.type == OpType::kQuantizeLinear || node.type == OpType::kDequantizeLinear) {
      throw input_error("the model is quantized: prune the float model, then quantize it")
          .in_layer(layer_name(graph, node));
    }
  }
  const std::vector<bool> used = used_values(graph);
  int64_t labels = 0;
  for (size_t v = 0; v < graph.value_count(); ++v) {
    first_space_.push_back(static_cast<int32_t>(spaces_.size()));
    if (!used[v]) continue;
    const Value& value = graph.value(static_cast<ValueId>(v));
    for (size_t axis = 0; axis < value.shape.size(); ++axis) {
      const int64_t extent = value.shape[axis] == kBatch ? 0 : value.shape[axis];
      if (extent > kMostLabels - labels)
        throw input_error("value '" + printable(value.name) + "': the model is too large to be pruned");
      spaces_.push_back({static_cast<ValueId>(v), axis, static_cast<int32_t>(labels),
                         value.shape[axis] == kBatch ? -1 : static_cast<int32_t>(extent)});
      labels += extent;
    }
  }
  first_space_.push_back(static_cast<int32_t>(spaces_.size()));
  parent_.resize(static_cast<size_t>(labels));
  for (size_t i = 0; i < parent_.size(); ++i) parent_[i] = static_cast<int32_t>(i);
  size_.assign(parent_.size(), 1);
  pinned_.assign(parent_.size(), kNoReason);
}

int32_t Coupling::space_of(ValueId value, size_t axis) const {
  if (value == kNoValue) return kNoSpace;
  const int32_t id = first_space_[static_cast<size_t>(value)] + static_cast<int32_t>(axis);
  if (id >= first_space_[static_cast<size_t>(value) + 1]) return kNoSpace;
  return space(id).extent < 0 ? kNoSpace : id;
}

int32_t Coupling::add_reason(const std::string& layer, const std::string& text) {
  Reason reason{layer, text};
  if (reasons_.empty() || reasons_.back() != reason) reasons_.push_back(std::move(reason));
  return static_cast<int32_t>(reasons_.size()) - 1;
}

int32_t Coupling::root(int32_t label) {
  int32_t* const parent = parent_.data();
  while (parent[label] != label) {
    parent[label] = parent[parent[label]];
    label = parent[label];
  }
  return label;
}

void Coupling::join(int32_t a, int32_t b) {
  a = root(a);
  b = root(b);
  if (a == b) return;
  if (size_[static_cast<size_t>(a)] < size_[static_cast<size_t>(b)]) std::swap(a, b);
  parent_[static_cast<size_t>(b)] = a;
  size_[static_cast<size_t>(a)] += size_[static_cast<size_t>(b)];
  const int32_t reason = pinned_[static_cast<size_t>(b)];
  if (reason != kNoReason) pin_label(a, reason);
}

void Coupling::join(int32_t a, int64_t a_first, int32_t b, int64_t b_first, int64_t count) {
  if (a == kNoSpace || b == kNoSpace || count <= 0) return;
  XDN_CHECK(a_first >= 0 && b_first >= 0 && a_first + count <= space(a).extent &&
            b_first + count <= space(b).extent);
  for (int64_t i = 0; i < count; ++i) {
    join(space(a).first + static_cast<int32_t>(a_first + i),
         space(b).first + static_cast<int32_t>(b_first + i));
  }
}

void Coupling::join_all(int32_t a, int32_t b) {
  if (a == kNoSpace || b == kNoSpace) return;
  XDN_CHECK(space(a).extent == space(b).extent);
  join(a, 0, b, 0, space(a).extent);
}

void Coupling::pin(int32_t id, int32_t reason) {
  if (id == kNoSpace) return;
  for (int32_t i = 0; i < space(id).extent; ++i) pin_label(space(id).first + i, reason);
}

void Coupling::pin_label(int32_t label, int32_t reason) {
  int32_t& pinned = pinned_[static_cast<size_t>(root(label))];
  if (pinned == kNoReason || reason < pinned) pinned = reason;
}

int32_t Coupling::pinned_by(int32_t label) { return pinned_[static_cast<size_t>(root(label))]; }

}  // namespace xdn::pruning
