#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "training/trainer.h"

namespace xdn::training {

/// 16 hexadecimal digits. Of images: labels, and the pixels of every `stride`-th.
std::string digest_of(const ImageSet& images, int64_t stride = 16);
std::string digest_of(const Graph& graph);
/// How bytes become a model's numbers.
std::string digest_of(const Preprocess& preprocess);

/// All that decides how a run goes, by the names of its options; what --resume compares.
nlohmann::ordered_json settings_of(const Graph& graph, const Preprocess& preprocess, const TrainData& data,
                                   const std::optional<Teacher>& teacher, const TrainOptions& options);

}  // namespace xdn::training
