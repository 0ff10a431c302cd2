#include "cli/train_flags.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "base/error.h"
#include "cli/exec_options.h"
#include "formats/model_io.h"
#include "training/architectures.h"

namespace xdn::cli {
namespace {

constexpr int64_t kMostEpochs = 100'000, kMostBatch = 65'536, kMostThreads = 1024, kMostClasses = 100'000;
constexpr int64_t kMostSide = 4096;

CLI::Validator augment_check() {
  return CLI::Validator(
      [](std::string& text) -> std::string {
        try {
          (void)parse_augment(text);
        } catch (const Error& error) {
          return error.message();
        }
        return {};
      },
      "");
}

/// Options of one program, in a group of its help.
class Adder {
 public:
  Adder(CLI::App& app, const char* group) : app_(app), group_(group) {}

  CLI::Option* text(const char* name, std::string& value, const char* type, const char* what) {
    return app_.add_option(name, value, what)->type_name(type)->group(group_);
  }
  template <typename Number>
  CLI::Option* whole(const char* name, Number& value, int64_t least, int64_t most, const char* what) {
    return app_.add_option(name, value, what)
        ->check(whole_number(least, most))
        ->type_name("N")
        ->capture_default_str()
        ->group(group_);
  }
  CLI::Option* real(const char* name, double& value, CLI::Validator check, const char* what) {
    return app_.add_option(name, value, what)
        ->check(std::move(check))
        ->type_name("X")
        ->capture_default_str()
        ->group(group_);
  }
  CLI::Option* choice(const char* name, std::string& value, std::vector<std::string> names,
                      const char* what) {
    return add_choice(app_, name, value, std::move(names), what)->group(group_);
  }
  void flag(const char* name, bool& value, const char* what) {
    app_.add_flag(name, value, what)->group(group_);
  }

 private:
  CLI::App& app_;
  const char* const group_;
};

}  // namespace

CLI::Validator real_number(double least, double most, bool open) {
  return CLI::Validator(
      [=](std::string& text) -> std::string {
        double value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        const bool number = error == std::errc() && end == text.data() + text.size() && std::isfinite(value);
        if (number && (open ? value > least && value < most : value >= least && value <= most)) return {};
        return fmt::format("expected a number {} {} {} {}, not '{}'", open ? "between" : "from", least,
                           open ? "and" : "to", most, printable(text));
      },
      "");
}

AugmentChoice parse_augment(const std::string& text) {
  AugmentChoice choice;
  if (text == "none") return choice;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    const std::string part = text.substr(at, end - at);
    at = end + 1;
    const auto pixels = [&](std::string_view name, int64_t& value) {
      if (!part.starts_with(name)) return false;
      const char *first = part.data() + name.size(), *last = part.data() + part.size();
      const auto [stop, error] = std::from_chars(first, last, value);
      return error == std::errc() && stop == last && value >= 1 && value <= kMostSide;
    };
    if (part == "flip") {
      choice.flip = true;
    } else if (!pixels("crop:", choice.crop) && !pixels("cutout:", choice.cutout)) {
      throw Error(ErrorKind::kUsage,
                  fmt::format("expected none, or a list of crop:PIXELS, flip and cutout:PIXELS, "
                              "not '{}'",
                              printable(text)));
    }
  }
  return choice;
}

void TrainFlags::add_options(CLI::App& app) {
  Adder files(app, "Options");
  app.add_option("MODEL", model, "The model to train further; or --arch")->type_name("");
  files
      .text("--data", data, "DATA",
            "Training images: pack, image folder or CIFAR-10 binary folder; of one with two halves, train")
      ->required();
  files.text("--val", val, "DATA", "Validation images: the epoch that does best on them is written");
  files.text("--test", test, "DATA", "Looked at once, at the end");
  files.text("-o,--output", out, "OUT.onnx|OUT.prototxt:OUT.caffemodel", "The model to write");
  output.add_option(app);

  Adder untrained(app, "A network without a file");
  untrained.choice("--arch", arch, training::architecture_names(), "Begin with this network, untrained");
  untrained.whole("--classes", classes, 2, kMostClasses, "Its outputs; default: the classes of the data")
      ->default_str("");
  untrained.whole("--input", input, 8, kMostSide, "Side of its images; default: that of the data")
      ->default_str("");

  add_learning(app);
  app.add_flag("--from-scratch", from_scratch, "Forget MODEL's weights: its layers and widths alone")
      ->group(kLearningGroup);
  add_teaching(app);

  Adder towards_zero(app, "Sparsity");
  towards_zero.choice("--sparsity", sparsity, {"group-lasso", "growing", "soft"},
                      "Drive channels to zero; RUN/plan.json removes them");
  towards_zero.real("--sparsity-strength", sparsity_strength, real_number(0, 1e6),
                    "Of group-lasso and growing");
  towards_zero.text("--prune-plan", prune_plan, "PLAN.json",
                    "Which channels of MODEL; group-lasso without: all");

  Adder scoring(app, "Scores");
  scoring.text("--scores", scores, "OUT.json",
               "Train nothing: write what every filter is worth to the loss (Taylor), for xdn prune");
  scoring.whole("--score-images", score_images, 1, 1'000'000'000,
                "Training images that tell, in whole batches");

  Adder whole_run(app, "The run");
  whole_run.text("--run", run, "DIR", "Checkpoint and log; default: OUT's name with .run");
  whole_run.flag("--resume", resume, "Go on from the last epoch in --run; with none there, begin");
  app.add_option("--seed", seed, "Equal seeds give equal weights")
      ->type_name("N")
      ->capture_default_str()
      ->group("The run");
  whole_run.whole("--threads", threads, 1, kMostThreads, "Default: what the machine grants")->default_str("");
  whole_run.flag("--no-verify", no_verify, "Trust packs' data without comparing their SHA-256");
}

