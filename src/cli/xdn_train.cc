#include <fmt/format.h>

#include <filesystem>
#include <optional>

#include "base/error.h"
#include "base/log.h"
#include "cli/dataset_flags.h"
#include "cli/model_input.h"
#include "cli/process.h"
#include "cli/progress.h"
#include "cli/run_info.h"
#include "cli/train_data.h"
#include "cli/train_flags.h"
#include "evaluator/resources.h"
#include "formats/model_io.h"
#include "fusion/passes.h"
#include "pruning/scores_file.h"
#include "training/architectures.h"
#include "training/initialize.h"
#include "training/taylor.h"
#include "training/trainer.h"

namespace xdn::cli {
namespace {

using training::TrainResult;

/// Nor is what is read written over.
void check_written(const TrainFlags& flags, const std::string& out) {
  check_output(out);
  std::error_code ignored;
  for (const auto& [spec, what] : {std::pair{flags.model, "model"}, std::pair{flags.teacher, "teacher"}}) {
    if (spec.empty()) continue;
    for (const std::string& file : model_files(spec)) {
      if (std::filesystem::equivalent(file, out, ignored)) {
        throw input_error(fmt::format("is the {} itself, expected another name to write to", what))
            .in_file(out);
      }
    }
  }
}

void check_outputs(const TrainFlags& flags) {
  flags.output.check();
  if (!flags.scores.empty()) return check_written(flags, flags.scores);
  for (const std::string& out : xdn::model_files(flags.out)) check_written(flags, out);
  check_output(xdn::model_stem(flags.out) + ".preprocess.json");
}

/// A model as it was read, but for weights that are computed from constants (float16 and a Cast): these
/// become constants.
ModelInput load_trainable(const std::string& spec) {
  ModelInput model = load_model_input(spec, {});
  if (fusion::fold_constants(model.graph) > 0) {
    (void)fusion::eliminate_dead(model.graph);
    model.graph.compact();
  }
  if (model.raw_pixels) {
    log_warning(fmt::format("no {}.preprocess.json: pixels enter as 0 to 255", printable(model_stem(spec))));
  }
  if (model.channels != 3) {
    throw input_error(fmt::format("takes images of {} channels, data sets have 3", model.channels))
        .in_file(model_file(spec));
  }
  return model;
}

/// The network of --arch for the data, which decide what flags leave open.
ModelInput build_model(const TrainFlags& flags, const LoadedImages& images) {
  const Dataset& dataset = images.dataset();
  if (dataset.height() != dataset.width()) {
    throw input_error(
        fmt::format("holds images of {}x{}, --arch expects square ones: --input N makes them so",
                    dataset.height(), dataset.width()))
        .in_file(flags.data);
  }
  ModelInput model;
  model.spec = flags.arch;
  model.channels = 3;
  model.graph = training::build_architecture(
      flags.arch,
      {.classes = flags.classes != 0 ? flags.classes : static_cast<int64_t>(dataset.classes().size()),
       .size = dataset.height(),
       .seed = flags.seed});
  const training::PixelStatistics statistics = training::pixel_statistics(images.set());
  model.preprocess.input = model.graph.value(model.graph.inputs()[0]).name;
  model.preprocess.scale = 1.0f / 255;
  model.preprocess.mean = statistics.mean;
  model.preprocess.std = statistics.std;
  model.preprocess.height = dataset.height();
  model.preprocess.width = dataset.width();
  return model;
}

training::TrainOptions options_of(const TrainFlags& flags) {
  const AugmentChoice augment = parse_augment(flags.augment);
  training::TrainOptions o;
  o.epochs = flags.epochs;
  o.batch = flags.batch;
  o.rate = flags.lr;
  o.schedule = *training::parse_schedule(flags.schedule);
  o.warmup = flags.warmup;
  o.momentum = flags.momentum;
  o.weight_decay = flags.weight_decay;
  o.label_smoothing = flags.label_smoothing;
  o.ema = flags.ema;
  o.augmentation = {augment.crop, augment.flip, augment.cutout};
  o.bf16 = flags.precision == "bf16";
  o.learn_scales = flags.learn_scales;
  o.temperature = flags.temperature;
  o.alpha = flags.alpha;
  o.feature_weight = flags.features;
  o.reestimate = flags.reestimate;
  if (!flags.sparsity.empty()) {
    o.sparsity.emplace();
    o.sparsity->kind = *training::parse_sparsity(flags.sparsity);
    o.sparsity->strength = flags.sparsity_strength;
    if (!flags.prune_plan.empty()) o.sparsity->plan = pruning::read_plan(flags.prune_plan);
    o.sparsity->plan_file = flags.prune_plan;
  }
  o.augment_epochs = flags.augment_epochs;
  o.teacher_cache = flags.teacher_cache;
  o.seed = flags.seed;
  o.threads = static_cast<int>(flags.threads);
  if (flags.scores.empty()) o.run_folder = flags.run_folder();
  o.resume = flags.resume;
  return o;
}

std::string percent(const std::optional<double>& ratio) {
  return ratio ? fmt::format("{:.2f} %", 100 * *ratio) : "-";
}

/// A line per epoch on stdout, a bar per epoch on stderr.
class Narrator {
 public:
  Narrator(const TrainFlags& flags) : flags_(flags) {}

