#include "training/trainer.h"

#include <fmt/format.h>
#include <torch/torch.h>

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/cpu.h"
#include "base/error.h"
#include "base/log.h"
#include "base/thread_pool.h"
#include "training/evaluation.h"
#include "training/loader.h"
#include "training/module.h"
#include "training/optimizer.h"
#include "training/run_folder.h"
#include "training/settings.h"
#include "training/sparsity.h"
#include "training/teaching.h"
#include "training/weights.h"

namespace xdn::training {
namespace {

using nlohmann::ordered_json;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

class Trainer {
 public:
  Trainer(Graph graph, const Preprocess& preprocess, const TrainData& data,
          const std::optional<Teacher>& teacher, const TrainOptions& options, const TrainObserver& observer)
      : preprocess_(preprocess),
        data_(data),
        options_(options),
        observer_(observer),
        device_(best_device()),
        loader_options_{.batch = options.batch,
                        .bf16 = options.bf16,
                        .seed = options.seed,
                        .augmentation = options.augmentation,
                        .augment_epochs = options.augment_epochs},
        settings_(settings_of(graph, preprocess, data, teacher, options)),
        module_(std::move(graph), options.learn_scales) {
    check();
    at::set_num_threads(options_.threads > 0 ? options_.threads : available_cpus());
    module_.move_to(device_);
    if (teacher)
      teacher_.emplace(begin_teaching(*teacher, preprocess_, module_, data_.train, options_, device_));
    XDN_CHECK(!options_.sparsity || options_.ema == 0);  // averages would stay behind what has become zero
    XDN_CHECK(options_.teacher_cache.empty() || (teacher && options_.feature_weight == 0));
    if (options_.sparsity) sparsity_.emplace(module_, *options_.sparsity);
    folder_.emplace(options_.run_folder, options_.resume);
    if (!options_.teacher_cache.empty()) {
      teacher_->keep_in({options_.teacher_cache, teacher_digest(*teacher, preprocess_, data_.train, options_),
                         data_.train.size(), module_.classes()});
    }
    optimizer_.emplace(module_, Optimizer::Options{.momentum = options_.momentum,
                                                   .weight_decay = options_.weight_decay,
                                                   .nesterov = true,
                                                   .ema = options_.ema});
    log_.push_back(ordered_json{{"settings", settings_}, {"threads", at::get_num_threads()}}.dump());
  }

  TrainResult run() {
    const auto start = std::chrono::steady_clock::now();
    if (const auto checkpoint = folder_->load()) restore(*checkpoint);
    folder_->write_log(log_);
    resumed_from_ = epoch_;
    Loader loader(data_.train, preprocess_, loader_options_);
    Schedule schedule{options_.schedule, options_.rate, options_.epochs * loader.batches(), 0};
    schedule.warmup_steps = std::llround(options_.warmup * static_cast<double>(loader.batches()));
    while (epoch_ < options_.epochs) {
      EpochReport report = train_epoch(loader, schedule);
      ++epoch_;
      select(report);
      append(report);
      // First what the epoch cost the teacher: a run that goes on behind its checkpoint never makes it again.
      if (teacher_) teacher_->end_epoch();
      save();
      folder_->write_log(log_);
      if (observer_.on_epoch) observer_.on_epoch(report);
    }
    return finish(loader, start);
  }

 private:
  at::ScalarType compute_type() const { return options_.bf16 ? at::kBFloat16 : at::kFloat; }

  void check() const {
    check_logits(module_);
    if (options_.bf16 && module_.is_quantized()) {
      throw Error(ErrorKind::kUsage, "is quantized: --precision bf16 would move its levels, expected fp32");
    }
    if (options_.learn_scales && !module_.is_quantized()) {
      throw Error(ErrorKind::kUsage, "is not quantized: --learn-scales has no scales to learn");
    }
    check_images(module_, data_.train, "training");
    if (data_.val) check_images(module_, *data_.val, "validation");
    if (data_.test) check_images(module_, *data_.test, "test");
    if (module_.has_batchnorm() && std::min(options_.batch, data_.train.size()) < 2) {
      throw input_error("has BatchNorms, which need batches of at least 2 images");
    }
    if (options_.reestimate > 0 && !module_.has_batchnorm())
      log_warning("--reestimate-bn does nothing: the model has no BatchNorms");
  }

