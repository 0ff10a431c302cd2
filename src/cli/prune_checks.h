#pragma once

#include "cli/model_input.h"
#include "cli/prune_flags.h"

namespace xdn::cli {

/// What xdn prune would otherwise find out after hours: contradicting options, outputs that cannot be written
/// or lie in the run's folder, a training program that is not there. Throws a usage or an input error.
void check_prune_request(const PruneFlags& flags);

/// Layers' names that a plan cannot hold, layers of --keep that are none, data of other classes than the
/// model has outputs or than each other, a teacher that does not fit. Throws an input error.
void check_prune_input(const PruneFlags& flags, const ModelInput& model);

/// Input error where one of these data sets (empty: none) has other classes than the model has outputs, or
/// than another one.
void check_data(const std::vector<std::string>& data, const ModelInput& model);
/// Input error where the teacher (empty, or "none": none) does not give a prediction for each class of the
/// data.
void check_teacher(const std::string& teacher, const std::string& data, const ModelInput& model);

}  // namespace xdn::cli
