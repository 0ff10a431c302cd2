#include "pruning/importance.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "base/error.h"
#include "fusion/affine.h"
#include "pruning/coupling.h"

namespace xdn::pruning {
namespace {

constexpr std::string_view kCriterionNames[] = {
#define XDN_CRITERION(Name, spelling) spelling,
#include "pruning/criteria.inc"
};

double sum_of(std::span<const float> filter, double (*term)(double)) {
  double sum = 0;
  for (const float w : filter) sum += term(static_cast<double>(w));
  return sum;
}

/// |a - b|. Lanes of floats, so that the compiler can vectorise; no term is larger than the sum.
double distance(std::span<const float> a, std::span<const float> b) {
  constexpr size_t kLanes = 16;
  std::array<float, kLanes> lanes{};
  const size_t whole = a.size() / kLanes * kLanes;
  for (size_t i = 0; i < whole; i += kLanes) {
    for (size_t l = 0; l < kLanes; ++l) {
      const float d = a[i + l] - b[i + l];
      lanes[l] += d * d;
    }
  }
  double sum = 0;
  for (const float lane : lanes) sum += static_cast<double>(lane);
  for (size_t i = whole; i < a.size(); ++i) {
    const double d = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    sum += d * d;
  }
  return std::sqrt(sum);
}

std::vector<double> fpgm_scores(const FoldedWeights& weights) {
  const auto filter = [&](int64_t f) {
    return std::span(weights.values)
        .subspan(static_cast<size_t>(f * weights.length), static_cast<size_t>(weights.length));
  };
  std::vector<double> out(static_cast<size_t>(weights.filters), 0);
  for (int64_t a = 0; a < weights.filters; ++a) {
    for (int64_t b = 0; b < a; ++b) {
      const double d = distance(filter(a), filter(b));
      out[static_cast<size_t>(a)] += d;
      out[static_cast<size_t>(b)] += d;
    }
  }
  return out;
}

/// SplitMix64's mixing of the n-th number (Steele et al., 2014), in [0, 1).
double random_at(uint64_t seed, uint64_t n) {
  uint64_t z = seed + (n + 1) * 0x9E3779B97F4A7C15ull;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

class Scorer {
 public:
  Scorer(const Graph& graph, const ImportanceOptions& options) : graph_(graph), options_(options) {}

  /// Of every filter of the layer.
  const std::vector<double>& scores(NodeId node) {
    const auto [at, is_new] = scores_.try_emplace(node);
    if (!is_new) return at->second;
    const std::string name = layer_name(graph_, graph_.node(node));
    at->second = options_.criterion == Criterion::kTaylor ? given(name) : computed(node);
    for (const double score : at->second) {
      if (!(score >= 0) || !std::isfinite(score))
        throw input_error("has a filter whose importance is not a number, or negative").in_layer(name);
    }
    const Node& layer = graph_.node(node);
    const auto filters = static_cast<size_t>(graph_.value(layer.inputs[1]).shape[filter_axis(layer)]);
    if (!at->second.empty() && at->second.size() != filters) {
      throw input_error("has " + std::to_string(filters) + " filters, but " +
                        std::to_string(at->second.size()) + " importances were given")
          .in_layer(name);
    }
    return at->second;
  }

 private:
  std::vector<double> given(const std::string& name) const {
    const auto found = options_.given.find(name);
    if (found == options_.given.end() || found->second.empty())
      throw input_error("no importances were given for it").in_layer(name);
    return found->second;
  }

  std::vector<double> computed(NodeId node) const {
    const FoldedWeights weights = folded_weights(graph_, node);
    if (options_.criterion == Criterion::kFpgm) return fpgm_scores(weights);
    std::vector<double> out;
    if (options_.criterion == Criterion::kBnScale) {
      for (const double gamma : weights.gamma) out.push_back(std::abs(gamma));
      return out;
    }
    for (int64_t f = 0; f < weights.filters; ++f) {
      const auto filter =
          std::span(weights.values)
              .subspan(static_cast<size_t>(f * weights.length), static_cast<size_t>(weights.length));
      out.push_back(options_.criterion == Criterion::kL1
                        ? sum_of(filter, [](double w) { return std::abs(w); })
                        : std::sqrt(sum_of(filter, [](double w) { return w * w; })));
    }
    return out;
  }

  const Graph& graph_;
  const ImportanceOptions& options_;
  std::map<NodeId, std::vector<double>> scores_;  ///< empty where the criterion does not know the layer
};

/// One number per unit of the group, over all filters of all producers that the criterion knows.
std::vector<double> reduced(const Graph& graph, const Group& group, Scorer& scorer, Reduce reduce) {
  std::vector<double> out(static_cast<size_t>(group.units), 0);
  int64_t terms = 0;
  for (const GroupLayer& layer : group.producers) {
    const std::vector<double>& scores = scorer.scores(layer.node);
    if (scores.empty()) continue;
    const GroupAxis& axis = group.axes[layer.axis];
    terms += axis.per_unit;
    for (size_t i = 0; i < axis.indices.size(); ++i) {
      double& unit = out[i / static_cast<size_t>(axis.per_unit)];
      const double score = scores[static_cast<size_t>(axis.indices[i])];
      unit = reduce == Reduce::kMax ? std::max(unit, score) : unit + score;
    }
  }
  if (terms == 0) {
    throw input_error("no BatchNorm follows, so that its scale cannot tell what the layer is worth")
        .in_layer(layer_name(graph, graph.node(group.producers[0].node)));
  }
  if (reduce == Reduce::kMean) {
    for (double& unit : out) unit /= static_cast<double>(terms);
  }
  return out;
}

void normalize(std::vector<double>& scores, Normalize by) {
  double divisor = 0;
  for (const double score : scores) {
    if (by == Normalize::kMax) divisor = std::max(divisor, score);
    if (by == Normalize::kMean) divisor += score / static_cast<double>(scores.size());
    if (by == Normalize::kL2) divisor += score * score;
  }
  if (by == Normalize::kL2) divisor = std::sqrt(divisor);
  if (by == Normalize::kNone || divisor == 0) return;
  for (double& score : scores) score /= divisor;
}

}  // namespace

std::string_view criterion_name(Criterion criterion) {
  return kCriterionNames[static_cast<size_t>(criterion)];
}

std::optional<Criterion> parse_criterion(std::string_view name) {
  const auto found = std::find(std::begin(kCriterionNames), std::end(kCriterionNames), name);
  if (found == std::end(kCriterionNames)) return std::nullopt;
  return static_cast<Criterion>(found - std::begin(kCriterionNames));
}

std::vector<std::string> criterion_names() {
  return {std::begin(kCriterionNames), std::end(kCriterionNames)};
}

FoldedWeights folded_weights(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const Tensor& weights = graph.constant(node.inputs[1]);
  const bool first = filter_axis(node) == 0;
  FoldedWeights out;
  out.filters = weights.dim(first ? 0 : 1);
  out.length = out.filters == 0 ? 0 : weights.size() / out.filters;

  std::vector<double> scale(static_cast<size_t>(out.filters), 1);
  std::vector<double> gamma = scale;
  bool learned = false;
  const Activation none;
  bool linear = node.type == OpType::kMatMul ||
                (node.type == OpType::kConv && node.as<ConvAttrs>().act == none) ||
                (node.type == OpType::kGemm && node.as<GemmAttrs>().act == none);
  const auto users = graph.users();
  for (ValueId y = node.output; linear;) {
    if (graph.is_output(y) || users[static_cast<size_t>(y)].size() != 1) break;
    const Node& next = graph.node(users[static_cast<size_t>(y)][0]);
    const auto affine = fusion::affine_of(graph, next);
    linear = affine && affine->x == y && affine->scale.size() == scale.size();
    if (!linear) break;
    const bool is_norm = next.type == OpType::kBatchNorm;
    learned |= is_norm;
    for (size_t c = 0; c < scale.size(); ++c) {
      scale[c] *= affine->scale[c];
      gamma[c] *=
          is_norm ? graph.constant(next.inputs[1]).as_double(static_cast<int64_t>(c)) : affine->scale[c];
    }
    y = next.output;
  }

  out.values.resize(static_cast<size_t>(weights.size()));
  for (int64_t f = 0; f < out.filters; ++f) {
    for (int64_t i = 0; i < out.length; ++i) {
      const int64_t at = first ? f * out.length + i : i * out.filters + f;
      out.values[static_cast<size_t>(f * out.length + i)] =
          static_cast<float>(weights.as_double(at) * scale[static_cast<size_t>(f)]);
    }
  }
  if (learned) out.gamma = std::move(gamma);
  return out;
}

std::vector<double> importance(const Graph& graph, const Groups& groups, const ImportanceOptions& options) {
  Scorer scorer(graph, options);
  std::vector<double> out;
  for (const Group& group : groups.groups) {
    std::vector<double> scores;
    if (options.criterion == Criterion::kRandom) {
      for (UnitId unit = group.first_unit; unit < group.end_unit(); ++unit)
        scores.push_back(random_at(options.seed, static_cast<uint64_t>(unit)));
    } else {
      scores = reduced(graph, group, scorer, options.reduce);
    }
    normalize(scores, options.normalize);
    out.insert(out.end(), scores.begin(), scores.end());
  }
  return out;
}

}  // namespace xdn::pruning
