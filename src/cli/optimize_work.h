#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/model_input.h"
#include "cli/optimize_flags.h"
#include "cli/optimize_measure.h"
#include "cli/optimize_plan.h"
#include "cli/optimize_report.h"
#include "optimize/flow.h"

namespace xdn::cli {

/// A stage's program ended with this exit code, and has said why.
struct StageEnded {
  int code;
};

/// The stages of xdn optimize: other verbs of this program, as processes of their own, each with a log in
/// its stage's folder. What is measured in between is measured here.
class OptimizeWork : public optimize::Work {
 public:
  /// `program`: the xdn whose verbs are called.
  OptimizeWork(const OptimizeFlags& flags, const ModelInput& model, const OptimizePlan& plan,
               OptimizeReport& report, std::string program);

  /// Throws StageEnded where a program fails for another reason than its input.
  optimize::Made make(const optimize::Job& job) override;
  optimize::Measured measure(const std::string& model) override;
  void begin(const std::string& name, const std::string& title) override;
  void done(const optimize::Step& step) override;
  void note(const std::string& text) override;

  /// The original and the result over the test images (else --val), in full, for the report; then the page
  /// itself. Empty, or why something is missing.
  std::string evaluate_for_report();
  std::string write_page();

 private:
  using Words = std::vector<std::string>;
  optimize::Made baseline();
  optimize::Made table(const optimize::Job& job);
  optimize::Made prune(const optimize::Job& job);
  optimize::Made fuse(const optimize::Job& job);
  optimize::Made quantize(const optimize::Job& job);
  optimize::Made qat(const optimize::Job& job);
  optimize::Made model(const optimize::Job& job);
  optimize::Made tune(const optimize::Job& job);
  optimize::Made test();

  std::string at(const std::string& file) const { return file.empty() ? flags_.model : flags_.path(file); }
  std::string table_file() const;
  Words common() const;
  void copy(const std::string& from, const std::string& to) const;
  /// Runs a verb; a made without model where it was stopped or cannot do it. `log` is the training's, watched
  /// for job.too_slow.
  optimize::Made call(const optimize::Job& job, const Words& words, const std::string& log = {});
  /// The same of what the result does not depend on: failing is a reason for a made without model, too.
  optimize::Made attempt(const optimize::Job& job, const Words& words);
  std::string draw_seed() const;
  void add_files(optimize::Made& made, const std::string& model) const;
  nlohmann::ordered_json read_result(const std::string& file) const;

  const OptimizeFlags& flags_;
  const ModelInput& original_;
  const OptimizePlan& plan_;
  OptimizeReport& report_;
  const std::string program_;
  std::optional<Scale> val_;
};

}  // namespace xdn::cli
