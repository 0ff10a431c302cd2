#pragma once

#include <nlohmann/json.hpp>

namespace xdn::bench {

/// Answers protocol.mjs's "decode" by cv::imread, on as many threads as asked for. Images must have the size
/// asked for.
nlohmann::json decode_with_opencv(const nlohmann::json& request);

}  // namespace xdn::bench
