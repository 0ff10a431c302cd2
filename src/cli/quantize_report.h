#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "cli/output.h"
#include "quantization/quantize.h"
#include "quantization/search.h"

namespace xdn::cli {

/// What xdn quantize tells while it works, and its JSON.
class QuantizeReport {
 public:
  explicit QuantizeReport(const Output& out) : out_(out) {}

  void calibrated(const Quantizer& quantizer, int64_t images, double seconds);
  void calibrated_for_chip(size_t layers, int64_t images, double seconds);
  void begin_trials(double max_drop);
  void trial(const Trial& trial);
  void searched(const SearchResult& result);
  /// The chosen model's speed to that of the given one.
  void speed(double ratio);
  /// The given model is what is written: nothing was within the drop, or what was is slower.
  void unchanged(bool slower);
  /// The result on the images of --val or --test.
  void verdict(const char* which, const std::string& data, const Verdict& verdict);
  void finish(const std::string& model, const std::string& written, const std::string& ranges);

 private:
  const Output& out_;
  nlohmann::ordered_json json_ = nlohmann::ordered_json::object();
};

}  // namespace xdn::cli
