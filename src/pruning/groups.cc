#include "pruning/groups.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "base/error.h"
#include "pruning/coupling.h"

namespace xdn::pruning {
namespace {

/// Where the indices of one class stand: per space, in the order of spaces.
struct UnitParts {
  std::vector<std::pair<int32_t, int32_t>> entries;  ///< space, index
};

/// What units of one group have in common: every space, as often as it has an index of the unit.
std::vector<int32_t> signature_of(const UnitParts& unit) {
  std::vector<int32_t> out;
  out.reserve(unit.entries.size());
  for (const auto& [space, index] : unit.entries) out.push_back(space);
  return out;
}

class GroupBuilder {
 public:
  GroupBuilder(const Graph& graph, const std::set<std::string>& keep) : graph_(graph), coupling_(graph) {
    couple_all(coupling_);
    pin_layers(keep);
    for (size_t i = 0; i < graph.order().size(); ++i) position_[graph.order()[i]] = static_cast<int32_t>(i);
  }

  Groups build() {
    collect_units();
    group_units();
    std::sort(found_.groups.begin(), found_.groups.end(), [&](const Group& a, const Group& b) {
      const int32_t pa = position_.at(a.producers[0].node), pb = position_.at(b.producers[0].node);
      return pa != pb ? pa < pb : a.filters[0] < b.filters[0];
    });
    number_units();
    report_kept();
    return std::move(found_);
  }

 private:
  void pin_layers(const std::set<std::string>& keep) {
    for (const std::string& name : keep) {
      bool any = false;
      for (const WeightAxis& filters : coupling_.filters) {
        if (layer_name(graph_, graph_.node(filters.node)) != name) continue;
        coupling_.pin(filters.space, coupling_.add_reason(name, "is to be kept"));
        any = true;
      }
      if (!any) throw input_error("cannot be kept: no Conv, Gemm or MatMul has this name").in_layer(name);
    }
  }

  /// Free classes that hold a filter, with all they hold.
  void collect_units() {
    unit_of_root_.assign(static_cast<size_t>(coupling_.label_count()), kNoUnit);
    for (const WeightAxis& filters : coupling_.filters) {
      const Space& space = coupling_.space(filters.space);
      for (int32_t i = 0; i < space.extent; ++i) {
        const int32_t root = coupling_.root(space.first + i);
        UnitId& unit = unit_of_root_[static_cast<size_t>(root)];
        if (unit != kNoUnit || coupling_.pinned_by(root) != kNoReason) continue;
        unit = static_cast<UnitId>(parts_.size());
        parts_.emplace_back();
      }
    }
    for (size_t s = 0; s < coupling_.spaces().size(); ++s) {
      const Space& space = coupling_.spaces()[s];
      for (int32_t i = 0; i < space.extent; ++i) {
        const UnitId unit = unit_of_root_[static_cast<size_t>(coupling_.root(space.first + i))];
        if (unit == kNoUnit) continue;
        parts_[static_cast<size_t>(unit)].entries.emplace_back(static_cast<int32_t>(s), i);
      }
    }
  }

  void group_units() {
    std::map<std::vector<int32_t>, std::vector<size_t>> by_signature;
    for (size_t u = 0; u < parts_.size(); ++u) by_signature[signature_of(parts_[u])].push_back(u);
    std::unordered_map<int32_t, std::vector<NodeId>> producers, consumers;
    for (const WeightAxis& axis : coupling_.filters) producers[axis.space].push_back(axis.node);
    for (const WeightAxis& axis : coupling_.inputs) consumers[axis.space].push_back(axis.node);
    for (auto& [signature, units] : by_signature) {
      Group group;
      group.units = static_cast<int32_t>(units.size());
      add_axes(group, signature, producers, consumers);
      const size_t leader = group.producers[0].axis;
      sort_units(group, signature, leader, units);
      fill_indices(group, units);
      const GroupAxis& first = group.axes[leader];
      for (int32_t u = 0; u < group.units; ++u)
        group.filters.push_back(first.indices[static_cast<size_t>(u * first.per_unit)]);
      describe_role(group);
      found_.groups.push_back(std::move(group));
    }
  }

