#pragma once

#include <functional>
#include <optional>
#include <string>

#include "cli/image_set.h"
#include "cli/model_input.h"
#include "evaluator/judge.h"

namespace xdn::cli {

/// A model beside the original on the same images.
struct Paired {
  Verdict verdict;
  double speed = 1;             ///< times the original's, in turn with it
  double original_seconds = 0;  ///< per image, of the original in the same turns
};

/// Labelled images and the original model, in float32, that others are measured against.
class Scale {
 public:
  /// `single_stream`: time is that of one image alone. Input error naming the path where the images do not
  /// suit the model.
  Scale(const ModelInput& original, const std::string& path, bool verify, int threads, bool single_stream);

  /// `file`: a MODEL. Input error naming it.
  Paired measure(const std::string& file);
  /// The original against itself.
  Paired measure_original();
  int64_t size() const { return images_.size(); }

 private:
  Paired measure(const Graph& graph);

  const ModelInput& original_;
  ImageSet images_;
  int threads_;
  bool single_stream_;
  std::optional<Judge> judge_;
};

}  // namespace xdn::cli