void TrainFlags::add_learning(CLI::App& app) {
  Adder learning(app, kLearningGroup);
  learning.whole("--epochs", epochs, 1, kMostEpochs, "Times through the training images");
  learning.whole("--batch", batch, 1, kMostBatch, "Images a step");
  learning.real("--lr", lr, real_number(0, 1e30), "The largest learning rate");
  learning.choice("--schedule", schedule, {"cosine", "one-cycle"},
                  "Course of the learning rate; default: cosine");
  learning.real("--warmup", warmup, real_number(0, 1e5), "Epochs in which the learning rate rises");
  learning.real("--momentum", momentum, real_number(0, 0.9999), "Nesterov's");
  learning.real("--weight-decay", weight_decay, real_number(0, 10),
                "Of weights; BatchNorms and biases are spared");
  learning.real("--label-smoothing", label_smoothing, real_number(0, 0.99),
                "Share of the label spread over all classes");
  learning.real("--ema", ema, real_number(0, 0.999999),
                "Average the weights, keeping this share of the average a step; 0: no");
  learning.text("--augment", augment, "LIST", "Of crop:PIXELS, flip, cutout:PIXELS; or none")
      ->check(augment_check())
      ->capture_default_str();
  learning.whole(
      "--augment-epochs", augment_epochs, 0, kMostEpochs,
      "Augment epoch e as epoch e mod N: a kept teacher then serves a longer run; 0: all differently");
  learning.whole("--reestimate-bn", reestimate, 0, 1'000'000'000,
                 "Take BatchNorm's statistics anew from N images at the end");
  learning.choice("--precision", precision, {"fp32", "bf16"},
                  "Of activations and gradients; weights stay fp32. Default: fp32");
  learning.flag("--learn-scales", learn_scales,
                "Of a quantized model: learn its scales, too; else those of the calibration stay");
}

void TrainFlags::add_teaching(CLI::App& app) {
  Adder teaching(app, kTeachingGroup);
  teaching.text("--teacher", teacher, "MODEL", "A model of as many outputs whose predictions are learned");
  teaching.text(
      "--teacher-cache", teacher_cache, "DIR",
      "Keep the teacher's predictions there, and take those that are: students of one teacher share them");
  teaching.real("--temperature", temperature, real_number(0, 1000, true), "Softens both predictions");
  teaching.real("--alpha", alpha, real_number(0, 1),
                "Share of the teacher in the loss; the labels have the rest");
  teaching.real("--features", features, real_number(0, 1e6),
                "Weight of the squared difference of the last pooled features");
}

void TrainFlags::check() const {
  const auto refuse = [](const std::string& message) {
    throw Error(ErrorKind::kUsage, message + "; see xdn train --help");
  };
  if (model.empty() == arch.empty()) refuse("expected either MODEL or --arch");
  if (arch.empty() && (classes != 0 || input != 0)) refuse("--classes and --input go with --arch");
  if (from_scratch && model.empty()) refuse("--from-scratch goes with MODEL");
  if (from_scratch && !scores.empty()) refuse("--scores trains nothing: --from-scratch does not go with it");
  if (warmup > static_cast<double>(epochs))
    refuse(fmt::format("--warmup {} is longer than --epochs {}", warmup, epochs));
  const TrainFlags unset;
  if (teacher.empty() && features != 0) refuse("--features goes with --teacher");
  if (teacher.empty() && (temperature != unset.temperature || alpha != unset.alpha))
    refuse("--temperature and --alpha go with --teacher");
  if (scores.empty() && score_images != unset.score_images) refuse("--score-images goes with --scores");
  if (!teacher_cache.empty() && teacher.empty()) refuse("--teacher-cache goes with --teacher");
  if (!teacher_cache.empty() && features != 0)
    refuse("--teacher-cache keeps no features: --features does not go with it");
  check_sparsity();
  if (!scores.empty()) {
    if (model.empty()) refuse("--scores goes with MODEL");
    if (!out.empty() || !val.empty() || !test.empty() || !run.empty() || resume || !teacher_cache.empty()) {
      refuse(
          "--scores trains nothing: --output, --val, --test, --run, --resume and --teacher-cache do not go "
          "with it");
    }
    return;
  }
  if (out.empty()) refuse("--output is required");
  (void)xdn::model_stem(out);
  (void)xdn::model_files(out);
}

void TrainFlags::check_sparsity() const {
  const auto refuse = [](const std::string& message) {
    throw Error(ErrorKind::kUsage, message + "; see xdn train --help");
  };
  if (sparsity.empty()) {
    if (sparsity_strength != 0 || !prune_plan.empty())
      refuse("--sparsity-strength and --prune-plan go with --sparsity");
    return;
  }
  if (model.empty()) refuse("--sparsity goes with MODEL");
  if (!scores.empty()) refuse("--scores trains nothing: --sparsity does not go with it");
  if (ema != 0) refuse("--ema does not go with --sparsity: averages do not become zero");
  if (prune_plan.empty() && sparsity != "group-lasso")
    refuse(fmt::format("--sparsity {} expects --prune-plan", sparsity));
  if ((sparsity == "soft") != (sparsity_strength == 0)) {
    refuse(sparsity == "soft" ? "--sparsity soft has no --sparsity-strength"
                              : fmt::format("--sparsity {} expects --sparsity-strength", sparsity));
  }
}

std::string TrainFlags::run_folder() const { return run.empty() ? xdn::model_stem(out) + ".run" : run; }

}  // namespace xdn::cli