  using NodesOfSpace = std::unordered_map<int32_t, std::vector<NodeId>>;

  void add_axes(Group& group, const std::vector<int32_t>& signature, const NodesOfSpace& producers,
                const NodesOfSpace& consumers) const {
    const auto add_layers = [&](std::vector<GroupLayer>& layers, const NodesOfSpace& of, int32_t space) {
      const auto found = of.find(space);
      if (found == of.end()) return;
      for (const NodeId node : found->second) layers.push_back({node, group.axes.size() - 1});
    };
    for (size_t i = 0; i < signature.size();) {
      const int32_t id = signature[i];
      const size_t begin = i;
      while (i < signature.size() && signature[i] == id) ++i;
      const Space& space = coupling_.space(id);
      group.axes.push_back({space.value, space.axis, static_cast<int64_t>(i - begin), {}});
      add_layers(group.producers, producers, id);
      add_layers(group.consumers, consumers, id);
    }
    const auto in_order = [&](const GroupLayer& a, const GroupLayer& b) {
      return position_.at(a.node) < position_.at(b.node);
    };
    std::sort(group.producers.begin(), group.producers.end(), in_order);
    std::sort(group.consumers.begin(), group.consumers.end(), in_order);
  }

  /// By their filters in the group's first producer.
  void sort_units(const Group& group, const std::vector<int32_t>& signature, size_t leader,
                  std::vector<size_t>& units) const {
    size_t entry = 0;
    for (size_t a = 0; a < leader; ++a) entry += static_cast<size_t>(group.axes[a].per_unit);
    XDN_CHECK(entry < signature.size());
    std::sort(units.begin(), units.end(), [&](size_t a, size_t b) {
      return parts_[a].entries[entry].second < parts_[b].entries[entry].second;
    });
  }

  void fill_indices(Group& group, const std::vector<size_t>& units) const {
    for (const size_t u : units) {
      size_t entry = 0;
      for (GroupAxis& axis : group.axes) {
        for (int64_t k = 0; k < axis.per_unit; ++k) axis.indices.push_back(parts_[u].entries[entry++].second);
      }
    }
  }

  void describe_role(Group& group) const {
    int dense = 0;
    std::vector<std::string> parts;
    const auto add = [&](const GroupLayer& layer, const char* part) {
      const Node& node = graph_.node(layer.node);
      std::string text = std::string(op_info(node.type).name) + part;
      bool grouped = false;
      if (node.type == OpType::kConv) {
        const auto& attrs = node.as<ConvAttrs>();
        text += to_string(attrs.window.kernel);
        grouped = attrs.group != 1;
        if (grouped) text += "/" + std::to_string(graph_.value(node.inputs[1]).shape[1]);
      }
      parts.push_back(text + "x" + std::to_string(group.axes[layer.axis].per_unit));
      return !grouped;
    };
    for (const GroupLayer& layer : group.producers) dense += add(layer, ".filters") ? 1 : 0;
    for (const GroupLayer& layer : group.consumers) add(layer, ".inputs");
    std::sort(parts.begin(), parts.end());
    for (const std::string& part : parts) group.role += (group.role.empty() ? "" : " ") + part;
    group.trunk = dense > 1;
  }

  void number_units() {
    found_.units.resize(graph_.value_count());
    UnitId next = 0;
    for (Group& group : found_.groups) {
      group.first_unit = next;
      next += group.units;
      for (const GroupAxis& axis : group.axes) {
        auto& of_value = found_.units[static_cast<size_t>(axis.value)];
        of_value.resize(graph_.value(axis.value).shape.size());
        std::vector<UnitId>& of_axis = of_value[axis.axis];
        if (of_axis.empty())
          of_axis.assign(static_cast<size_t>(graph_.value(axis.value).shape[axis.axis]), kNoUnit);
        for (size_t i = 0; i < axis.indices.size(); ++i) {
          of_axis[static_cast<size_t>(axis.indices[i])] =
              group.first_unit + static_cast<UnitId>(static_cast<int64_t>(i) / axis.per_unit);
        }
      }
    }
  }

