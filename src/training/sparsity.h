#pragma once

#include <torch/types.h>

#include <vector>

#include "pruning/groups.h"
#include "pruning/plan.h"
#include "training/module.h"
#include "training/sparsity_options.h"

namespace xdn::training {

/// Drives units (pruning/groups.h) of a module to zero while it is trained. w is all of a unit that trains:
/// its filters and biases, and scale and bias of the BatchNorms behind (pruning::masked_axes); n its
/// elements.
///   group lasso: after a step of the optimizer, w *= max(0, 1 - rate * strength * sqrt(n) / |w|), the
///   proximal
///                step of strength * sqrt(n) * |w|. Of the plan's units; of all without a plan.
///   growing:     after step t of T, w *= max(0, 1 - rate * strength * t / T) for the plan's units
///   soft:        after an epoch the filters of so many units of each group as the plan removes become zero,
///                those whose l2 is smallest then, as a mean over a unit's filters; BatchNorms and biases
///                stay, so that filters can grow again. After the last epoch all of w does.
/// Nothing is kept between steps but the weights: whoever restores these goes on as if never interrupted.
class Sparsity {
 public:
  /// The module outlives it and stays on its device. Throws an input error naming the plan's file, and the
  /// layer, where the plan is none for the module, not of one step, removes blocks or nothing, or a unit to
  /// go has a constant other than zero that does not train; and, of the module, where it is quantized or
  /// there is nothing to remove at all.
  Sparsity(const Module& module, const SparsityOptions& options);

  /// After step `step`, from 0, of `steps`; `rate` is the optimizer's.
  void after_step(double rate, int64_t step, int64_t steps);
  /// Group lasso: the share of units that are zero, of those it acts on. Growing: |w of the units to go| / |w
  /// of all units|. Soft: the same, of the units that this call makes zero, before it does.
  double after_epoch(bool last);

  /// The units that are, by the weights as they are now, to be removed: group lasso's zeros (but one unit of
  /// a group that is zero as a whole), growing's planned ones, soft's smallest.
  pruning::Removal removal() const;
  /// The step that removes them.
  pruning::Plan plan(uint64_t seed) const;

 private:
  /// One axis of a parameter: which unit every index belongs to, unit_count() where none.
  struct Axis {
    size_t parameter;
    int64_t axis;
    at::Tensor units;
    bool acted_on = false;  ///< holds units that act() says
    bool filters = false;   ///< of a Conv, Gemm or MatMul
  };

  void read_plan();
  void find_axes();
  void require_zero(const pruning::Group& group, ValueId constant);
  bool acts_on(const pruning::Group& group) const;
  /// Per unit, and of what belongs to none: the sum of squares.
  at::Tensor squares() const;
  /// |parameter| at every index of the axis, f64.
  at::Tensor norms_along(const Axis& axis) const;
  void scale(const at::Tensor& factors) const;
  double share_of(const pruning::Removal& units) const;
  void make_zero(const pruning::Removal& units, bool all) const;
  /// Per unit: the mean of |filter| over its filters.
  std::vector<double> filter_norms() const;
  /// What plans say units are worth: |filter| folded, or what soft chooses by.
  std::vector<double> magnitudes() const;
  at::Tensor mask_of(const pruning::Removal& units) const;

  const Module& module_;
  const SparsityOptions options_;
  pruning::Groups groups_;
  pruning::Removal planned_;  ///< what the plan removes
  pruning::Removal acting_;   ///< units that may become zero
  std::vector<Axis> axes_;
  at::Tensor elements_, acting_mask_;  ///< per unit, one more
};

}  // namespace xdn::training
