#include "optimize/flow.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/error.h"

namespace xdn::optimize {
namespace {

/// What a model measured against itself differs by (the A/A check).
constexpr double kNoise = 0.03;
/// Fusion in the file is what the executor does at load anyway: what differs is some other program's doing,
/// and must not decide what file is written.
constexpr double kFusedNoise = 1;
/// Of accuracies: less than an image of any data set, more than a rounding error.
constexpr double kTiny = 1e-9;
/// A share of the table's time that needs no pruning.
constexpr double kNearlyWhole = 0.95;
constexpr int kTrainings = 3;        // of one rung, each with fewer epochs, until one fits
constexpr double kLeastSeconds = 1;  // nothing begins with less time than this

std::string percent(double share) { return fmt::format("{:.4g} %", 100 * share); }

Measured measured_of(const Json& json) {
  return {json.at("accuracy").get<double>(), json.at("seconds").get<double>(), json.at("speed").get<double>(),
          json.at("macs").get<int64_t>()};
}

Json step_json(const Step& step) {
  Json json{
      {"title", step.title}, {"model", step.model}, {"seconds", step.seconds}, {"details", step.details}};
  if (step.measured) json["measured"] = to_json(*step.measured);
  return json;
}

}  // namespace

Json to_json(const Measured& m) {
  return {{"accuracy", m.accuracy}, {"seconds", m.seconds}, {"speed", m.speed}, {"macs", m.macs}};
}

double accuracy_floor(const Request& request, double original) {
  if (request.by_time()) return -1;
  return request.min_accuracy ? *request.min_accuracy : std::max(0.0, original - request.max_drop / 100);
}

std::string refusal(const Measured& model, const Measured& best, bool best_met, double floor, double noise) {
  if (model.accuracy < floor - kTiny)
    return fmt::format("{} is below the floor of {}", percent(model.accuracy), percent(floor));
  if (model.speed < 1 - noise) return fmt::format("{:.2f} times the original's speed", model.speed);
  if (best_met && model.speed < (1 - noise) * best.speed)
    return fmt::format("slower than the best so far, {:.2f} to {:.2f} times", model.speed, best.speed);
  return {};
}

Flow::Flow(const Request& request, std::string folder, Journal& journal, Work& work, Clock clock)
    : request_(request),
      folder_(std::move(folder)),
      journal_(journal),
      work_(work),
      deadline_(request.deadline, std::move(clock)) {}

void Flow::note(const std::string& text) {
  outcome_.notes.push_back(text);
  work_.note(text);
}

double Flow::limit(Stage stage) const {
  return deadline_.set() ? std::max(0.0, deadline_.left() - reserve_after(stage, rates_)) : kForever;
}

/// Null where the stage made nothing; why has been noted.
Step* Flow::stage(Job job, const std::string& title, const Maker& make) {
  Step step;
  step.stage = job.stage;
  step.name = fmt::format("{:02}-{}", ++count_, stage_name(job.stage));
  step.title = title;
  job.folder = "stages/" + step.name;
  Json inputs{{"model", job.model},
              {"digest", job.model.empty() ? "" : digest_of(folder_ + "/" + job.model)},
              {"share", job.share}};
  if (job.max_drop) inputs["max_drop"] = *job.max_drop;
  if (!job.float_model.empty()) inputs["float"] = digest_of(folder_ + "/" + job.float_model);
  if (const Json* found = journal_.find(step.name, inputs)) {
    step.model = found->at("model").get<std::string>();
    step.seconds = found->at("seconds").get<double>();
    step.details = found->at("details");
    if (found->contains("measured")) step.measured = measured_of(found->at("measured"));
    step.resumed = true;
  } else {
    if (job.seconds < kLeastSeconds) {
      note(step.name + " is left out: the deadline leaves no time for it");
      return nullptr;
    }
    std::error_code error;
    std::filesystem::create_directories(folder_ + "/" + job.folder, error);
    if (error)
      throw failure("cannot create the folder: " + error.message()).in_file(folder_ + "/" + job.folder);
    work_.begin(step.name, title);
    const double start = deadline_.elapsed();
    const Made made = make ? make(job) : work_.make(job);
    if (made.stopped || !made.refused.empty()) {
      note(step.name + " is left out: " + (made.stopped ? "the deadline stopped it" : made.refused));
      return nullptr;
    }
    step.model = made.model;
    step.details = made.details;
    if (!made.model.empty()) {
      step.measured = work_.measure(made.model);
      // The machine drifts between the stages; what was measured in turn does not.
      step.measured->seconds = outcome_.original.seconds / step.measured->speed;
    }
    step.seconds = deadline_.elapsed() - start;
    journal_.finish(step.name, inputs, made.files, step_json(step));
  }
  outcome_.steps.push_back(std::move(step));
  return &outcome_.steps.back();
}

/// Keeps the step's model, or says why not.
bool Flow::consider(Step& step, bool is_float) {
  step.why = refusal(*step.measured, outcome_.best, outcome_.met, outcome_.floor,
                     step.stage == Stage::kFuse ? kFusedNoise : kNoise);
  step.kept = step.why.empty();
  if (step.kept) {
    outcome_.best = *step.measured;
    outcome_.best_model = step.model;
    outcome_.best_name = step.name;
    outcome_.met = true;
    if (is_float) outcome_.best_float = step.model;
  }
  work_.done(step);
  return step.kept;
}

const Outcome& Flow::run() {
  baseline();
  if (request_.train) prune();
  if (outcome_.met) {
    fuse();
    quantize();
    finish();
  }
  return outcome_;
}

void Flow::baseline() {
  // The given model is what all others are measured against, so its own place is empty.
  Step* step = stage({.stage = Stage::kBaseline}, stage_text(Stage::kBaseline), [&](const Job& job) {
    Made made = work_.make(job);
    made.details["measured"] = to_json(work_.measure(""));
    return made;
  });
  XDN_CHECK(step != nullptr);
  outcome_.original = outcome_.best = measured_of(step->details.at("measured"));
  step->measured = outcome_.original;
  outcome_.floor = accuracy_floor(request_, outcome_.original.accuracy);
  outcome_.met = outcome_.original.accuracy >= outcome_.floor - kTiny;
  step->kept = outcome_.met;
  if (!outcome_.met) step->why = fmt::format("the floor is {}", percent(outcome_.floor));
  if (request_.target_share) outcome_.target = *request_.target_share * outcome_.original.seconds;
  if (request_.target_seconds) outcome_.target = *request_.target_seconds;
  rates_.image_seconds = outcome_.original.seconds;
  const auto count = [&](const char* name) { return step->details.at(name).get<int64_t>(); };
  rates_.val = count("val");
  rates_.test = count("test");
  rates_.train = count("train");
  rates_.calibration = count("calibration");
  rates_.tune_seconds = request_.tune_seconds;
  if (request_.deadline) rates_.tune_seconds = std::min(rates_.tune_seconds, *request_.deadline / 10);
  work_.done(*step);
}

double Flow::pruning_time_left() const { return limit(Stage::kPrune); }

void Flow::prune() {
  // Its own estimate is part of what follows pruning, and is spent here.
  const double first_epoch = epoch_estimate(request_.first_share, rates_, correction_);
  if (deadline_.set() && pruning_time_left() < first_epoch) {
    note(
        fmt::format("pruning is left out: an epoch of its training takes about {:.0f} s, the deadline leaves "
                    "{:.0f}",
                    first_epoch, pruning_time_left()));
    return;
  }
  Step* table = stage({.stage = Stage::kTable}, stage_text(Stage::kTable));
  if (table == nullptr) return;
  table->kept = true;
  work_.done(*table);
  const auto whole = table->details.at("seconds").get<double>();
  const auto least = table->details.at("least").get<double>();
  double first = request_.first_share;
  int rungs = request_.rungs;
  if (request_.by_time()) {
    first = outcome_.target / whole;
    if (first >= kNearlyWhole) {
      note("pruning is left out: the other steps are predicted to meet the time");
      return;
    }
    if (first < least) {
      throw input_error(
          fmt::format("cannot be pruned to {:.4g} ms an image: {:.4g} ms can be reached, of {:.4g} ms now",
                      1e3 * outcome_.target, 1e3 * least * whole, 1e3 * outcome_.original.seconds));
    }
    rungs = 1;
  }
  Ladder ladder(first, request_.by_time() ? 0 : least, rungs);
  if (!ladder.next()) note("pruning is left out: widths and blocks allow too little");
  while (const auto share = ladder.next()) {
    Step* step = stage({.stage = Stage::kPrune, .share = *share},
                       "prune to " + percent(std::round(*share * 1e3) / 1e3),
                       [&](const Job& job) { return train_within(job, ladder.left()); });
    if (step == nullptr) break;
    ladder.add(*share, consider(*step, true));
  }
}

/// The training of one rung, with fewer epochs than asked for where the deadline says so. Epochs are chosen
/// by an estimate; from the first that is done on, by what it took.
Made Flow::train_within(Job job, int rungs) {
  const std::string key = job.folder + ".epochs";
  const double began = deadline_.elapsed();
  Allotment fit =
      allot(pruning_time_left(), rungs, request_.epochs, epoch_estimate(job.share, rates_, correction_));
  // An interrupted training goes on with what it was begun with, while that fits.
  if (const Json* noted = journal_.noted(key)) fit.epochs = noted->get<int64_t>();
  const double until = began + fit.seconds;
  Made made;
  made.stopped = true;
  for (int training = 0; training < kTrainings && fit.epochs > 0; ++training) {
    job.epochs = fit.epochs;
    job.seconds = pruning_time_left();
    if (deadline_.set()) {
      journal_.note(key, job.epochs);
      job.too_slow = [&, until](int64_t epochs, double seconds) {
        const double to_come =
            static_cast<double>(job.epochs - epochs) * seconds / static_cast<double>(epochs);
        return deadline_.elapsed() + to_come > until && until < kForever;
      };
    }
    made = work_.make(job);
    if (made.epochs_done > 0) {
      const double epoch = made.epoch_seconds / static_cast<double>(made.epochs_done);
      correction_ = std::max(epoch / std::max(epoch_estimate(job.share, rates_, 1), 1e-9), 1e-9);
    }
    if (!made.stopped) break;
    const Allotment less =
        allot(until - deadline_.elapsed(), 1, job.epochs - 1, epoch_estimate(job.share, rates_, correction_));
    if (made.epochs_done == 0) break;
    fit.epochs = less.epochs;
  }
  return made;
}

void Flow::fuse() {
  Step* step = stage({.stage = Stage::kFuse, .model = outcome_.best_model, .seconds = limit(Stage::kFuse)},
                     stage_text(Stage::kFuse));
  if (step != nullptr) (void)consider(*step, true);
}

void Flow::quantize() {
  Job job{.stage = Stage::kQuantize, .model = outcome_.best_model, .seconds = limit(Stage::kQuantize)};
  if (!request_.by_time()) job.max_drop = std::max(0.0, 100 * (outcome_.best.accuracy - outcome_.floor));
  Step* step = stage(job, stage_text(Stage::kQuantize));
  if (step == nullptr) return;
  const bool given_up = step->details.value("unchanged", false);
  const bool kept = consider(*step, false);
  if ((given_up || !kept) && request_.train) qat();
}

void Flow::qat() {
  // Half of what is left above the reserve may go into its epochs; their time is watched as that of
  // pruning's.
  Job job{.stage = Stage::kQat,
          .model = outcome_.best_float,
          .float_model = outcome_.best_float,
          .epochs = request_.qat_epochs,
          .seconds = limit(Stage::kQat)};
  if (deadline_.set()) {
    const double epoch = epoch_estimate(1 / std::max(outcome_.best.speed, 1.0), rates_, correction_);
    job.epochs = allot(job.seconds, 1, request_.qat_epochs, epoch).epochs;
    if (job.epochs == 0) return note("8 bits are not trained: the deadline leaves no time for it");
    const std::string key = "qat.epochs";
    if (const Json* noted = journal_.noted(key)) job.epochs = noted->get<int64_t>();
    journal_.note(key, job.epochs);
  }
  Step* step = stage(job, stage_text(Stage::kQat));
  if (step != nullptr) (void)consider(*step, false);
}

void Flow::finish() {
  if (outcome_.target > 0) {
    outcome_.in_time = outcome_.best.seconds <= outcome_.target * (1 + kNoise);
    if (!outcome_.in_time) {
      note(fmt::format("{:.4g} ms an image were asked for, {:.4g} were reached", 1e3 * outcome_.target,
                       1e3 * outcome_.best.seconds));
    }
  }
  const auto told = [&](Step* step) {
    if (step == nullptr) return;
    step->kept = true;
    work_.done(*step);
  };
  // The model is written whatever the clock says: it is what all this was for.
  told(stage({.stage = Stage::kModel, .model = outcome_.best_model, .float_model = outcome_.best_float},
             stage_text(Stage::kModel)));
  double tune = rates_.tune_seconds;
  if (deadline_.set()) tune = std::min(tune, limit(Stage::kTune));
  if (request_.tune_seconds > 0) {
    told(stage({.stage = Stage::kTune, .model = "model.onnx", .seconds = tune}, stage_text(Stage::kTune)));
  }
  if (request_.test) {
    told(stage({.stage = Stage::kTest,
                .model = "model.onnx",
                .seconds = std::max(limit(Stage::kTest), kLeastSeconds)},
               stage_text(Stage::kTest)));
  }
}

}  // namespace xdn::optimize
