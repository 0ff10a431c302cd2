#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pruning/groups.h"

namespace xdn::pruning {

enum class Criterion {
#define XDN_CRITERION(Name, spelling) k##Name,
#include "pruning/criteria.inc"
};
std::string_view criterion_name(Criterion criterion);
std::optional<Criterion> parse_criterion(std::string_view name);
std::vector<std::string> criterion_names();  ///< in the list's order

/// How the scores of a unit's filters become one.
enum class Reduce { kSum, kMean, kMax };
/// By what a group's scores are divided, so that groups compare: nothing, their mean, largest or Euclidean
/// norm.
enum class Normalize { kNone, kMean, kMax, kL2 };

/// One number per filter, by layer name.
using LayerScores = std::map<std::string, std::vector<double>>;

struct ImportanceOptions {
  Criterion criterion = Criterion::kL2;
  Reduce reduce = Reduce::kMean;
  Normalize normalize = Normalize::kMean;
  uint64_t seed = 0;       ///< of kRandom
  LayerScores given = {};  ///< of kTaylor: for every layer that is a producer of a group
};

/// What every unit is worth, not negative. Weights count as they are once the BatchNorm, Mul or Div behind
/// them is folded in; the graph stays as it is. Throws an input error naming the layer whose score is
/// missing, of the wrong length, negative or no number.
std::vector<double> importance(const Graph& graph, const Groups& groups, const ImportanceOptions& options);

/// The weights of a Conv, Gemm or MatMul, filter after filter, times the scale of the affine nodes behind it.
struct FoldedWeights {
  int64_t filters = 0, length = 0;
  std::vector<float> values;
  std::vector<double> gamma;  ///< per filter, the scale that BatchNorms learned; empty where there is none
};
FoldedWeights folded_weights(const Graph& graph, NodeId node);

}  // namespace xdn::pruning