  /// Classes with a filter that are pinned, and those of graph inputs that weights read; equal ones together.
  void report_kept() {
    std::map<int32_t, std::vector<NodeId>> layers_of_root;
    const auto visit = [&](const std::vector<WeightAxis>& axes, bool filters) {
      for (const WeightAxis& axis : axes) {
        const Space& space = coupling_.space(axis.space);
        for (int32_t i = 0; i < space.extent; ++i) {
          const int32_t root = coupling_.root(space.first + i), reason = coupling_.pinned_by(root);
          if (reason == kNoReason || (!filters && !coupling_.reason(reason).layer.empty())) continue;
          std::vector<NodeId>& layers = layers_of_root[root];
          if (filters && (layers.empty() || layers.back() != axis.node)) layers.push_back(axis.node);
        }
      }
    };
    visit(coupling_.filters, true);
    visit(coupling_.computed_filters, true);
    visit(coupling_.inputs, false);
    std::map<std::pair<std::vector<NodeId>, int32_t>, int64_t> channels;
    for (auto& [root, layers] : layers_of_root) {
      std::sort(layers.begin(), layers.end(),
                [&](NodeId a, NodeId b) { return position_.at(a) < position_.at(b); });
      ++channels[{layers, coupling_.pinned_by(root)}];
    }
    std::vector<std::pair<int32_t, Kept>> entries;
    for (const auto& [key, count] : channels) {
      const auto& [layers, reason_id] = key;
      const Reason& reason = coupling_.reason(reason_id);
      Kept kept{{}, count, reason.layer, reason.text};
      for (const NodeId node : layers) kept.layers.push_back(layer_name(graph_, graph_.node(node)));
      entries.emplace_back(layers.empty() ? -1 : position_.at(layers[0]), std::move(kept));
    }
    std::stable_sort(entries.begin(), entries.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    for (auto& entry : entries) found_.kept.push_back(std::move(entry.second));
  }

  const Graph& graph_;
  Coupling coupling_;
  std::unordered_map<NodeId, int32_t> position_;
  std::vector<UnitId> unit_of_root_;  ///< provisional numbers, as parts_ has them
  std::vector<UnitParts> parts_;
  Groups found_;
};

}  // namespace

const Group& Groups::group_of(UnitId unit) const {
  XDN_CHECK(unit >= 0 && unit < unit_count());
  const auto after = std::upper_bound(groups.begin(), groups.end(), unit,
                                      [](UnitId u, const Group& group) { return u < group.first_unit; });
  return *(after - 1);
}

std::span<const UnitId> Groups::units_of(ValueId value, size_t axis) const {
  if (value == kNoValue || static_cast<size_t>(value) >= units.size()) return {};
  const auto& axes = units[static_cast<size_t>(value)];
  return axis < axes.size() ? std::span<const UnitId>(axes[axis]) : std::span<const UnitId>();
}

Groups find_groups(const Graph& graph, const std::set<std::string>& keep) {
  return GroupBuilder(graph, keep).build();
}

std::vector<std::string> producer_names(const Graph& graph, const Group& group) {
  std::vector<std::string> out;
  for (const GroupLayer& layer : group.producers) out.push_back(layer_name(graph, graph.node(layer.node)));
  return out;
}

std::string describe(const Graph& graph, const Group& group) {
  std::string out;
  for (const std::string& name : producer_names(graph, group)) out += (out.empty() ? "" : " + ") + name;
  return out;
}

}  // namespace xdn::pruning
