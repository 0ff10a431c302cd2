#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "cli/model_input.h"
#include "evaluator/comparison.h"

namespace xdn::cli {

/// A value that has the same name in two graphs.
struct LayerRow {
  std::string name;
  Dims shape_a, shape_b;
  ErrorStats errors;  ///< over all images; of nothing where the shapes differ
};
struct LayerTable {
  std::vector<LayerRow> rows;  ///< in a's order
  size_t values_a = 0, values_b = 0;
};

/// One image for each of two models: its bytes as height x width x channels.
struct ImagePair {
  const uint8_t* a = nullptr;
  const uint8_t* b = nullptr;
  bool a_is_bgr = false, b_is_bgr = false;
};

/// Graph inputs and what nodes compute, paired by name and evaluated by the reference executor, one image
/// after the other. Errors name the model.
LayerTable compare_layers(const ModelInput& a, const ModelInput& b, int64_t images,
                          const std::function<ImagePair(int64_t)>& image, std::atomic<int64_t>& done);

}  // namespace xdn::cli
