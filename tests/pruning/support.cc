#include "pruning/support.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>

#include "executor/reference.h"
#include "pruning/widths.h"
#include "support/guarded.h"

namespace xdn::testing {

using pruning::Group;
using pruning::GroupLayer;
using pruning::Groups;
using pruning::kNoUnit;
using pruning::Removal;
using pruning::UnitId;

std::string summary(const Graph& graph, const Groups& groups) {
  std::string out;
  const auto names = [&](const std::vector<GroupLayer>& layers) {
    std::string list;
    for (const GroupLayer& layer : layers)
      list += (list.empty() ? "" : " + ") + layer_name(graph, graph.node(layer.node));
    return list;
  };
  for (const Group& group : groups.groups) {
    out +=
        names(group.producers) + " x" + std::to_string(group.units) + " > " + names(group.consumers) + "\n";
  }
  for (const pruning::Kept& kept : groups.kept) {
    std::string list;
    for (const std::string& layer : kept.layers) list += (list.empty() ? "" : " + ") + layer;
    out += "! " + list + " x" + std::to_string(kept.channels) + ": " +
           (kept.at.empty() ? "" : kept.at + ": ") + kept.reason + "\n";
  }
  return out;
}

std::string summary(const std::string& text) {
  const Graph graph = parse_graph(text);
  return summary(graph, pruning::find_groups(graph));
}

const Group& group_of_layer(const Graph& graph, const Groups& groups, const std::string& layer) {
  for (const Group& group : groups.groups) {
    for (const GroupLayer& producer : group.producers) {
      if (layer_name(graph, graph.node(producer.node)) == layer) return group;
    }
  }
  throw std::runtime_error("no group of " + layer);
}

Removal remove_none(const Groups& groups) { return Removal(static_cast<size_t>(groups.unit_count()), false); }

Removal random_removal(const Graph& graph, const Groups& groups, int64_t percent, uint64_t seed,
                       int64_t least) {
  Uniform random(seed);
  Removal removed = remove_none(groups);
  pruning::Widths widths(graph, groups);
  for (size_t g = 0; g < groups.groups.size(); ++g) {
    for (UnitId unit = groups.groups[g].first_unit; unit < groups.groups[g].end_unit(); ++unit) {
      if (random.between(1, 100) > percent || !widths.can_remove(g, 1, least)) continue;
      widths.remove(g, 1);
      removed[static_cast<size_t>(unit)] = true;
    }
  }
  return removed;
}

std::vector<Tensor> random_images(const Graph& graph) {
  std::vector<Tensor> out;
  Uniform random(7);
  for (const ValueId id : graph.inputs()) {
    Dims dims = graph.value(id).shape;
    std::replace(dims.begin(), dims.end(), kBatch, int64_t{2});
    Tensor tensor(DType::kF32, dims);
    for (float& v : tensor.mutable_data<float>()) v = random();
    out.push_back(tensor.converted(graph.value(id).dtype));
  }
  return out;
}

namespace {

bool goes(const Groups& groups, const Removal& removed, ValueId value, size_t axis, int64_t index) {
  const auto units = groups.units_of(value, axis);
  if (units.empty() || units[static_cast<size_t>(index)] == kNoUnit) return false;
  return removed[static_cast<size_t>(units[static_cast<size_t>(index)])];
}

/// Calls use(element, whether the element belongs to a removed unit).
template <class Use>
void for_each_element(const Groups& groups, const Removal& removed, ValueId value, const Tensor& tensor,
                      Use use) {
  Dims at(tensor.rank(), 0);
  for (int64_t i = 0; i < tensor.size(); ++i) {
    bool out = false;
    for (size_t axis = 0; axis < at.size(); ++axis) out = out || goes(groups, removed, value, axis, at[axis]);
    use(i, out);
    for (size_t axis = at.size(); axis-- > 0 && ++at[axis] == tensor.dim(axis);) at[axis] = 0;
  }
}

/// Both sum in double, in the same order, but for zeros: they differ by nothing, or are no numbers.
void expect_equal(double a, double b, const std::string& value) {
  if (std::isnan(a) && std::isnan(b)) return;
  ASSERT_EQ(a, b) << value;
}

}  // namespace

Graph expect_masked_equals_removed(const Graph& graph, const Groups& groups, const Removal& removed) {
  const Graph smaller = pruning::remove_channels(graph, groups, removed);
  const Graph masked = pruning::mask_channels(graph, groups, removed);
  EXPECT_NO_THROW(verify(smaller));
  EXPECT_NO_THROW(verify(masked));
  const std::vector<Tensor> images = random_images(graph);
  std::map<std::string, Tensor> small_values, masked_values;
  run_reference(smaller, images, &small_values);
  run_reference(masked, images, &masked_values);
  for (size_t o = 0; o < graph.outputs().size(); ++o) {
    const auto& before = graph.value(graph.outputs()[o]);
    const auto& after = smaller.value(smaller.outputs()[o]);
    EXPECT_EQ(before.name, after.name);
    EXPECT_EQ(before.shape, after.shape);
  }
  for (const NodeId id : graph.order()) {
    const ValueId value = graph.output_of(id);
    const std::string& name = graph.value(value).name;
    const Tensor &all = masked_values.at(name), &rest = small_values.at(name);
    int64_t next = 0;
    for_each_element(groups, removed, value, all, [&](int64_t i, bool out) {
      if (out || ::testing::Test::HasFailure()) return;
      ASSERT_LT(next, rest.size()) << name;
      expect_equal(all.as_double(i), rest.as_double(next++), name);
    });
    if (!::testing::Test::HasFailure()) {
      EXPECT_EQ(next, rest.size()) << name;
    }
  }
  for (ValueId id = 0; id < static_cast<ValueId>(graph.value_count()); ++id) {
    if (!graph.is_constant(id)) continue;
    const Tensor &before = graph.constant(id), &after = masked.constant(id);
    for_each_element(groups, removed, id, before, [&](int64_t i, bool out) {
      if (!out && !::testing::Test::HasFailure())
        expect_equal(before.as_double(i), after.as_double(i), graph.value(id).name);
    });
  }
  return smaller;
}

void expect_zero_channels(const Graph& graph, const Groups& groups, const Removal& removed) {
  const Graph masked = pruning::mask_channels(graph, groups, removed);
  std::map<std::string, Tensor> values;
  run_reference(masked, random_images(graph), &values);
  for (const NodeId id : graph.order()) {
    const ValueId value = graph.output_of(id);
    const Tensor& tensor = values.at(graph.value(value).name);
    for_each_element(groups, removed, value, tensor, [&](int64_t i, bool out) {
      if (out && !::testing::Test::HasFailure()) {
        EXPECT_EQ(tensor.as_double(i), 0) << graph.value(value).name << " at " << i;
      }
    });
  }
}

}  // namespace xdn::testing
