#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/latency_flags.h"
#include "cli/model_input.h"
#include "cli/output.h"
#include "cli/train_flags.h"
#include "optimize/flow.h"

namespace xdn::cli {

/// What xdn optimize takes.
struct OptimizeFlags {
  std::string model, data, val, test, out, scenario = "offline", latency_table, target_latency, deadline;
  std::optional<double> max_drop, min_accuracy;
  bool no_train = false, caffe = false, dry_run = false;
  int64_t rungs = 3, images = 1000, tune_budget = 90, qat_epochs = 2;
  int64_t min_width = 0, unit = 0, trunk_unit = 0;  ///< 0: what suits the model's widths
  LatencyFlags latency;
  TrainFlags learning;  ///< how is learned, and from whom; --seed, --threads, --resume and --no-verify
  Output output;

  void add_options(CLI::App& app);
  /// What the options cannot say one by one; throws a usage error.
  void check() const;
  optimize::Request request() const;
  bool single_stream() const { return scenario == "single-stream"; }
  /// --threads, or what the machine grants.
  int threads() const;

  std::string path(const std::string& name) const { return out + "/" + name; }

  /// The options of learning, and of distillation, that were given, as words of a command line; without
  /// --epochs, --warmup and --teacher.
  std::vector<std::string> learning_words, teaching_words;
  std::vector<std::string> given;  ///< names of options that were
  bool was_given(const std::string& name) const;
  /// All that decides what becomes of the model: digests of the files it begins with, and of the data's
  /// labels. --deadline does not: a run may go on under another one.
  nlohmann::ordered_json settings(const ModelInput& model) const;
};

/// "90", "90s", "45m", "2h", "1h30m" in seconds; nothing where the text is none of these.
std::optional<double> parse_duration(const std::string& text);

}  // namespace xdn::cli