  Tensors weights() const { return weights_of(module_); }
  /// Those that are evaluated and written: averaged where they are.
  Tensors evaluated() const { return optimizer_->averages().empty() ? weights() : optimizer_->averages(); }

  EpochReport train_epoch(Loader& loader, const Schedule& schedule) {
    EpochReport report;
    report.epoch = epoch_ + 1;
    module_.set_training(true);
    module_.set_compute_type(compute_type());
    const int64_t per_epoch = loader.batches() * loader.batch();
    const auto start = std::chrono::steady_clock::now();
    double loss_sum = 0;
    int64_t images = 0, correct = 0, step = epoch_ * loader.batches();
    loader.start(epoch_);
    if (teacher_) teacher_->start_epoch(loader_options_.augmented_as(epoch_));
    for (const Batch* batch = loader.next(); batch != nullptr; batch = loader.next(), ++step) {
      const at::Tensor x = image_tensor(batch->pixels, batch->size, data_.train, compute_type()).to(device_);
      const at::Tensor labels = label_tensor(batch->labels).to(device_);
      const Module::Result result = module_.forward(x);
      std::optional<Module::Result> taught;
      if (teacher_) taught = teacher_->forward(x, batch->indices);
      const at::Tensor loss = loss_of(result, taught ? &*taught : nullptr, labels, options_);
      const double value = loss.item<double>();
      if (!std::isfinite(value)) stop_diverged(report.epoch, step - epoch_ * loader.batches());
      loss.backward();
      report.rate = schedule.rate(step);
      optimizer_->step(report.rate, step);
      if (sparsity_) sparsity_->after_step(report.rate, step, options_.epochs * loader.batches());
      images += batch->size;
      loss_sum += value * static_cast<double>(batch->size);
      correct += result.logits.detach().argmax(1).eq(labels).sum().item<int64_t>();
      report.loss = loss_sum / static_cast<double>(images);
      report.accuracy = static_cast<double>(correct) / static_cast<double>(images);
      report.seconds = seconds_since(start);
      report.images_per_second = static_cast<double>(images) / std::max(report.seconds, 1e-9);
      if (observer_.on_batch) {
        observer_.on_batch({report.epoch, epoch_ * per_epoch + images, options_.epochs * per_epoch,
                            report.loss, report.accuracy, report.images_per_second});
      }
    }
    for (const at::Tensor& tensor : weights()) {
      if (!at::isfinite(tensor).all().item<bool>()) stop_diverged(report.epoch, loader.batches() - 1);
    }
    if (sparsity_) report.sparsity = sparsity_->after_epoch(report.epoch == options_.epochs);
    return report;
  }

  [[noreturn]] void stop_diverged(int64_t epoch, int64_t step) const {
    const std::string kept = epoch_ == 0 ? "there is no checkpoint yet"
                                         : fmt::format("the checkpoint of epoch {} is kept", epoch_);
    throw failure(
        fmt::format("the loss is not finite in epoch {}, step {}: {}; a lower --lr or a longer --warmup "
                    "may help",
                    epoch, step + 1, kept))
        .in_file(folder_->path());
  }

  void select(EpochReport& report) {
    if (!data_.val) return;
    const Tensors current = optimizer_->averages().empty() ? Tensors{} : copies(weights());
    if (!current.empty()) assign(weights(), optimizer_->averages());
    report.val_accuracy = evaluate(module_, preprocess_, *data_.val, device_);
    if (sparsity_ || best_epoch_ == 0 || *report.val_accuracy > best_accuracy_) {
      best_epoch_ = epoch_;
      best_accuracy_ = *report.val_accuracy;
      best_ = copies(weights());
    }
    if (!current.empty()) assign(weights(), current);
  }

