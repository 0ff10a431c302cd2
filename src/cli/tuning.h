#pragma once

#include "cli/model_input.h"
#include "executor/executor.h"
#include "tuner/record.h"

namespace xdn::cli {

/// What a record must have been made for to serve this model and these options.
tuner::RecordKey tuning_key(const ModelInput& model, const ExecFlags& flags, tuner::Scenario scenario);

/// Where a model's own record stands: MODEL.tuning.json beside it.
std::string record_beside(const std::string& spec);

/// Puts into the options what tuning found, by flags.tuning. Options that the user gave go before: --dp or
/// --mp replace both, --tile itself. Runs of one image, or of fewer than there are threads, take what was
/// found for a single stream. Says with -v what is used, and in a line of its own what is ignored and why. A
/// record that the user names must be one: input error.
void use_tuning(const ModelInput& model, const ExecFlags& flags, ExecOptions& options);

}  // namespace xdn::cli
