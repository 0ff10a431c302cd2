#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "cli/dataset_flags.h"
#include "cli/eval_reference.h"
#include "cli/eval_report.h"
#include "cli/model_input.h"
#include "cli/output.h"
#include "cli/profile_report.h"
#include "cli/progress.h"
#include "cli/run_info.h"
#include "cli/verbs.h"
#include "data/dataset.h"
#include "data/pack.h"
#include "evaluator/energy.h"
#include "evaluator/evaluate.h"
#include "evaluator/predictions.h"
#include "evaluator/resources.h"

namespace xdn::cli {
namespace {

struct EvalFlags {
  std::string model, data, predictions, reference, subset;
  int64_t batch = 0, limit = 0, samples = 0;
  bool online = false, no_verify = false, confusion = false;
  ProfileFlags profile;
  PixelFlags pixels;
  ExecFlags exec;
  Output output;
};

/// One evaluation; run() has its order.
class EvalRun {
 public:
  explicit EvalRun(const EvalFlags& flags)
      : flags_(flags),
        out_(flags.output),
        model_(load_model_input(flags.model, flags.pixels)),
        images_(flags.data, subset_of(flags.subset), model_, flags.online),
        dataset_(images_.dataset()),
        n_(flags.limit > 0 ? std::min(flags.limit, dataset_.size()) : dataset_.size()),
        labels_(std::span<const int64_t>(dataset_.labels()).first(static_cast<size_t>(n_))) {}

  int run() {
    warn_of_raw_pixels(model_);
    verify();
    log_info(fmt::format("{} of {} images, {} classes", n_, dataset_.size(), dataset_.classes().size()));
    plan();
    read_reference();
    evaluate_all();
    if (!flags_.predictions.empty()) write_predictions(flags_.predictions, labels_, result_.predictions);
    report_totals();
    if (!flags_.reference.empty()) report_reference();
    report_classes();
    if (flags_.profile.profile) report_profile();
    put_run_info(json_, "eval");
    out_.finish(json_);
    return 0;
  }

 private:
  void verify() {
    if (!is_pack(flags_.data) || flags_.no_verify) return;
    const Stopwatch watch;
    verify_pack(flags_.data);
    verify_seconds_ = watch.seconds();
  }

  void plan() {
    const Stopwatch watch;
    executor_.emplace(make_executor(model_, flags_.exec, dataset_.bgr(), flags_.batch));
    plan_seconds_ = watch.seconds();
    outputs_ = executor_->output_size();
    try {
      check_labels(labels_, outputs_);
      check_samples();
    } catch (Error& error) {
      throw error.in_file(flags_.data);
    }
    log_info(settings_line(executor_->settings()));
  }

  /// Logits of all images are kept for --samples.
  void check_samples() const {
    constexpr int64_t kMostBytes = int64_t{4} << 30;
    const int64_t row_bytes = outputs_ * static_cast<int64_t>(sizeof(float));
    if (flags_.samples == 0 || n_ <= kMostBytes / row_bytes) return;
    throw input_error(
        fmt::format("--samples keeps the {} logits of {} images, more than {}: take fewer with --limit",
                    outputs_, n_, human_bytes(static_cast<double>(kMostBytes))));
  }

  ReferenceRequest reference_request() const {
    return {flags_.reference, flags_.data, subset_of(flags_.subset), flags_.pixels, flags_.exec,
            flags_.online,    flags_.batch};
  }

  /// A file that does not fit is refused before the work starts.
  void read_reference() {
    if (is_predictions_file(flags_.reference))
      reference_ = reference_predictions(reference_request(), labels_, outputs_);
  }

  void evaluate_all() {
    images_.prepare(n_);
    first_run_seconds_ = warm_up(*executor_, dataset_.image_bytes(), n_).seconds;
    Progress progress("eval", n_);
    EnergyMeter energy;
    result_ = evaluate(*executor_, images_.source(), labels_, dataset_.image_bytes(),
                       {.batch = flags_.batch,
                        .keep_predictions = true,
                        .keep_logits = flags_.samples > 0,
                        .done = &progress.done()});
    joules_ = energy.joules();
    peak_rss_bytes_ = peak_rss_bytes();  // what follows takes memory of its own
    progress.finish();
    rate_ = static_cast<double>(n_) / std::max(result_.seconds_total, 1e-9);
  }

  void report_totals() {
    const Accuracy& accuracy = result_.accuracy;
    const Interval interval = wilson_interval(accuracy.correct(), accuracy.images());
    const bool has_top5 = dataset_.classes().size() > 5 && outputs_ > 5;
    json_["model"] = flags_.model;
    json_["data"] = flags_.data;
    json_["images"] = accuracy.images();
    json_["correct"] = accuracy.correct();
    json_["accuracy"] = accuracy.top1();
    json_["accuracy_interval"] = {interval.lo, interval.hi};
    if (has_top5) json_["top5"] = accuracy.top5();
    json_["seconds_total"] = result_.seconds_total;
    json_["images_per_second"] = rate_;
    put_settings(json_, executor_->settings());
    json_["online"] = flags_.online;
    json_["batch"] = flags_.batch == 0 ? n_ : flags_.batch;
    json_["load_seconds"] = model_.load_seconds;
    json_["plan_seconds"] = plan_seconds_;
    json_["verify_seconds"] = verify_seconds_;
    json_["decode_seconds"] = images_.decode_seconds();
    json_["warm_up_seconds"] = first_run_seconds_;
    json_["time_split"] = {{"open", model_.load_seconds},
                           {"map", images_.map_seconds()},
                           {"plan", plan_seconds_},
                           {"first_run", first_run_seconds_},
                           {"steady", result_.seconds_total}};
    json_["peak_rss_bytes"] = peak_rss_bytes_;
    if (joules_) json_["energy_joules"] = *joules_;

    out_.print("{}\n", settings_line(executor_->settings()));
    out_.print("accuracy    {:.4f}  ({} of {}), 95 % interval {:.4f} to {:.4f}\n", accuracy.top1(),
               accuracy.correct(), accuracy.images(), interval.lo, interval.hi);
    if (has_top5) out_.print("top 5       {:.4f}\n", accuracy.top5());
    out_.print("time        {:.3f} s, {:.1f} images/s{}\n", result_.seconds_total, rate_,
               flags_.online ? " with decoding" : "");
    out_.print("before it   load {:.3f} s, map {:.3f} s, plan {:.3f} s, warm-up {:.3f} s",
               model_.load_seconds, images_.map_seconds(), plan_seconds_, first_run_seconds_);
    if (verify_seconds_ > 0) out_.print(", checksum {:.3f} s", verify_seconds_);
    if (images_.decode_seconds() > 0) out_.print(", decoding {:.3f} s", images_.decode_seconds());
    out_.print("\npeak RSS    {}\n", human_bytes(static_cast<double>(peak_rss_bytes_)));
    if (joules_) {
      out_.print("energy      {:.4g} J, {:.3g} J per image\n", *joules_, *joules_ / static_cast<double>(n_));
    }
  }

