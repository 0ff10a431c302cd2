#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "optimize/budget.h"
#include "optimize/journal.h"
#include "optimize/ladder.h"
#include "optimize/stages.h"

namespace xdn::optimize {

/// What is asked for. Accuracies are shares of the validation images, from 0 to 1.
struct Request {
  /// At most so many points less than the model has; or at least so much; or, where a time is asked for, any.
  double max_drop = 0;
  std::optional<double> min_accuracy;
  /// Seconds per image that may remain, or the share of what the model takes in float32.
  std::optional<double> target_seconds, target_share;
  bool train = true, test = false;
  int rungs = 3;  ///< strengths of pruning to try
  double first_share = 0.25;
  int64_t epochs = 20, qat_epochs = 2;
  double tune_seconds = 90;
  std::optional<double> deadline;  ///< seconds

  bool by_time() const { return target_seconds || target_share; }
};

/// A model on the validation images.
struct Measured {
  double accuracy = 0;
  double seconds = 0;  ///< per image
  double speed = 1;    ///< times that of the model as it was, measured in turn
  int64_t macs = 0;    ///< effective multiply-accumulates per image
};

/// One piece of work. Paths are relative to the run's folder, but a model that is empty: the given one.
struct Job {
  Stage stage = Stage::kBaseline;
  std::string folder = {};  ///< there for this job alone; holds what an interrupted one left
  std::string model = {};
  std::string float_model = {};         ///< kQat: what teaches; kModel: what Caffe can hold
  double share = 1;                     ///< kPrune
  int64_t epochs = 0;                   ///< kPrune, kQat
  std::optional<double> max_drop = {};  ///< kQuantize: points below `model`
  double seconds = kForever;            ///< then it is stopped
  /// kPrune, kQat: asked now and then, with the epochs that are done and the seconds they took; true stops
  /// it.
  std::function<bool(int64_t epochs, double seconds)> too_slow = {};
};

/// What became of it.
struct Made {
  bool stopped = false;  ///< by `seconds` or `too_slow`
  std::string refused;   ///< why there is no result, where the run goes on without
  std::string model;     ///< empty: none
  std::vector<std::string> files;
  int64_t epochs_done = 0;   ///< that were watched
  double epoch_seconds = 0;  ///< their sum
  Json details = Json::object();
};

/// A stage that ran, or that an earlier run had finished.
struct Step {
  Stage stage{};
  std::string name, title;  ///< "03-prune", "prune to 25 %"
  std::string model;
  std::optional<Measured> measured;
  bool kept = false;
  std::string why;  ///< not, or what stands beside it
  double seconds = 0;
  bool resumed = false;
  Json details = Json::object();
};

/// What carries the stages out: xdn's verbs; in tests, something quick.
class Work {
 public:
  virtual ~Work() = default;
  /// Throws where the run as a whole cannot go on. Details that the flow reads:
  ///   kBaseline  val, test, train, calibration: numbers of images
  ///   kTable     seconds: per image of the whole model in the precision that will run, predicted;
  ///               least: the share of it that can be reached
  ///   kQuantize  unchanged: 8 bits were given up
  virtual Made make(const Job& job) = 0;
  virtual Measured measure(const std::string& model) = 0;
  virtual void begin(const std::string& name, const std::string& title) = 0;
  virtual void done(const Step& step) = 0;
  virtual void note(const std::string& text) = 0;
};

/// What the steps came to so far.
struct Outcome {
  std::vector<Step> steps;
  std::vector<std::string> notes;
  Measured original, best;
  double floor = 0;        ///< of accuracy; below 0: none
  double target = 0;       ///< seconds per image; 0: none
  std::string best_model;  ///< empty: the given one
  std::string best_name = "original";
  std::string best_float;  ///< the last float model that was kept; empty: the given one
  bool met = false;        ///< the best model is at or above the floor, and no slower than the given one
  bool in_time = true;     ///< it meets the target
};

/// The accuracy that must be kept, of a model that has `original`.
double accuracy_floor(const Request& request, double original);
/// Why a model does not replace the best so far; empty where it does. Speeds that differ by less than
/// `noise`, a share, are equal.
std::string refusal(const Measured& model, const Measured& best, bool best_met, double floor, double noise);

/// Calls the stages in order, each once: what the journal holds is not done again.
class Flow {
 public:
  Flow(const Request& request, std::string folder, Journal& journal, Work& work, Clock clock);

  /// Up to the report, which the caller writes. Input error for a target that cannot be reached.
  const Outcome& run();

 private:
  using Maker = std::function<Made(Job)>;
  Step* stage(Job job, const std::string& title, const Maker& make = {});
  void baseline();
  void prune();
  Made train_within(Job job, int rungs);
  double pruning_time_left() const;
  void fuse();
  void quantize();
  void qat();
  void finish();
  bool consider(Step& step, bool is_float);
  void note(const std::string& text);
  double limit(Stage stage) const;

  const Request& request_;
  const std::string folder_;
  Journal& journal_;
  Work& work_;
  Deadline deadline_;
  Rates rates_;
  double correction_ = 1;  ///< of epoch_estimate
  int count_ = 0;
  Outcome outcome_;
};

Json to_json(const Measured& measured);

}  // namespace xdn::optimize
