#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/file_lock.h"
#include "cli/prune_flags.h"
#include "data/preprocess.h"
#include "pruning/plan.h"

namespace xdn::cli {

/// xdn-train ended with this exit code, and has said why.
struct TrainingEnded {
  int code;
};

/// The folder of a pruning run. What it does is a chain of stages, and a stage is done when its file is
/// there: files appear whole. So a run that was ended in whatever way goes on where it was.
///
///   settings.json           what the run was asked for
///   model.onnx              MODEL, as the first step takes it
///   latency.json            seconds per layer and width, measured once
///   step-N/scores.json      what filters are worth
///          plan.json        what goes
///          shallow.onnx     without the blocks that go, where sparsity is trained first
///          sparse.onnx      and sparse.run/: the training towards zero
///          pruned.onnx      what is left
///          tuned.onnx       and tuned.run/: after training
class PruneFolder {
 public:
  /// Creates the folder, or checks that it is this run's; one in which no step has begun is begun anew.
  /// Throws an input error where another process holds it, where it holds a run though nobody wants to
  /// resume, one of other settings, or something else.
  explicit PruneFolder(const PruneFlags& flags);
  PruneFolder(const PruneFolder&) = delete;
  PruneFolder& operator=(const PruneFolder&) = delete;

  std::string path(const std::string& name) const { return root_ + "/" + name; }
  /// step-N/NAME; makes the folder.
  std::string path(int step, const std::string& name) const;
  static bool has(const std::string& path);

  /// Writes a model of this run, with the preprocess file that MODEL has.
  void write(const Graph& graph, const std::string& path) const;
  Graph read(const std::string& path) const;

  /// xdn-train on a model of this run. Throws TrainingEnded.
  /// By the labels alone: from what a model says itself it learns nothing.
  void score(const std::string& model, const std::string& scores) const;
  void train(const std::string& model, const std::string& out, int64_t epochs,
             const std::vector<std::string>& sparsity = {}) const;

 private:
  void begin(const std::string& settings);
  std::vector<std::string> words(const std::string& model) const;
  void call(std::vector<std::string> words) const;

  const PruneFlags& flags_;
  const std::string root_;
  std::optional<FileLock> lock_;
};

}  // namespace xdn::cli
