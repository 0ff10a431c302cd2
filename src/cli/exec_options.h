#pragma once

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <string>

#include "executor/executor.h"

namespace xdn::cli {

/// The executor's options, spelled the same for every verb that runs a model.
struct ExecFlags {
  std::string isa, fusion, precision;
  int threads = 0, data_parallel = 0, model_parallel = 0, batch_tile = 0;
  std::string tuning = "off";  ///< a record's path; "off": none; empty: the model's own, if it has one

  void add_options(CLI::App& app);
  /// --tuning FILE|off, and from now on the model's own by default.
  void add_tuning_option(CLI::App& app);
  /// --isa and --fusion.
  void add_build_choices(CLI::App& app);
  /// --isaSUFFIX, --precisionSUFFIX and --fusionSUFFIX, whose help ends with `text`.
  void add_choices(CLI::App& app, const std::string& suffix, const std::string& text);
  ExecOptions options() const;
};

/// "isa", "precision", "data_parallel", "model_parallel", "batch_tile", "huge_pages": what was chosen.
void put_settings(nlohmann::ordered_json& json, const ExecSettings& settings);
/// "fp32 on avx512, 2 x 1 threads, tiles of 32"
std::string settings_line(const ExecSettings& settings);

/// A whole number in [least, most].
CLI::Validator whole_number(int64_t least, int64_t most = 1'000'000'000);
/// An option that takes one of names; its help lists them.
CLI::Option* add_choice(CLI::App& app, const std::string& option, std::string& value,
                        std::vector<std::string> names, const std::string& text);

}  // namespace xdn::cli
