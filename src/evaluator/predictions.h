#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace xdn {

/// A predictions file: CSV, the line "index,label,prediction", then a line per image in order; a prediction
/// of -1 is none.
void write_predictions(const std::string& path, std::span<const int64_t> labels,
                       std::span<const int64_t> predictions);

/// Whether the file begins as a predictions file does. False where it cannot be read.
bool is_predictions_file(const std::string& path);

/// The predictions of a file about the images that have these labels, by a model of `outputs` classes. Input
/// error naming the file where it holds anything else: another number of images, other labels, other text.
std::vector<int64_t> read_predictions(const std::string& path, std::span<const int64_t> labels,
                                      int64_t outputs);

/// Two runs over the same images: a is the reference.
struct PairedPredictions {
  int64_t images = 0, correct_a = 0, correct_b = 0;
  int64_t flips = 0;  ///< predictions differ
  int64_t right_to_wrong = 0, wrong_to_right = 0;
};
/// As many of each.
PairedPredictions pair_predictions(std::span<const int64_t> labels, std::span<const int64_t> a,
                                   std::span<const int64_t> b);

/// An image that was classified wrongly.
struct WrongImage {
  int64_t index, label, predicted;
  double probability;  ///< of the prediction, by softmax
};
/// At most `most` of them, the most confident first, lower indices first among equals. Images whose logits
/// hold a NaN predict nothing and are left out. logits: images x outputs.
std::vector<WrongImage> confident_mistakes(std::span<const int64_t> labels,
                                           std::span<const int64_t> predictions,
                                           std::span<const float> logits, int64_t outputs, size_t most);

}  // namespace xdn
