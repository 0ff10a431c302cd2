#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "experiment/rows.h"

namespace xdn::cli {

/// What the experiment works on. Empty: to be found, or not there.
struct ExperimentInputs {
  std::string original, b, c, pruned, best;  ///< MODELs
  std::string data;                          ///< labelled test images to decode
  std::string calibration;                   ///< images for xdn quantize

  void add_options(CLI::App& app);

  /// Fills what was not given: the shared ResNet-50 below $XDN_MODELS, CIFAR-10 below $XDN_CIFAR10, models/
  /// and build/ of the source tree that the program, or the current folder, lies in. Input error where the
  /// data are missing or decoded already.
  void find();

  /// The model of a role, for those that are given as files.
  std::string model(experiment::ModelRole role) const;
};

/// The source tree that this program, or else the current folder, lies in; empty where neither does.
std::string source_tree();

/// Why the model cannot be run: "" if all its files are there.
std::string why_missing(const std::string& model);

}  // namespace xdn::cli
