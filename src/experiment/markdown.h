#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace xdn::experiment {

/// Tables and notes of to_json()'s result; with the environment and the commands where `complete`.
std::string markdown(const nlohmann::ordered_json& experiment, bool complete);

}  // namespace xdn::experiment
