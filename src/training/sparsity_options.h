#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "pruning/plan.h"

namespace xdn::training {

enum class SparsityKind : uint8_t {
  kGroupLasso,  ///< Wen et al., NeurIPS 2016
  kGrowing,     ///< Wang et al., "Neural Pruning via Growing Regularization", ICLR 2021
  kSoft,        ///< He et al., "Soft Filter Pruning", IJCAI 2018
};
std::optional<SparsityKind> parse_sparsity(const std::string& name);
std::string sparsity_name(SparsityKind kind);

/// Which units of a model are driven to zero while it learns, and how.
struct SparsityOptions {
  SparsityKind kind = SparsityKind::kGroupLasso;
  double strength = 0;  ///< of group lasso and growing; soft has none
  /// One step that removes no blocks, made for the model that is trained. Group lasso does without: all units
  /// are meant then.
  std::optional<pruning::Plan> plan = {};
  std::string plan_file = {};  ///< what errors call it
};

}  // namespace xdn::training
