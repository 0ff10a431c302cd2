#include "training/sparsity.h"

#include <fmt/format.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/error.h"
#include "base/log.h"
#include "pruning/coupling.h"
#include "pruning/importance.h"

namespace xdn::training {
namespace {

using pruning::Group;
using pruning::Removal;
using pruning::UnitId;

constexpr const char* kNames[] = {"group-lasso", "growing", "soft"};

int64_t removed_of(const Group& group, const Removal& removed) {
  const auto first = removed.begin() + group.first_unit;
  return std::count(first, first + group.units, true);
}

/// A constant whose readers are BatchNorms: statistics, and the scale and bias that Module merges with those
/// behind. With what trains at zero they do not matter.
bool only_normalises(const Graph& graph, const std::vector<NodeId>& readers) {
  return std::all_of(readers.begin(), readers.end(),
                     [&](NodeId id) { return graph.node(id).type == OpType::kBatchNorm; });
}

bool is_zero(const Tensor& tensor) {
  for (int64_t i = 0; i < tensor.size(); ++i) {
    if (tensor.as_double(i) != 0) return false;
  }
  return true;
}

/// A vector that multiplies along one axis.
at::Tensor along(const at::Tensor& vector, const at::Tensor& parameter, int64_t axis) {
  std::vector<int64_t> shape(static_cast<size_t>(parameter.dim()), 1);
  shape[static_cast<size_t>(axis)] = vector.numel();
  return vector.view(shape);
}

}  // namespace

std::optional<SparsityKind> parse_sparsity(const std::string& name) {
  const auto found = std::find(std::begin(kNames), std::end(kNames), name);
  if (found == std::end(kNames)) return std::nullopt;
  return static_cast<SparsityKind>(found - std::begin(kNames));
}

std::string sparsity_name(SparsityKind kind) { return kNames[static_cast<size_t>(kind)]; }

Sparsity::Sparsity(const Module& module, const SparsityOptions& options)
    : module_(module), options_(options) {
  XDN_CHECK(options.plan || options.kind == SparsityKind::kGroupLasso);
  if (module.is_quantized()) throw input_error("is quantized: --sparsity expects the float model");
  try {
    read_plan();
    find_axes();
  } catch (Error& error) {
    throw options.plan && !options.plan_file.empty() ? error.in_file(options.plan_file) : error;
  }
}

void Sparsity::read_plan() {
  const Graph& graph = module_.structure();
  if (!options_.plan) {
    groups_ = pruning::find_groups(graph);
    acting_.assign(static_cast<size_t>(groups_.unit_count()), true);
    if (acting_.empty()) throw input_error("has no channels that could be removed");
    return;
  }
  const auto& steps = options_.plan->steps;
  if (steps.size() != 1) throw input_error(fmt::format("has {} steps, expected one", steps.size()));
  if (!steps[0].blocks.empty()) {
    throw input_error("removes this block, which no sparsity does: expected a plan of channels alone")
        .in_layer(steps[0].blocks[0]);
  }
  groups_ = pruning::find_groups(graph, {steps[0].keep.begin(), steps[0].keep.end()});
  planned_ = pruning::removal_of(graph, groups_, steps[0]);
  if (std::find(planned_.begin(), planned_.end(), true) == planned_.end())
    throw input_error("removes nothing");
  acting_ = planned_;
  if (options_.kind != SparsityKind::kSoft) return;
  for (const Group& group : groups_.groups) {
    const bool any = removed_of(group, planned_) > 0;
    std::fill_n(acting_.begin() + group.first_unit, group.units, any);
  }
}

bool Sparsity::acts_on(const Group& group) const { return removed_of(group, acting_) > 0; }

/// A constant that does not train must not speak for units that have become zero.
void Sparsity::require_zero(const Group& group, ValueId constant) {
  const Graph& graph = module_.structure();
  if (!acts_on(group) || is_zero(graph.constant(constant))) return;
  if (options_.plan) {
    throw input_error(fmt::format("cannot become zero: the constant '{}' behind it does not train",
                                  printable(graph.value(constant).name)))
        .in_layer(pruning::producer_names(graph, group)[0]);
  }
  std::fill_n(acting_.begin() + group.first_unit, group.units, false);
}

void Sparsity::find_axes() {
  const Graph& graph = module_.structure();
  const auto users = graph.users();
  std::map<ValueId, size_t> parameters;
  for (size_t i = 0; i < module_.parameters().size(); ++i)
    parameters.emplace(module_.parameters()[i].constant, i);
  const auto none = static_cast<int64_t>(groups_.unit_count());
  std::map<std::pair<size_t, size_t>, std::vector<int64_t>> units;
  std::set<std::pair<size_t, size_t>> filters;
  for (const Group& group : groups_.groups) {
    // Units of a group touch the same axes: the first tells which.
    Removal first(acting_.size(), false);
    first[static_cast<size_t>(group.first_unit)] = true;
    for (const pruning::MaskedAxis& masked : pruning::masked_axes(graph, groups_, first)) {
      if (masked.fill != 0) continue;
      const auto parameter = parameters.find(masked.value);
      if (parameter == parameters.end()) {
        if (!only_normalises(graph, users[static_cast<size_t>(masked.value)]))
          require_zero(group, masked.value);
        continue;
      }
      const auto of_index = groups_.units_of(masked.value, masked.axis);
      auto& owners = units.try_emplace({parameter->second, masked.axis}, of_index.size(), none).first->second;
      for (size_t i = 0; i < of_index.size(); ++i) {
        if (of_index[i] >= group.first_unit && of_index[i] < group.end_unit()) owners[i] = of_index[i];
      }
    }
    for (const pruning::GroupLayer& layer : group.producers) {
      const auto weights = parameters.find(graph.node(layer.node).inputs[1]);
      if (weights != parameters.end()) filters.emplace(weights->second, layer.axis);
    }
  }
  const at::Device device = module_.parameters()[0].value.device();
  acting_mask_ = mask_of(acting_);
  elements_ = at::zeros({none + 1}, at::TensorOptions(at::kDouble).device(device));
  for (const auto& [place, owners] : units) {
    const at::Tensor& value = module_.parameters()[place.first].value;
    Axis axis{place.first, static_cast<int64_t>(place.second), at::tensor(owners).to(device)};
    axis.acted_on = acting_mask_.index_select(0, axis.units).any().item<bool>();
    axis.filters = filters.contains(place);
    const auto length = static_cast<double>(value.numel()) / static_cast<double>(owners.size());
    elements_.index_add_(0, axis.units, at::full_like(axis.units, length, at::kDouble));
    axes_.push_back(std::move(axis));
  }
}

at::Tensor Sparsity::mask_of(const Removal& units) const {
  at::Tensor mask = at::zeros({static_cast<int64_t>(units.size()) + 1}, at::kBool);
  for (size_t i = 0; i < units.size(); ++i) mask.data_ptr<bool>()[i] = units[i];
  return mask.to(module_.parameters()[0].value.device());
}

at::Tensor Sparsity::squares() const {
  at::Tensor sums = at::zeros_like(elements_);
  for (const Axis& axis : axes_) sums.index_add_(0, axis.units, norms_along(axis).square());
  return sums;
}

at::Tensor Sparsity::norms_along(const Axis& axis) const {
  const at::Tensor value = module_.parameters()[axis.parameter].value.detach();
  std::vector<int64_t> others;
  for (int64_t i = 0; i < value.dim(); ++i) {
    if (i != axis.axis) others.push_back(i);
  }
  return (others.empty() ? value : at::linalg_vector_norm(value, 2, others)).to(at::kDouble);
}

void Sparsity::scale(const at::Tensor& factors) const {
  const at::Tensor of_unit = factors.to(at::kFloat);
  for (const Axis& axis : axes_) {
    if (!axis.acted_on) continue;
    at::Tensor value = module_.parameters()[axis.parameter].value;
    value.mul_(along(of_unit.index_select(0, axis.units), value, axis.axis));
  }
}

void Sparsity::after_step(double rate, int64_t step, int64_t steps) {
  if (options_.kind == SparsityKind::kSoft) return;
  const at::NoGradGuard no_grad;
  const at::Tensor one = at::ones_like(elements_);
  if (options_.kind == SparsityKind::kGrowing) {
    const double grown = options_.strength * static_cast<double>(step + 1) / static_cast<double>(steps);
    return scale(at::where(acting_mask_, one * std::max(0.0, 1 - rate * grown), one));
  }
  const at::Tensor norms = squares().sqrt(), shrink = elements_.sqrt() * (rate * options_.strength);
  const at::Tensor factors = at::where(norms <= shrink, at::zeros_like(one), one - shrink / norms);
  scale(at::where(acting_mask_, factors, one));
}

double Sparsity::share_of(const Removal& units) const {
  const at::Tensor sums = squares();
  const double all = sums.narrow(0, 0, groups_.unit_count()).sum().item<double>();
  const double those = sums.masked_select(mask_of(units)).sum().item<double>();
  return all == 0 ? 0 : std::sqrt(those / all);
}

double Sparsity::after_epoch(bool last) {
  const at::NoGradGuard no_grad;
  if (options_.kind == SparsityKind::kGroupLasso) {
    const at::Tensor acted_on = squares().masked_select(acting_mask_);
    if (acted_on.numel() == 0) return 0;
    return acted_on.eq(0).to(at::kDouble).mean().item<double>();
  }
  const Removal units = removal();
  const double share = share_of(units);
  if (options_.kind == SparsityKind::kSoft) make_zero(units, last);
  return share;
}

void Sparsity::make_zero(const Removal& units, bool all) const {
  if (!all) {
    const at::Tensor mask = mask_of(units).logical_not().to(at::kFloat);
    for (const Axis& axis : axes_) {
      if (!axis.filters) continue;
      at::Tensor value = module_.parameters()[axis.parameter].value;
      value.mul_(along(mask.index_select(0, axis.units), value, axis.axis));
    }
    return;
  }
  for (const pruning::MaskedAxis& masked : pruning::masked_axes(module_.structure(), groups_, units)) {
    if (masked.fill != 0) continue;
    for (const Parameter& parameter : module_.parameters()) {
      if (parameter.constant != masked.value) continue;
      at::Tensor value = parameter.value;
      value.index_fill_(static_cast<int64_t>(masked.axis), at::tensor(masked.indices).to(value.device()), 0);
    }
  }
}

/// As they are, not folded: a BatchNorm that normalises by the batch makes up for the norm of a filter that
/// has been zeroed and grows again, so that folded it would seem as large as the others.
std::vector<double> Sparsity::filter_norms() const {
  at::Tensor sums = at::zeros_like(elements_), filters = at::zeros_like(elements_);
  for (const Axis& axis : axes_) {
    if (!axis.filters) continue;
    const at::Tensor norms = norms_along(axis);
    sums.index_add_(0, axis.units, norms);
    filters.index_add_(0, axis.units, at::ones_like(norms));
  }
  const at::Tensor means = (sums / filters.clamp_min(1)).cpu().contiguous();
  return {means.data_ptr<double>(), means.data_ptr<double>() + groups_.unit_count()};
}

std::vector<double> Sparsity::magnitudes() const {
  if (options_.kind == SparsityKind::kSoft) return filter_norms();
  return pruning::importance(
      module_.graph(), groups_,
      {.criterion = pruning::Criterion::kL2, .normalize = pruning::Normalize::kNone, .given = {}});
}

Removal Sparsity::removal() const {
  if (options_.kind == SparsityKind::kGrowing) return planned_;
  if (options_.kind == SparsityKind::kSoft) {
    std::vector<int64_t> remaining;
    for (const Group& group : groups_.groups) remaining.push_back(group.units - removed_of(group, planned_));
    return pruning::remove_least(groups_, magnitudes(), remaining);
  }
  const at::NoGradGuard no_grad;
  const at::Tensor zero = squares().eq(0).logical_and(acting_mask_).cpu();
  Removal removed(acting_.size(), false);
  for (size_t i = 0; i < removed.size(); ++i) removed[i] = zero.data_ptr<bool>()[i];
  for (const Group& group : groups_.groups) {
    if (removed_of(group, removed) < group.units) continue;
    log_warning(fmt::format("all channels of {} are zero: one stays in the plan",
                            printable(pruning::describe(module_.structure(), group))));
    removed[static_cast<size_t>(group.first_unit)] = false;
  }
  return removed;
}

pruning::Plan Sparsity::plan(uint64_t seed) const {
  pruning::PlanStep step = pruning::plan_step(module_.structure(), groups_, removal(), magnitudes());
  step.method = sparsity_name(options_.kind);
  step.seed = seed;
  if (options_.plan) step.keep = options_.plan->steps[0].keep;
  return {{std::move(step)}};
}

}  // namespace xdn::training