  training::TrainObserver observer() {
    training::TrainObserver observer;
    observer.on_batch = [this](const training::BatchReport& report) { batch(report); };
    observer.on_epoch = [this](const training::EpochReport& report) { epoch(report); };
    return observer;
  }

 private:
  void batch(const training::BatchReport& report) {
    const int64_t per_epoch = report.images_in_all / flags_.epochs;
    if (!progress_) progress_.emplace(fmt::format("epoch {}/{}", report.epoch, flags_.epochs), per_epoch);
    progress_->done() = report.images - (report.epoch - 1) * per_epoch;
    const double rate = std::max(report.images_per_second, 1e-9);
    progress_->note(fmt::format(
        "loss {:.4f}  {}  {:.0f} img/s  all epochs: {} left", report.loss, percent(report.accuracy), rate,
        duration_text(static_cast<double>(report.images_in_all - report.images) / rate)));
  }

  void epoch(const training::EpochReport& report) {
    progress_.reset();
    std::string line = fmt::format("epoch {}/{}  loss {:.4f}  train {}", report.epoch, flags_.epochs,
                                   report.loss, percent(report.accuracy));
    if (report.val_accuracy) line += fmt::format("  val {}", percent(report.val_accuracy));
    if (report.sparsity) line += fmt::format("  sparsity {}", percent(report.sparsity));
    flags_.output.print("{}  {:.0f} img/s  {}\n", line, report.images_per_second,
                        duration_text(report.seconds));
    std::fflush(stdout);
  }

