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

/// A finite number in [least, most], or ]least, most[ where `open`.
CLI::Validator real_number(double least, double most, bool open = false) {
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

}  // namespace

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
  const auto text = [&](const char* name, std::string& value, const char* type, const char* what) {
    return app.add_option(name, value, what)->type_name(type);
  };
  const auto whole = [&](const char* name, auto& value, int64_t least, int64_t most, const char* what) {
    return app.add_option(name, value, what)
        ->check(whole_number(least, most))
        ->type_name("N")
        ->capture_default_str();
  };
  const auto real = [&](const char* name, double& value, CLI::Validator check, const char* what) {
    return app.add_option(name, value, what)->check(check)->type_name("X")->capture_default_str();
  };
  const char* const kArch = "A network without a file";
  const char* const kLearning = "Learning";
  const char* const kTeacher = "Distillation";
  const char* const kRun = "The run";

  text("MODEL", model, "", "The model to train further; or --arch");
  text("--data", data, "DATA",
       "Training images: pack, image folder or CIFAR-10 binary folder; of one with two halves, train")
      ->required();
  text("--val", val, "DATA", "Validation images: the epoch that does best on them is written");
  text("--test", test, "DATA", "Looked at once, at the end");
  text("-o,--output", out, "OUT.onnx|OUT.prototxt:OUT.caffemodel", "The model to write")->required();
  output.add_option(app);

  add_choice(app, "--arch", arch, training::architecture_names(), "Begin with this network, untrained")
      ->group(kArch);
  whole("--classes", classes, 2, kMostClasses, "Its outputs; default: the classes of the data")->group(kArch);
  whole("--input", input, 8, kMostSide, "Side of its images; default: that of the data")->group(kArch);
  for (const char* name : {"--classes", "--input"}) app.get_option(name)->default_str("");

  whole("--epochs", epochs, 1, kMostEpochs, "Times through the training images")->group(kLearning);
  whole("--batch", batch, 1, kMostBatch, "Images a step")->group(kLearning);
  real("--lr", lr, real_number(0, 1e30), "The largest learning rate")->group(kLearning);
  add_choice(app, "--schedule", schedule, {"cosine", "one-cycle"},
             "Course of the learning rate; default: cosine")
      ->group(kLearning);
  real("--warmup", warmup, real_number(0, 1e5), "Epochs in which the learning rate rises")->group(kLearning);
  real("--momentum", momentum, real_number(0, 0.9999), "Nesterov's")->group(kLearning);
  real("--weight-decay", weight_decay, real_number(0, 10), "Of weights; BatchNorms and biases are spared")
      ->group(kLearning);
  real("--label-smoothing", label_smoothing, real_number(0, 0.99),
       "Share of the label spread over all classes")
      ->group(kLearning);
  real("--ema", ema, real_number(0, 0.999999),
       "Average the weights, keeping this share of the average a step; 0: no")
      ->group(kLearning);
  text("--augment", augment, "LIST", "Of crop:PIXELS, flip, cutout:PIXELS; or none")
      ->check(augment_check())
      ->capture_default_str()
      ->group(kLearning);
  whole("--reestimate-bn", reestimate, 0, 1'000'000'000,
        "Take BatchNorm's statistics anew from N images at the end")
      ->group(kLearning);
  add_choice(app, "--precision", precision, {"fp32", "bf16"},
             "Of activations and gradients; weights stay fp32. Default: fp32")
      ->group(kLearning);
  app.add_flag("--learn-scales", learn_scales,
               "Of a quantized model: learn its scales, too; else those of the calibration stay")
      ->group(kLearning);

  text("--teacher", teacher, "MODEL", "A model of as many outputs whose predictions are learned")
      ->group(kTeacher);
  real("--temperature", temperature, real_number(0, 1000, true), "Softens both predictions")->group(kTeacher);
  real("--alpha", alpha, real_number(0, 1), "Share of the teacher in the loss; the labels have the rest")
      ->group(kTeacher);
  real("--features", features, real_number(0, 1e6),
       "Weight of the squared difference of the last pooled features")
      ->group(kTeacher);

  text("--run", run, "DIR", "Checkpoint and log; default: OUT's name with .run")->group(kRun);
  app.add_flag("--resume", resume, "Go on from the last epoch in --run; with none there, begin")->group(kRun);
  app.add_option("--seed", seed, "Equal seeds give equal weights")
      ->type_name("N")
      ->capture_default_str()
      ->group(kRun);
  whole("--threads", threads, 1, kMostThreads, "Default: what the machine grants")
      ->default_str("")
      ->group(kRun);
  app.add_flag("--no-verify", no_verify, "Trust packs' data without comparing their SHA-256")->group(kRun);
}

void TrainFlags::check() const {
  const auto refuse = [](const std::string& message) {
    throw Error(ErrorKind::kUsage, message + "; see xdn train --help");
  };
  if (model.empty() == arch.empty()) refuse("expected either MODEL or --arch");
  if (arch.empty() && (classes != 0 || input != 0)) refuse("--classes and --input go with --arch");
  if (warmup > static_cast<double>(epochs))
    refuse(fmt::format("--warmup {} is longer than --epochs {}", warmup, epochs));
  if (teacher.empty() && features != 0) refuse("--features goes with --teacher");
  (void)xdn::model_stem(out);
  (void)xdn::model_files(out);
}

std::string TrainFlags::run_folder() const { return run.empty() ? xdn::model_stem(out) + ".run" : run; }

}  // namespace xdn::cli
