#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "data/preprocess.h"
#include "graph/graph.h"
#include "training/augment.h"
#include "training/schedule.h"
#include "training/sparsity_options.h"

namespace xdn::training {

struct TrainOptions {
  int64_t epochs = 10, batch = 128;
  double rate = 0.1;  ///< the largest of the run
  ScheduleKind schedule = ScheduleKind::kCosine;
  double warmup = 0;  ///< epochs
  double momentum = 0.9, weight_decay = 5e-4, label_smoothing = 0;
  double ema = 0;  ///< of weights and statistics, per step; 0: off
  Augmentation augmentation;
  bool bf16 = false;          ///< activations and gradients; parameters stay f32. Not for a quantized model
  bool learn_scales = false;  ///< of a quantized model
  /// With a teacher: loss = (1 - alpha) * cross entropy + alpha * T^2 * KL(teacher || student), both softened
  /// by the temperature T (Hinton et al. 2015), + feature_weight * mean squared difference of the last pooled
  /// features.
  double temperature = 4, alpha = 0.9, feature_weight = 0;
  int64_t reestimate =
      0;  ///< training images from which BatchNorm takes its statistics anew at the end; 0: none
  int64_t augment_epochs = 0;  ///< epoch e is augmented as epoch e mod this; 0: all differently
  std::string teacher_cache;   ///< a folder where the teacher's logits are kept and looked for; empty: none
  /// The last epoch's weights are then the result, whatever val says, and run_folder gets plan.json: what
  /// removes from the result the units that were to go. Not with ema.
  std::optional<SparsityOptions> sparsity = {};
  uint64_t seed = 0;
  int threads = 0;  ///< 0: what the machine grants
  std::string run_folder;
  bool resume = false;
};

struct Teacher {
  Graph graph;
  Preprocess preprocess;
  std::string file = {};  ///< what errors call it
};

/// Images of the model's size. Only val selects; test is looked at once, when everything is over.
struct TrainData {
  ImageSet train;
  std::optional<ImageSet> val, test;
};

struct BatchReport {
  int64_t epoch = 0;   ///< from 1
  int64_t images = 0;  ///< of the whole run that are done, and of all epochs
  int64_t images_in_all = 0;
  double loss = 0, accuracy = 0, images_per_second = 0;  ///< of this epoch so far
};
struct EpochReport {
  int64_t epoch = 0;
  double rate = 0;  ///< of its last step
  double loss = 0, accuracy = 0;
  std::optional<double> val_accuracy;
  std::optional<double> sparsity;             ///< as Sparsity::after_epoch says
  double images_per_second = 0, seconds = 0;  ///< training alone
};
struct TrainObserver {
  std::function<void(const BatchReport&)> on_batch;
  std::function<void(const EpochReport&)> on_epoch;  ///< after its checkpoint; may throw to stop
};

struct TrainResult {
  Graph graph;
  int64_t epochs = 0, resumed_from = 0;  ///< epochs that were done when this process began
  int64_t best_epoch = 0;                ///< 0: no validation data; the last epoch's weights are the result
  std::optional<double> val_accuracy, test_accuracy;  ///< of the result
  std::optional<bool>
      reestimated;  ///< whether the new statistics were kept: with val, where they are no worse
  double last_loss = 0, images_per_second = 0, seconds = 0;
  std::string plan_file;               ///< with sparsity
  int64_t units = 0, units_to_go = 0;  ///< of that plan
  bool cuda = false;
};

/// Trains the graph's parameters. The result is, with validation data, the epoch of the best accuracy there
/// (the earliest among equals; averaged weights where ema is on), else the last.
///
/// run_folder gets checkpoint.xdn after every epoch, by atomic rename, and log.jsonl. A run that was stopped,
/// in whatever way, and resumes with the same settings and number of threads gives the same bits as one that
/// was not (on a CPU).
///
/// Throws a usage error for a quantized graph in bf16 and for learn_scales of a float one; an input error for
/// data or a graph that do not fit each other, for a folder that holds a run when not resuming, and for a
/// checkpoint that is damaged or of other settings; a failure when the loss is not finite (the last good
/// checkpoint stays).
TrainResult train(Graph graph, const Preprocess& preprocess, const TrainData& data,
                  const std::optional<Teacher>& teacher, const TrainOptions& options,
                  const TrainObserver& observer = {});

/// Share of images whose largest logit is the label's, computed in f32 by libtorch.
double accuracy_of(const Graph& graph, const Preprocess& preprocess, const ImageSet& images);

}  // namespace xdn::training