  void append(const EpochReport& report) {
    ordered_json line;
    line["epoch"] = report.epoch;
    line["lr"] = report.rate;
    line["train_loss"] = report.loss;
    line["train_accuracy"] = report.accuracy;
    if (report.val_accuracy) line["val_accuracy"] = *report.val_accuracy;
    if (report.sparsity) line["sparsity"] = *report.sparsity;
    line["images_per_second"] = report.images_per_second;
    line["seconds"] = report.seconds;
    log_.push_back(line.dump());
    last_loss_ = report.loss;
    seconds_ += report.seconds;
  }

  void save() const {
    Checkpoint checkpoint;
    ordered_json state;
    state["settings"] = settings_;
    state["threads"] = at::get_num_threads();
    state["epoch"] = epoch_;
    state["best_epoch"] = best_epoch_;
    state["best_accuracy"] = best_accuracy_;
    state["last_loss"] = last_loss_;
    state["seconds"] = seconds_;
    state["log"] = log_;
    checkpoint.state = state.dump();
    const std::vector<std::string> names = weight_names(module_);
    put(checkpoint, "weights/", names, weights());
    put(checkpoint, "momentum/", names, optimizer_->momenta());
    put(checkpoint, "average/", names, optimizer_->averages());
    if (best_epoch_ != 0 && best_epoch_ != epoch_) put(checkpoint, "best/", names, best_);
    folder_->save(checkpoint);
  }

  void restore(const Checkpoint& checkpoint) {
    try {
      const auto state = nlohmann::json::parse(checkpoint.state);
      const auto& saved = state.at("settings");
      const auto differs = [](const std::string& name, const std::string& is, const std::string& wanted) {
        return input_error(
            fmt::format("is of a run with {} {}, not {}: --resume continues it with its own settings",
                        printable(name), printable(is), printable(wanted)));
      };
      for (const auto& [name, value] : settings_.items()) {
        if (!saved.contains(name)) throw differs(name, "none", value.dump());
        if (saved.at(name) != nlohmann::json(value)) throw differs(name, saved.at(name).dump(), value.dump());
      }
      for (const auto& [name, value] : saved.items()) {
        if (!settings_.contains(name)) throw differs(name, value.dump(), "none");
      }
      if (state.at("threads").get<int>() != at::get_num_threads()) {
        log_warning(fmt::format("resuming with {} threads a run of {}: the last bits may differ",
                                at::get_num_threads(), state.at("threads").get<int>()));
      }
      epoch_ = state.at("epoch").get<int64_t>();
      best_epoch_ = state.at("best_epoch").get<int64_t>();
      best_accuracy_ = state.at("best_accuracy").get<double>();
      last_loss_ = state.at("last_loss").get<double>();
      seconds_ = state.at("seconds").get<double>();
      log_ = state.at("log").get<std::vector<std::string>>();
      const std::vector<std::string> names = weight_names(module_);
      get(checkpoint, "weights/", names, weights());
      get(checkpoint, "momentum/", names, optimizer_->momenta());
      get(checkpoint, "average/", names, optimizer_->averages());
      if (best_epoch_ != 0) {
        best_ = copies(evaluated());
        if (best_epoch_ != epoch_) get(checkpoint, "best/", names, best_);
      }
    } catch (const nlohmann::json::exception&) {
      throw input_error("is damaged: the state of its run is not understood").in_file(folder_->path());
    } catch (Error& error) {
      throw error.in_file(folder_->path());
    }
  }

