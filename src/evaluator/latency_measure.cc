#include "evaluator/latency_measure.h"

#include <algorithm>
#include <map>
#include <memory>
#include <numeric>
#include <optional>

#include "base/cpu.h"
#include "base/error.h"
#include "evaluator/evaluate.h"
#include "evaluator/latency.h"
#include "evaluator/resources.h"
#include "evaluator/step_layers.h"
#include "evaluator/synthetic.h"
#include "pruning/select.h"
#include "pruning/width_variants.h"

namespace xdn {
namespace {

using pruning::LatencyData;
using pruning::LatencyShape;
using pruning::LatencyTable;
using pruning::LayerWidths;

/// Of planned variants that wait for their turns.
constexpr int64_t kMostBytes = int64_t{2} << 30;

/// A variant's turn lasts at least this long: with small batches it runs several times.
constexpr double kTurnSeconds = 0.02;

const char* fusion_name(FusionLevel level) {
  return level == FusionLevel::kOff          ? "off"
         : level == FusionLevel::kAggressive ? "aggressive"
                                             : "traditional";
}

/// A network of some widths, planned, and how long it took.
struct Variant {
  std::unique_ptr<Executor> executor;
  std::vector<LayerWidths> widths;  ///< by layer, in the order of table_names of the whole graph
  StepLayers layers;
  std::vector<double> run_seconds;          ///< of every run, per image
  std::vector<std::vector<double>> shares;  ///< by step: of all steps' time in every run
};

class Measurement {
 public:
  Measurement(const Graph& graph, const pruning::Groups& groups, const LatencyMeasureOptions& options)
      : graph_(graph), groups_(groups), options_(options), names_(pruning::table_names(graph)) {
    options_.exec.batch_hint = options.batch;
    const Dims input = graph.inputs().empty() ? Dims() : graph.value(graph.inputs()[0]).shape;
    if (input.size() != 4)
      throw input_error("the input has shape " + to_string(input) + ", expected [N,c,h,w]");
    channels_ = input[1];
    height_ = input[2];
    width_ = input[3];
    if (options_.exec.pixels) return;
    PixelMap& pixels = options_.exec.pixels.emplace();
    for (int c = 0; c < static_cast<int>(channels_); ++c) {
      pixels.scale.push_back(1.0f / 64);
      pixels.shift.push_back(-2);
      pixels.source_channel.push_back(c);
    }
  }

  LatencyTable measure(const std::vector<std::vector<int64_t>>& widths) {
    images_.resize(static_cast<size_t>(element_count({options_.batch, channels_, height_, width_})));
    synthetic_images(0, options_.batch, height_, width_, channels_, images_.data());
    std::vector<Variant> waiting;
    int64_t bytes = 0;
    for (const std::vector<int64_t>& remaining : widths) {
      waiting.push_back(plan(remaining));
      count();
      bytes += bytes_of(*waiting.back().executor);
      if (bytes < kMostBytes && &remaining != &widths.back()) continue;
      time(waiting);
      for (const Variant& variant : waiting) collect(variant);
      waiting.clear();
      bytes = 0;
    }
    return table();
  }

 private:
  void count() {
    if (options_.done != nullptr) options_.done->fetch_add(1, std::memory_order_relaxed);
  }

  Variant plan(const std::vector<int64_t>& remaining) {
    Graph cut = pruning::remove_channels(graph_, groups_, pruning::keep_first(groups_, remaining));
    Variant variant;
    name_layers(cut);
    for (const NodeId id : cut.order()) variant.widths.push_back(pruning::layer_widths(cut, cut.node(id)));
    XDN_CHECK(variant.widths.size() == names_.size());
    LayerMap map(cut);
    if (options_.prepare) cut = options_.prepare(std::move(cut));
    variant.executor = std::make_unique<Executor>(std::move(cut), options_.exec);
    const std::vector<StepReport> steps = variant.executor->steps();
    if (steps.empty())
      throw input_error("runs through the reference implementation: there are no steps to time");
    variant.layers = map.layers_of(steps);
    variant.shares.resize(steps.size());
    variant.executor->start_profile();
    if (!settings_) describe(variant, steps);
    return variant;
  }

  /// The layers' names in the table, where the file's are not enough.
  void name_layers(Graph& cut) const {
    for (size_t i = 0; i < names_.size(); ++i) cut.node(cut.order()[i]).name = names_[i];
  }

  /// Of the whole network, which comes first.
  void describe(const Variant& variant, const std::vector<StepReport>& steps) {
    settings_ = variant.executor->settings();
    keys_.resize(names_.size());
    for (size_t i = 0; i < names_.size(); ++i) keys_[i] = shape_key(graph_, graph_.node(graph_.order()[i]));
    for (size_t s = 0; s < steps.size(); ++s) {
      for (const StepLayers::Part& part : variant.layers.parts[s])
        keys_[part.layer] += part.own ? kernel_additions(steps[s].kernel) : " within another layer";
    }
  }

  int64_t bytes_of(const Executor& executor) const {
    int64_t bytes = executor.arena_bytes() * executor.settings().data_parallel;
    for (const StepReport& step : executor.steps()) bytes += step.weight_bytes;
    return bytes;
  }

