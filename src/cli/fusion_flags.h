#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/output.h"
#include "fusion/pipeline.h"

namespace xdn::cli {

/// How far a model is fused, and what is told about it.
class FusionFlags {
 public:
  /// Adds --level, --report, --force, --disable, --dump and --json.
  void add_options(CLI::App& app);
  /// Call before long work: names that are no passes, and outputs that cannot be, are refused here.
  void check() const;
  /// Fuses; the steps go into the model's metadata. Prints the report where it was asked for.
  void apply(Graph& graph) const;
  /// Prints the last line and writes the JSON, if it was asked for.
  void finish(const std::string& line) const;

 private:
  std::string level_ = "traditional", dump_;
  bool report_ = false;
  std::vector<std::string> forced_, disabled_;
  Output output_;
  /// What apply leaves for finish; flags are shared and constant while a verb runs.
  std::shared_ptr<nlohmann::ordered_json> json_ = std::make_shared<nlohmann::ordered_json>();
};

}  // namespace xdn::cli