  /// Statistics as the plain mean over batches of augmented training images.
  void reestimate(Loader& loader) {
    const at::NoGradGuard no_grad;
    for (const Statistic& s : module_.statistics()) at::Tensor(s.value).zero_();
    module_.set_training(true);
    module_.set_compute_type(at::kFloat);
    const int64_t batches =
        std::clamp<int64_t>((options_.reestimate + loader.batch() - 1) / loader.batch(), 1, loader.batches());
    loader.start(options_.epochs);
    for (int64_t i = 0; i < batches; ++i) {
      const Batch* batch = loader.next();
      module_.set_momentum(1 / static_cast<double>(i + 1));
      (void)module_.forward(
          image_tensor(batch->pixels, batch->size, data_.train, compute_type()).to(device_, at::kFloat));
    }
  }

  void write_plan(TrainResult& result) const {
    result.plan_file = folder_->path() + "/plan.json";
    const pruning::Plan plan = sparsity_->plan(options_.seed);
    for (const pruning::PlannedGroup& group : plan.steps[0].groups) {
      result.units += static_cast<int64_t>(group.filters.size());
      result.units_to_go += static_cast<int64_t>(group.filters.size() - group.kept.size());
    }
    pruning::write_plan(plan, result.plan_file);
  }

  TrainResult finish(Loader& loader, std::chrono::steady_clock::time_point start) {
    assign(weights(), best_epoch_ != 0 ? copies(best_) : copies(evaluated()));
    TrainResult result;
    if (sparsity_) write_plan(result);
    if (best_epoch_ != 0) result.val_accuracy = best_accuracy_;
    if (options_.reestimate > 0 && module_.has_batchnorm()) {
      const Tensors before = copies(weights());
      reestimate(loader);
      result.reestimated = true;
      if (data_.val) {
        const double after = evaluate(module_, preprocess_, *data_.val, device_);
        result.reestimated = after >= best_accuracy_;
        if (*result.reestimated) result.val_accuracy = after;
      }
      if (!*result.reestimated) assign(weights(), before);
    }
    if (data_.test) result.test_accuracy = evaluate(module_, preprocess_, *data_.test, device_);
    ordered_json line;
    line["final"] = true;
    if (best_epoch_ != 0) line["best_epoch"] = best_epoch_;
    if (result.val_accuracy) line["val_accuracy"] = *result.val_accuracy;
    if (result.reestimated) line["reestimated"] = *result.reestimated;
    if (result.test_accuracy) line["test_accuracy"] = *result.test_accuracy;
    auto lines = log_;
    lines.push_back(line.dump());
    folder_->write_log(lines);
    result.graph = module_.graph();
    result.epochs = epoch_;
    result.resumed_from = resumed_from_;
    result.best_epoch = best_epoch_;
    result.last_loss = last_loss_;
    result.images_per_second =
        static_cast<double>(epoch_ * loader.batches() * loader.batch()) / std::max(seconds_, 1e-9);
    result.seconds = seconds_since(start);
    result.cuda = device_.is_cuda();
    return result;
  }

  const Preprocess preprocess_;
  const TrainData data_;
  const TrainOptions options_;
  const TrainObserver observer_;
  const at::Device device_;
  const Loader::Options loader_options_;
  const ordered_json settings_;
  Module module_;
  std::optional<RunFolder> folder_;
  std::optional<Teaching> teacher_;
  std::optional<Sparsity> sparsity_;
  std::optional<Optimizer> optimizer_;
  int64_t epoch_ = 0, resumed_from_ = 0;  ///< epochs done
  int64_t best_epoch_ = 0;
  double best_accuracy_ = 0, last_loss_ = 0, seconds_ = 0;
  Tensors best_;
  std::vector<std::string> log_;
};

}  // namespace

TrainResult train(Graph graph, const Preprocess& preprocess, const TrainData& data,
                  const std::optional<Teacher>& teacher, const TrainOptions& options,
                  const TrainObserver& observer) {
  XDN_CHECK(options.epochs >= 0 && options.batch > 0 && !options.run_folder.empty());
  const FlushDenormals flush;  // libtorch's threads inherit it
  return Trainer(std::move(graph), preprocess, data, teacher, options, observer).run();
}

}  // namespace xdn::training
