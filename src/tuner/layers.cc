#include "tuner/layers.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "base/error.h"
#include "tuner/search.h"
#include "tuner/space.h"

namespace xdn::tuner {
namespace {

std::vector<double> column(const StepTimes& times, size_t step) {
  std::vector<double> out;
  // A step of no time at all (a clock's tick) must not divide by zero.
  for (const std::vector<double>& round : times) out.push_back(std::max(round[step], 1e-9));
  return out;
}

using NamedLayouts = std::vector<std::pair<std::string, LayerLayout>>;

/// By step; without panels where there is nothing to choose.
NamedLayouts planned_layouts(const Json& plan) {
  NamedLayouts layers;
  std::map<std::string, int> times;
  for (const Json& layer : member(plan, "layers")) {
    LayerLayout layout;
    layout.panel_vectors = static_cast<int>(whole_member(layer, "panel", 0, 4));
    layout.order = parse_order(text_member(layer, "order"));
    layers.emplace_back(text_member(layer, "layer"), layout);
    if (layout.panel_vectors > 0) ++times[layers.back().first];
  }
  for (auto& [name, layout] : layers) {
    if (name.empty() || times[name] != 1) layout = {};
  }
  return layers;
}

/// The settings with `wanted` in all layers that have the choice.
Settings variant_of(const Settings& settings, const NamedLayouts& layers, const LayerLayout& wanted) {
  Settings variant = settings;
  for (const auto& [name, layout] : layers) {
    const bool order = wanted.order != LoopOrder::kChosen && layout.order != LoopOrder::kChosen;
    if (layout.panel_vectors == 0 || (wanted.panel_vectors == 0 && !order)) continue;
    LayerLayout& out = variant.layouts[name];
    if (wanted.panel_vectors > 0) out.panel_vectors = wanted.panel_vectors;
    if (order) out.order = wanted.order;
  }
  return variant;
}

std::optional<Settings> choose(TrialBench& bench, const Settings& settings,
                               const std::vector<LayerLayout>& wanted, int64_t images) {
  const size_t base = bench.add(settings);
  if (!bench.plan(base).ok()) return settings;
  const NamedLayouts layers = planned_layouts(bench.planned(base));
  std::vector<size_t> ids{base};
  for (const LayerLayout& layout : wanted) {
    const size_t id = bench.add(variant_of(settings, layers, layout));
    if (id != base) ids.push_back(id);
  }
  std::vector<StepTimes> times = bench.profile(ids, kLayerRounds, images);
  if (times.empty()) return std::nullopt;
  Settings better = settings;
  if (times[0].empty()) return better;
  const StepTimes own = std::move(times[0]);
  times.erase(times.begin());
  const std::vector<int> best = choose_variants(own, times);
  for (size_t s = 0; s < layers.size(); ++s) {
    const auto& [name, layout] = layers[s];
    if (best[s] < 0 || layout.panel_vectors == 0) continue;
    const size_t id = ids[static_cast<size_t>(best[s]) + 1];
    // A layer of few channels has the same panels in several variants.
    if (planned_layouts(bench.planned(id))[s].second == layout) continue;
    better.layouts[name] = bench.settings(id).layouts.at(name);
  }
  return better;
}

}  // namespace

std::vector<int> choose_variants(const StepTimes& base, const std::vector<StepTimes>& variants) {
  XDN_CHECK(!base.empty());
  const size_t steps = base[0].size();
  std::vector<int> chosen(steps, -1);
  for (size_t s = 0; s < steps; ++s) {
    double best = 1 - kLayerGain;
    for (size_t v = 0; v < variants.size(); ++v) {
      if (variants[v].empty()) continue;
      XDN_CHECK(variants[v].size() == base.size() && variants[v][0].size() == steps);
      const PairedRatio paired = paired_ratio(column(variants[v], s), column(base, s));
      if (paired.ratio + paired.noise >= 1 || paired.ratio >= best) continue;
      best = paired.ratio;
      chosen[s] = static_cast<int>(v);
    }
  }
  return chosen;
}

std::optional<Settings> choose_panels(TrialBench& bench, const Settings& settings, int64_t images) {
  return choose(bench, settings, panel_variants(), images);
}

std::optional<Settings> choose_orders(TrialBench& bench, const Settings& settings, int64_t images) {
  std::vector<LayerLayout> wanted;
  for (const LoopOrder order : order_variants()) wanted.push_back({0, order});
  return choose(bench, settings, wanted, images);
}

}  // namespace xdn::tuner
