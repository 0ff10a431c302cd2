#pragma once

#include <string>

#include "pruning/importance.h"

namespace xdn::pruning {

/// What the filters of a model are worth, as it was measured on images.
struct ScoresFile {
  int64_t images = 0;  ///< that were looked at
  uint64_t seed = 0;
  LayerScores layers;  ///< numbers >= 0, at least one per layer
};

/// {"criterion": "taylor", "images": 4096, "seed": 0, "layers": {"conv1": [0.1, ...], ...}}
std::string to_json(const ScoresFile& scores);
/// Reads exactly that: unknown, missing and repeated fields are input errors, and so are numbers that are
/// negative or not finite, which name the layer.
ScoresFile parse_scores(const std::string& json);

/// By way of AtomicFile; errors name the file.
void write_scores(const ScoresFile& scores, const std::string& path);
ScoresFile read_scores(const std::string& path);

}  // namespace xdn::pruning
