#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cli/latency_flags.h"
#include "cli/output.h"
#include "cli/train_flags.h"
#include "pruning/importance.h"
#include "pruning/select.h"

namespace xdn::cli {

/// "0.2" is a share of what the model has; otherwise a number with a unit.
struct Amount {
  double value = 0;
  bool share = true;
};

/// A share between 0 and 1, or a number with us, ms or s; nothing where the text is neither.
std::optional<Amount> parse_time_amount(const std::string& text);
/// Options of a group that training shares, as they were given, as words of a command line; without --epochs,
/// --teacher and --warmup.
std::vector<std::string> given_words(const CLI::App& app, const char* group);

/// What xdn prune takes.
struct PruneFlags {
  std::string model, data, val, test, out, run, plan;
  std::string target_macs, target_latency;
  std::optional<double> max_drop, ratio;
  std::string criterion = "taylor", ranking = "cost", sparsity = "none";
  int64_t score_images = 4096, min_width = 8, unit = 16, trunk_unit = 32;
  std::vector<std::string> keep;
  bool inner_only = false, no_blocks = false, train_folded = false, plan_only = false;
  int64_t steps = 1, step_epochs = 3, sparsity_epochs = 3, attempts = 8;
  double sparsity_strength = 0;  ///< 0: what suits the kind
  std::string latency_table, run_precision = "fp32";
  LatencyFlags latency;
  TrainFlags learning;  ///< of --data, --val and --test nothing; --seed, --threads, --resume and --no-verify
  Output output;

  void add_options(CLI::App& app);
  /// What the options cannot say one by one; throws a usage error.
  void check() const;
  /// --run, or OUT's stem with ".run".
  std::string run_folder() const;
  std::string plan_path() const;

  /// Whether time is what counts: --target-latency or --max-drop.
  bool by_latency() const { return !target_latency.empty() || max_drop.has_value(); }
  std::optional<Amount> macs() const;     ///< --target-macs
  std::optional<Amount> seconds() const;  ///< --target-latency, per image
  pruning::Criterion score() const { return *pruning::parse_criterion(criterion); }
  double strength() const;

  /// The options of learning, and of distillation, that were given, as words of a command line; without
  /// --epochs, --warmup and --teacher.
  std::vector<std::string> learning_words, teaching_words;
  std::set<std::string> given;  ///< names of options that were
  /// All that decides what the run does, for comparison with an earlier part of it: digests of the files it
  /// begins with. Throws an input error naming one that cannot be read.
  nlohmann::ordered_json settings() const;
};

}  // namespace xdn::cli
