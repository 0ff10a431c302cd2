#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "tuner/settings.h"
#include "tuner/trial_bench.h"

namespace xdn::tuner {

/// Seconds of a plan's steps in several profiled slices: [round][step].
using StepTimes = std::vector<std::vector<double>>;

/// For each step the variant that beats the base by more than the noise of both and by more than kLayerGain,
/// as an index into variants; -1 where none does. All were measured in turn, round by round; a variant
/// without rounds is passed over.
std::vector<int> choose_variants(const StepTimes& base, const std::vector<StepTimes>& variants);
inline constexpr double kLayerGain = 0.03;
inline constexpr int kLayerRounds = 7;

/// The settings with each dense layer's best panel width, or best loop order: one profile of the plan for
/// each value, all layers together. Layers without a name, or of a name that is not theirs alone, stay as
/// they are. Nothing: the search was stopped.
std::optional<Settings> choose_panels(TrialBench& bench, const Settings& settings, int64_t images);
std::optional<Settings> choose_orders(TrialBench& bench, const Settings& settings, int64_t images);

}  // namespace xdn::tuner