  void time(std::vector<Variant>& variants) {
    for (int round = 0; round < options_.rounds; ++round) {
      for (Variant& variant : variants) {
        // The variant before has left its own weights in the caches.
        warm_up(*variant.executor, channels_ * height_ * width_, options_.batch);
        const Stopwatch turn;
        do run(variant);
        while (turn.seconds() < kTurnSeconds);
        count();
      }
    }
  }

  void run(Variant& variant) {
    Executor& executor = *variant.executor;
    logits_.resize(
        static_cast<size_t>(element_count({options_.batch, executor.output_size()}, sizeof(float))));
    const std::vector<StepReport> before = executor.steps();
    const Stopwatch watch;
    executor.run_u8({.data = images_.data(), .fill = {}}, options_.batch, logits_.data());
    variant.run_seconds.push_back(watch.seconds() / static_cast<double>(options_.batch));
    std::vector<StepReport> steps = executor.steps();
    double sum = 0;
    for (size_t s = 0; s < steps.size(); ++s) sum += steps[s].seconds -= before[s].seconds;
    for (size_t s = 0; s < steps.size(); ++s)
      variant.shares[s].push_back(steps[s].seconds / std::max(sum, 1e-12));
  }

  /// A step's time is its share of the steps' times, which what else the machine does touches least, of the
  /// time of a run. So a variant's steps add up to its runs, waiting for tiles and reading results included.
  void collect(const Variant& variant) {
    std::vector<double> seconds;
    for (const std::vector<double>& shares : variant.shares) seconds.push_back(median(shares));
    const double sum = std::accumulate(seconds.begin(), seconds.end(), 0.0);
    const double scale = median(variant.run_seconds) / std::max(sum, 1e-12);
    std::vector<std::optional<double>> by_layer(names_.size());
    double fixed = 0;
    for (size_t s = 0; s < seconds.size(); ++s) {
      if (variant.layers.parts[s].empty()) fixed += scale * seconds[s];
      for (const StepLayers::Part& part : variant.layers.parts[s])
        by_layer[part.layer] = by_layer[part.layer].value_or(0) + part.share * scale * seconds[s];
    }
    for (size_t i = 0; i < names_.size(); ++i) {
      if (!by_layer[i]) continue;
      const LayerWidths& w = variant.widths[i];
      samples_[keys_[i]][{w.in, w.out}].push_back(*by_layer[i]);
    }
    fixed_.push_back(fixed);
  }

  LatencyTable table() const {
    LatencyData data;
    data.model = graph_.name;
    data.structure = pruning::structure_digest(graph_);
    data.precision = chosen_precision_name(*settings_);
    data.isa = isa_name(settings_->isa);
    data.fusion = fusion_name(options_.exec.fusion);
    data.cpu = cpu_model();
    data.data_parallel = settings_->data_parallel;
    data.model_parallel = settings_->model_parallel;
    data.batch_tile = options_.exec.batch_tile;
    data.batch = options_.batch;
    data.fixed = median(fixed_);
    std::map<std::string, size_t> at;
    for (size_t i = 0; i < names_.size(); ++i) {
      const auto found = samples_.find(keys_[i]);
      if (found == samples_.end()) continue;
      const auto [place, first] = at.emplace(keys_[i], data.shapes.size());
      if (first) data.shapes.push_back(shape_of(keys_[i], graph_.node(graph_.order()[i]), found->second));
      data.shapes[place->second].layers.push_back(names_[i]);
    }
    return LatencyTable(std::move(data));
  }

  using Samples = std::map<std::pair<int64_t, int64_t>, std::vector<double>>;

  LatencyShape shape_of(const std::string& key, const Node& node, const Samples& samples) const {
    LatencyShape shape{key, is_dense(graph_, node), {}, {}};
    for (const auto& [widths, seconds] : samples) {
      const double sum = std::accumulate(seconds.begin(), seconds.end(), 0.0);
      shape.points.push_back({widths.first, widths.second, sum / static_cast<double>(seconds.size())});
    }
    return shape;
  }

  const Graph& graph_;
  const pruning::Groups& groups_;
  LatencyMeasureOptions options_;
  const std::vector<std::string> names_;
  int64_t channels_ = 0, height_ = 0, width_ = 0;
  std::vector<uint8_t> images_;
  std::vector<float> logits_;
  std::optional<ExecSettings> settings_;
  std::vector<std::string> keys_;  ///< by layer: what it has in common with others
  std::map<std::string, Samples> samples_;
  std::vector<double> fixed_;  ///< of every variant
};

std::vector<std::vector<int64_t>> variants_of(const Graph& graph, const pruning::Groups& groups,
                                              const LatencyMeasureOptions& options) {
  XDN_CHECK(options.batch >= 1 && options.rounds >= 1 && !options.levels.empty() && options.levels[0] == 1);
  const auto granularity =
      pruning::granularity_of(groups, options.inner_granularity, options.trunk_granularity);
  return pruning::width_variants(graph, groups, options.levels, granularity);
}

}  // namespace

int64_t measurements(const Graph& graph, const pruning::Groups& groups,
                     const LatencyMeasureOptions& options) {
  return std::ssize(variants_of(graph, groups, options)) * (1 + options.rounds);
}

LatencyTable measure_latency_table(const Graph& graph, const pruning::Groups& groups,
                                   const LatencyMeasureOptions& options) {
  return Measurement(graph, groups, options).measure(variants_of(graph, groups, options));
}

}  // namespace xdn
