#include "quantization/search.h"

#include <fmt/format.h>

#include <algorithm>

#include "evaluator/resources.h"

namespace xdn {
namespace {

/// Images to rank layers by: logits, unlike predictions, tell the layers apart on few.
constexpr int64_t kRankingImages = 256;

class Search {
 public:
  Search(const Quantizer& quantizer, Judge& judge, const SearchOptions& options,
         const SearchProgress& progress)
      : quantizer_(quantizer), judge_(judge), options_(options), progress_(progress) {}

  SearchResult run(const Graph& original) {
    if (!free_dearest(0) && !exhausted(1)) {
      rank();
      bisect();
    }
    const bool any = std::any_of(result_.trials.begin(), result_.trials.end(),
                                 [](const Trial& trial) { return trial.within; });
    if (!any && static_cast<int>(result_.trials.size()) < options_.most_trials) try_bf16(original);
    choose();
    return std::move(result_);
  }

 private:
  /// No time is left, or no trial besides those that are `reserved`.
  bool exhausted(int reserved) {
    const bool over = static_cast<int>(result_.trials.size()) + reserved >= options_.most_trials ||
                      watch_.seconds() >= options_.most_seconds;
    result_.stopped = result_.stopped || over;
    return over;
  }

  bool judge(std::string name, Graph model, std::map<std::string, FloatKind> float_layers) {
    Trial trial;
    trial.name = std::move(name);
    trial.float_layers = std::move(float_layers);
    trial.verdict = judge_.judge(std::move(model));
    // Counted in images, so that a budget of 0.2 points of 5,000 is 10 of them, not 9.99.
    const auto& c = trial.verdict.comparison;
    const double allowed = options_.max_drop / 100 * static_cast<double>(c.images()) + 1e-6;
    trial.within = static_cast<double>(c.correct_a() - c.correct_b()) <= allowed;
    progress_.judged(trial);
    result_.trials.push_back(std::move(trial));
    return result_.trials.back().within;
  }

  std::map<std::string, FloatKind> all_layers(FloatKind kind) const {
    std::map<std::string, FloatKind> layers;
    for (const LinearLayer& layer : quantizer_.layers())
      layers.emplace(quantizer_.graph().node(layer.id).name, kind);
    return layers;
  }

  std::map<std::string, FloatKind> dearest(size_t n) const {
    std::map<std::string, FloatKind> layers = options_.kept;
    for (size_t i = 0; i < n; ++i) layers.emplace(result_.sensitivities[i].layer, options_.fallback);
    return layers;
  }

  bool free_dearest(size_t n) {
    std::map<std::string, FloatKind> layers = dearest(n);
    const std::string name =
        layers.empty() ? "int8"
                       : fmt::format("int8 but {} layer{}", layers.size(), layers.size() == 1 ? "" : "s");
    Graph model = quantizer_.quantized(layers);
    return judge(name, std::move(model), std::move(layers));
  }

  void rank() {
    const std::vector<LinearLayer> candidates = quantizer_.layers();
    std::map<std::string, FloatKind> layers = options_.kept;
    layers.merge(all_layers(options_.fallback));
    const double none = judge_.judge(quantizer_.quantized(layers), kRankingImages).logit_error;
    size_t ranked = 0;
    for (const LinearLayer& layer : candidates) {
      progress_.ranked(++ranked, candidates.size());
      const std::string& name = quantizer_.graph().node(layer.id).name;
      if (options_.kept.contains(name)) continue;
      // Half of the time is for the trials; what is not ranked by then counts as cheap.
      if (watch_.seconds() >= options_.most_seconds / 2) {
        result_.stopped = true;
        result_.sensitivities.push_back({name, 0});
        continue;
      }
      layers.erase(name);
      const double alone = judge_.judge(quantizer_.quantized(layers), kRankingImages).logit_error;
      layers.emplace(name, options_.fallback);
      result_.sensitivities.push_back({name, alone - none});
    }
    std::stable_sort(result_.sensitivities.begin(), result_.sensitivities.end(),
                     [](const Sensitivity& a, const Sensitivity& b) { return a.cost > b.cost; });
  }

  void bisect() {
    const size_t layers = result_.sensitivities.size();
    size_t failed = 0, n = 1, found = 0;
    while (n < layers && !exhausted(1)) {  // bf16 may have to be tried yet
      if (free_dearest(n)) {
        found = n;
        break;
      }
      failed = n;
      n *= 2;
    }
    while (found > failed + 1 && !exhausted(0)) {
      const size_t middle = failed + (found - failed) / 2;
      (free_dearest(middle) ? found : failed) = middle;
    }
  }

  void try_bf16(const Graph& original) {
    result_.all_bf16 = judge("bf16", bf16_model(original), all_layers(FloatKind::kBf16));
  }

  void choose() {
    for (size_t i = 0; i < result_.trials.size(); ++i) {
      const Trial& trial = result_.trials[i];
      if (!trial.within) continue;
      // The fewer layers are float, the faster; measured speeds of single runs are too noisy to tell.
      if (result_.chosen < 0 ||
          trial.float_layers.size() < result_.trials[static_cast<size_t>(result_.chosen)].float_layers.size())
        result_.chosen = static_cast<int>(i);
    }
  }

  const Quantizer& quantizer_;
  Judge& judge_;
  const SearchOptions& options_;
  const SearchProgress& progress_;
  const Stopwatch watch_;
  SearchResult result_;
};

}  // namespace

SearchResult search_layers(const Quantizer& quantizer, Judge& judge, const Graph& original,
                           const SearchOptions& options, const SearchProgress& progress) {
  return Search(quantizer, judge, options, progress).run(original);
}

}  // namespace xdn