  void report_classes() {
    const EvalReport report{class_names(dataset_.classes(), model_.preprocess.classes, outputs_),
                            Confusion(outputs_, labels_, result_.predictions)};
    report.put(json_);
    report.print_worst(out_);
    if (flags_.confusion) report.print_confusion(out_);
    if (flags_.samples == 0) return;
    const std::vector<WrongImage> samples = confident_mistakes(labels_, result_.predictions, result_.logits,
                                                               outputs_, static_cast<size_t>(flags_.samples));
    json_["samples"] = samples_json(samples, dataset_);
    print_samples(out_, samples, dataset_, report);
  }

  /// Another run over the first images, as many as take about a second, with every step timed.
  void report_profile() {
    const ExecSettings& settings = executor_->settings();
    const int64_t tiles = int64_t{settings.data_parallel} * settings.batch_tile;
    const int64_t few = std::min(n_, std::max(tiles, static_cast<int64_t>(std::min(rate_, 1e9))));
    std::vector<float> logits(static_cast<size_t>(element_count({few, outputs_}, sizeof(float))));
    Progress progress("profile", few);
    executor_->start_profile();
    const Stopwatch watch;
    executor_->run_u8(images_.source(), few, logits.data(), &progress.done());
    const double seconds = watch.seconds();
    progress.finish();
    const ProfileReport profile(*executor_, few, seconds, few);
    json_["profile"] = profile.json();
    profile.print(out_, flags_.profile.top);
  }

  void report_reference() {
    if (!reference_) reference_ = reference_predictions(reference_request(), labels_, outputs_);
    const PairedPredictions pair = pair_predictions(labels_, *reference_, result_.predictions);
    json_["reference"] = reference_json(flags_.reference, pair);
    print_reference(out_, flags_.reference, pair);
  }

  const EvalFlags& flags_;
  const Output& out_;
  ModelInput model_;
  EvalImages images_;
  const Dataset& dataset_;
  const int64_t n_;  ///< images evaluated
  const std::span<const int64_t> labels_;
  std::optional<Executor> executor_;
  int64_t outputs_ = 0;
  std::optional<std::vector<int64_t>> reference_;  ///< its predictions
  Evaluation result_;
  double plan_seconds_ = 0, verify_seconds_ = 0, first_run_seconds_ = 0;
  double rate_ = 0;  ///< images per second
  std::optional<double> joules_;
  int64_t peak_rss_bytes_ = 0;
  nlohmann::ordered_json json_;
};

int run(const EvalFlags& flags) {
  flags.output.check();
  if (!flags.predictions.empty()) check_output(flags.predictions);
  if (!flags.reference.empty()) check_reference(flags.reference);
  return EvalRun(flags).run();
}

}  // namespace

Action add_eval(CLI::App& app) {
  const auto flags = std::make_shared<EvalFlags>();
  app.add_option("MODEL", flags->model, "The model")->required()->type_name("");
  app.add_option("--data", flags->data, "Pack, image folder or CIFAR-10 binary folder")
      ->required()
      ->type_name("DATA");
  app.add_option("--batch", flags->batch, "Images handed to the executor at once; default: all")
      ->check(whole_number(1))
      ->type_name("N");
  app.add_option("--limit", flags->limit, "Only the first N images")->check(whole_number(1))->type_name("N");
  app.add_flag("--online", flags->online, "Decode and preprocess while inferring, and count that time");
  app.add_option("--predictions", flags->predictions,
                 "Write index,label,prediction of every image to this CSV file")
      ->type_name("FILE");
  app.add_option("--reference", flags->reference,
                 "Compare with another model's predictions of the same images, or with a file that "
                 "--predictions wrote: flips and McNemar's test")
      ->type_name("MODEL|FILE");
  app.add_flag("--confusion", flags->confusion, "Print which classes are taken for which");
  app.add_option("--samples", flags->samples,
                 "The N most confident mistakes: named, and as pictures in the JSON")
      ->check(whole_number(1, 10000))
      ->type_name("N");
  flags->profile.add_options(app);
  app.add_flag("--no-verify", flags->no_verify, "Trust a pack's data without comparing their SHA-256");
  add_subset_option(app, flags->subset);
  flags->output.add_option(app);
  flags->pixels.add_options(app);
  flags->exec.add_options(app);
  flags->exec.add_tuning_option(app);
  return [flags] { return run(*flags); };
}

}  // namespace xdn::cli
