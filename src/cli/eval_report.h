#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/output.h"
#include "data/dataset.h"
#include "evaluator/confusion.h"
#include "evaluator/predictions.h"

namespace xdn::cli {

/// Names of the model's classes: those of the data, else of the model's preprocess file, else its number.
std::vector<std::string> class_names(const std::vector<std::string>& of_data,
                                     const std::vector<std::string>& of_model, int64_t outputs);

/// What a labelled run says about classes and single images.
struct EvalReport {
  std::vector<std::string> classes;
  Confusion confusion;

  /// The classes with the lowest accuracy, in a line; nothing for more than 20 classes.
  void print_worst(const Output& output) const;
  /// The matrix; for more than 20 classes, the pairs most often confused.
  void print_confusion(const Output& output) const;
  /// "classes", "confusion" (up to 256 classes), "confused", "per_class".
  void put(nlohmann::ordered_json& json) const;

  const std::string& name(int64_t label) const { return classes[static_cast<size_t>(label)]; }
};

/// "reference".
nlohmann::ordered_json reference_json(const std::string& spec, const PairedPredictions& pair);
void print_reference(const Output& output, const std::string& spec, const PairedPredictions& pair);

/// Of each image "index", "label", "predicted", "probability", and "png": the bytes that the model saw.
nlohmann::ordered_json samples_json(const std::vector<WrongImage>& samples, const Dataset& dataset);
void print_samples(const Output& output, const std::vector<WrongImage>& samples, const Dataset& dataset,
                   const EvalReport& report);

}  // namespace xdn::cli
