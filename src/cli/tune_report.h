#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "cli/output.h"
#include "tuner/tuner.h"

namespace xdn::cli {

/// The defaults and the best side by side, the front where there is one, and what the trials came to.
void print_tuning(const Output& out, const tuner::TuneResult& result, tuner::Scenario scenario);

/// "seconds", "trials", "failed", "resumed", "complete", "kept_defaults", "best", "defaults", "speedup",
/// "surface" and, of a pareto search, "front". Settings are complete: each row says the precision that runs.
nlohmann::ordered_json tuning_json(const tuner::TuneResult& result, tuner::Scenario scenario);

}  // namespace xdn::cli