  const TrainFlags& flags_;
  std::optional<Progress> progress_;
};

void write_model(const TrainFlags& flags, Graph graph, Preprocess preprocess, bool raw_pixels,
                 const Dataset& dataset) {
  std::string& steps = graph.metadata["xdn.steps"];
  steps += fmt::format("{}train x{}", steps.empty() ? "" : "; ", flags.epochs);
  if (!raw_pixels) {
    if (preprocess.classes.empty()) preprocess.classes = dataset.classes();
    write_preprocess(preprocess, xdn::model_stem(flags.out) + ".preprocess.json");
  }
  save_model(graph, flags.out);
}

void finish(const TrainFlags& flags, const TrainResult& result) {
  const Output& out = flags.output;
  if (result.resumed_from > 0) out.print("resumed     after epoch {}\n", result.resumed_from);
  if (result.best_epoch > 0) out.print("best epoch  {}\n", result.best_epoch);
  if (result.reestimated)
    out.print("BatchNorm   {}\n", *result.reestimated ? "estimated anew" : "kept: no better anew");
  if (result.val_accuracy) out.print("validation  {}\n", percent(result.val_accuracy));
  if (result.test_accuracy) out.print("test        {}\n", percent(result.test_accuracy));
  if (!result.plan_file.empty()) {
    out.print("plan        {}: removes {} of {} units\n", printable(result.plan_file), result.units_to_go,
              result.units);
  }
  out.print("wrote {}\n", printable(flags.out));
  nlohmann::ordered_json json;
  json["model"] = flags.model.empty() ? flags.arch : flags.model;
  json["data"] = flags.data;
  json["out"] = flags.out;
  json["run"] = flags.run_folder();
  json["epochs"] = result.epochs;
  json["resumed_from"] = result.resumed_from;
  if (result.best_epoch > 0) json["best_epoch"] = result.best_epoch;
  json["train_loss"] = result.last_loss;
  if (result.val_accuracy) json["val_accuracy"] = *result.val_accuracy;
  if (result.test_accuracy) json["test_accuracy"] = *result.test_accuracy;
  if (result.reestimated) json["reestimated"] = *result.reestimated;
  if (!result.plan_file.empty()) {
    json["plan"] = result.plan_file;
    json["units"] = result.units;
    json["units_to_go"] = result.units_to_go;
  }
  json["images_per_second"] = result.images_per_second;
  json["seconds_total"] = result.seconds;
  json["precision"] = flags.precision;
  json["device"] = result.cuda ? "cuda" : "cpu";
  json["peak_rss_bytes"] = peak_rss_bytes();
  put_run_info(json, "train");
  out.finish(json);
}

void write_scores(const TrainFlags& flags, ModelInput& model, const training::ImageSet& images,
                  const std::optional<training::Teacher>& teacher) {
  const training::TrainOptions options = options_of(flags);
  pruning::ScoresFile file{.images = training::taylor_images(images, options, flags.score_images),
                           .seed = flags.seed,
                           .layers = {}};
  try {
    file.layers = training::taylor_scores(std::move(model.graph), model.preprocess, images, teacher, options,
                                          file.images);
  } catch (Error& error) {
    throw error.in_file(model_file(model.spec));
  }
  pruning::write_scores(file, flags.scores);
  size_t filters = 0;
  for (const auto& entry : file.layers) filters += entry.second.size();
  const Output& out = flags.output;
  out.print("scored      {} filters of {} layers by {} images\n", filters, file.layers.size(), file.images);
  out.print("wrote {}\n", printable(flags.scores));
  nlohmann::ordered_json json;
  json["model"] = flags.model;
  json["data"] = flags.data;
  json["scores"] = flags.scores;
  json["images"] = file.images;
  json["layers"] = file.layers.size();
  json["filters"] = filters;
  put_run_info(json, "train");
  out.finish(json);
}

int train(const TrainFlags& flags) {
  flags.check();
  check_outputs(flags);
  ModelInput model;
  if (!flags.model.empty()) model = load_trainable(flags.model);
  DatasetOptions data_options = dataset_options(model.preprocess);
  if (flags.input != 0) data_options.geometry.height = data_options.geometry.width = flags.input;
  data_options.split = has_splits(flags.data) ? Split::kTrain : Split::kAuto;
  const LoadedImages images(flags.data, data_options, !flags.no_verify);
  if (flags.model.empty()) model = build_model(flags, images);
  check_classes(model, images.dataset());
  if (flags.from_scratch) {
    try {
      training::initialize(model.graph, flags.seed);
    } catch (Error& error) {
      throw error.in_file(model_file(model.spec));
    }
  }
  data_options.split = Split::kAuto;
  data_options.geometry.height = images.dataset().height();
  data_options.geometry.width = images.dataset().width();
  training::TrainData data{images.set(), std::nullopt, std::nullopt};
  std::optional<LoadedImages> val, test;
  const auto load = [&](const std::string& path, std::optional<LoadedImages>& loaded,
                        std::optional<training::ImageSet>& set) {
    if (path.empty()) return;
    loaded.emplace(path, data_options, !flags.no_verify);
    check_same_kind(loaded->dataset(), images.dataset());
    set = loaded->set();
  };
  load(flags.val, val, data.val);
  load(flags.test, test, data.test);
  std::optional<training::Teacher> teacher;
  if (!flags.teacher.empty()) {
    ModelInput loaded = load_trainable(flags.teacher);
    teacher =
        training::Teacher{std::move(loaded.graph), std::move(loaded.preprocess), model_file(flags.teacher)};
  }
  log_info(fmt::format("{} training images of {} classes", images.dataset().size(),
                       images.dataset().classes().size()));

  if (!flags.scores.empty()) {
    write_scores(flags, model, images.set(), teacher);
    return kDone;
  }
  Narrator narrator(flags);
  TrainResult result;
  try {
    result = training::train(std::move(model.graph), model.preprocess, data, teacher, options_of(flags),
                             narrator.observer());
  } catch (Error& error) {
    throw error.in_file(model_file(model.spec));
  }
  write_model(flags, std::move(result.graph), model.preprocess, model.raw_pixels, images.dataset());
  finish(flags, result);
  return kDone;
}

int run(int argc, char** argv) {
  CLI::App app("Trains a model, or a standard network from scratch; what xdn train becomes.", "xdn train");
  TrainFlags flags;
  bool verbose = false;
  flags.add_options(app);
  app.add_flag("-v,--verbose", verbose, "Say what is being done, on stderr");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    return report(fmt::format("{}; see xdn train --help", printable(error.what())), kWrongInput);
  }
  set_verbose(verbose);
  return train(flags);
}

}  // namespace
}  // namespace xdn::cli

int main(int argc, char** argv) { return xdn::cli::run_program(argc, argv, xdn::cli::run); }
