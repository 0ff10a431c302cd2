#include "cli/optimize_flags.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/cpu.h"
#include "base/error.h"
#include "base/sha256.h"
#include "cli/dataset_flags.h"
#include "cli/exec_options.h"
#include "cli/prune_flags.h"
#include "data/dataset.h"

namespace xdn::cli {
namespace {

constexpr double kMostDuration = 1e8;  // three years

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorKind::kUsage, message + "; see xdn optimize --help");
}

/// Of classes and labels: other images with the same ones would be another data set in name only.
std::string labels_digest(const std::string& path, Split split, const ModelInput& model) {
  const auto dataset = open_images(path, split, model);
  Sha256 digest;
  for (const std::string& name : dataset->classes()) digest.update(name.c_str(), name.size() + 1);
  digest.update(dataset->labels().data(), dataset->labels().size() * sizeof(int64_t));
  return digest.hex();
}

nlohmann::ordered_json digests_of(const std::string& spec) {
  nlohmann::ordered_json digests = nlohmann::ordered_json::array();
  for (const std::string& file : model_files(spec)) digests.push_back(optimize::digest_of(file));
  return digests;
}

}  // namespace

std::optional<double> parse_duration(const std::string& text) {
  double sum = 0, last_unit = kMostDuration;
  const char* at = text.data();
  const char* const end = at + text.size();
  if (at == end) return std::nullopt;
  while (at != end) {
    double value = 0;
    const auto [stop, error] = std::from_chars(at, end, value);
    if (error != std::errc() || !std::isfinite(value) || value < 0) return std::nullopt;
    double unit = 1;
    at = stop;
    if (at != end) {
      unit = *at == 'h' ? 3600 : *at == 'm' ? 60 : *at == 's' ? 1 : 0;
      ++at;
    }
    if (unit == 0 || unit >= last_unit) return std::nullopt;
    last_unit = unit;
    sum += value * unit;
  }
  if (sum <= 0 || sum > kMostDuration) return std::nullopt;
  return sum;
}

void OptimizeFlags::add_options(CLI::App& app) {
  const char* const kHow = "How far (one of these)";
  const char* const kPruning = "Pruning";
  const char* const kRun = "The run";
  const auto text = [&](const char* name, std::string& value, const char* type, const char* what) {
    return app.add_option(name, value, what)->type_name(type);
  };
  const auto whole = [&](const char* name, int64_t& value, int64_t least, int64_t most, const char* what) {
    return app.add_option(name, value, what)->check(whole_number(least, most))->type_name("N");
  };
  app.add_option("MODEL", model, "A float model")->required()->type_name("");
  text("--data", data, "DATA", "Training images: pack, image folder or CIFAR-10 binary folder");
  text("--val", val, "DATA", "Labelled images that decide")->required();
  text("--test", test, "DATA", "Labelled images that are looked at once, at the end");
  text("-o,--output", out, "OUTDIR", "The folder for the model and all that belongs to it")->required();
  output.add_option(app);

  app.add_option("--max-drop", max_drop,
                 "Points of accuracy on --val that may be lost, as fast as possible; default: 0")
      ->check(real_number(-100, 100))
      ->type_name("P")
      ->group(kHow);
  app.add_option("--min-accuracy", min_accuracy, "Accuracy on --val that must be kept, as fast as possible")
      ->check(real_number(0, 1))
      ->type_name("A")
      ->group(kHow);
  text("--target-latency", target_latency, "X|TIME",
       "Time per image that may remain, as accurate as possible: a share of the model's in fp32, or 350us, "
       "0.35ms")
      ->group(kHow);
  add_choice(app, "--scenario", scenario, {"offline", "single-stream"},
             "What is fast: many images together, or one after the other")
      ->capture_default_str();
  app.add_flag("--no-train", no_train, "Fusion, 8 bits and tuning only; --data may be absent");
  app.add_flag("--caffe", caffe, "Also write the last float model as Caffe");
  app.add_flag("--dry-run", dry_run, "Print the plan and stop");

  whole("--rungs", rungs, 1, 20, "Strengths of pruning to try, each with its own training")
      ->capture_default_str()
      ->group(kPruning);
  whole("--min-width", min_width, 1, 1'000'000, "Channels that every layer keeps; default: by the model")
      ->group(kPruning);
  whole("--unit", unit, 1, 65'536, "Inner widths are multiples of this; default: by the model")
      ->group(kPruning);
  whole("--trunk-unit", trunk_unit, 1, 65'536, "Widths of what shortcuts carry, likewise")->group(kPruning);
  text("--latency-table", latency_table, "FILE",
       "Times of the layers that an earlier run measured; default: measured now")
      ->group(kPruning);
  latency.add_options(app);

  learning.epochs = 20;
  learning.warmup = 1;
  if (cpu_features().avx512bf16) learning.precision = "bf16";
  learning.add_learning(app);
  learning.add_teaching(app);
  app.get_option("--epochs")->description("Of each training of a pruned model");
  app.get_option("--teacher")
      ->description(
          "A model of as many outputs that the pruned one learns from; none: the labels alone. "
          "Default: MODEL");
  app.get_option("--precision")
      ->description(
          "Of activations and gradients in training. Default: bf16 where the processor multiplies it");

  whole("--images", images, 1, 1'000'000'000, "Images that 8 bits are calibrated on")
      ->capture_default_str()
      ->group("8 bits");
  whole("--qat-epochs", qat_epochs, 0, 100'000,
        "Epochs of training in 8 bits, where calibration is too coarse")
      ->capture_default_str()
      ->group("8 bits");
  whole("--tune-budget", tune_budget, 0, 1'000'000, "Seconds that tuning may take; 0: leave it out")
      ->capture_default_str()
      ->group(kRun);
  text("--deadline", deadline, "TIME", "Be done in this time, from now: 90s, 45m, 2h, 1h30m")->group(kRun);
  app.add_flag("--resume", learning.resume, "Go on with what OUTDIR holds; the same command does so anyway")
      ->group(kRun);
  app.add_option("--seed", learning.seed, "Equal seeds give equal models")
      ->type_name("N")
      ->capture_default_str()
      ->group(kRun);
  app.add_option("--threads", learning.threads, "Default: what the machine grants")
      ->check(whole_number(1, 1024))
      ->type_name("N")
      ->group(kRun);
  app.add_flag("--no-verify", learning.no_verify, "Trust packs' data without comparing their SHA-256")
      ->group(kRun);
  app.final_callback([this, &app] {
    learning_words = given_words(app, kLearningGroup);
    teaching_words = given_words(app, kTeachingGroup);
    for (const CLI::Option* option : app.get_options()) {
      if (option->count() > 0) given.push_back(option->get_name());
    }
  });
}

bool OptimizeFlags::was_given(const std::string& name) const {
  return std::find(given.begin(), given.end(), name) != given.end();
}

int OptimizeFlags::threads() const {
  return learning.threads > 0 ? static_cast<int>(learning.threads) : available_cpus();
}

void OptimizeFlags::check() const {
  if (max_drop.has_value() + min_accuracy.has_value() + !target_latency.empty() > 1)
    refuse("expected one of --max-drop, --min-accuracy and --target-latency");
  if (!target_latency.empty() && !parse_time_amount(target_latency)) {
    refuse(fmt::format(
        "--target-latency: expected a share between 0 and 1, or a number with one of us, ms, s, not '{}'",
        printable(target_latency)));
  }
  if (!deadline.empty() && !parse_duration(deadline))
    refuse(
        fmt::format("--deadline: expected a time as 90s, 45m, 2h or 1h30m, not '{}'", printable(deadline)));
  if (!no_train && data.empty()) refuse("expected --data DATA to train on; --no-train goes without training");
  if (no_train) {
    for (const char* option : {"--epochs", "--rungs", "--teacher", "--latency-table", "--qat-epochs"}) {
      if (was_given(option)) refuse(fmt::format("{} does not go with --no-train", option));
    }
    if (!learning_words.empty()) refuse(learning_words[0] + " does not go with --no-train");
    if (!teaching_words.empty()) refuse(teaching_words[0] + " does not go with --no-train");
  }
  if (learning.teacher == "none" && !teaching_words.empty())
    refuse(fmt::format("{} goes with a teacher", teaching_words[0]));
  if (learning.learn_scales && qat_epochs == 0) refuse("--learn-scales goes with --qat-epochs");
  if (was_given("--warmup") && learning.warmup > static_cast<double>(learning.epochs))
    refuse(fmt::format("--warmup {} is longer than --epochs {}", learning.warmup, learning.epochs));
  if (!latency_table.empty() && (latency.batch > 0 || latency.rounds > 0))
    refuse("--latency-batch and --latency-rounds do not go with --latency-table: it is measured");
}

optimize::Request OptimizeFlags::request() const {
  optimize::Request request;
  request.max_drop = max_drop.value_or(0);
  request.min_accuracy = min_accuracy;
  if (const auto amount = parse_time_amount(target_latency)) {
    (amount->share ? request.target_share : request.target_seconds) = amount->value;
  }
  request.train = !no_train;
  request.test = !test.empty();
  request.rungs = static_cast<int>(rungs);
  request.epochs = learning.epochs;
  request.qat_epochs = qat_epochs;
  request.tune_seconds = static_cast<double>(tune_budget);
  request.deadline = parse_duration(deadline);
  return request;
}

nlohmann::ordered_json OptimizeFlags::settings(const ModelInput& input) const {
  nlohmann::ordered_json s;
  s["model"] = digests_of(model);
  const auto images_of = [&](const char* name, const std::string& path, Split split) {
    if (!path.empty()) s[name] = {path, labels_digest(path, split, input)};
  };
  images_of("data", data, Split::kAutoTrain);
  images_of("val", val, Split::kAuto);
  images_of("test", test, Split::kAuto);
  s["max-drop"] = max_drop.value_or(0);
  if (min_accuracy) s["min-accuracy"] = *min_accuracy;
  if (!target_latency.empty()) s["target-latency"] = target_latency;
  s["scenario"] = scenario;
  s["no-train"] = no_train;
  s["caffe"] = caffe;
  if (!no_train) {
    s["rungs"] = rungs;
    s["epochs"] = learning.epochs;
    s["warmup"] = learning.warmup;
    s["training precision"] = learning.precision;
    s["learning"] = learning_words;
    s["teacher"] = learning.teacher;
    if (!learning.teacher.empty() && learning.teacher != "none")
      s["teacher's digest"] = digests_of(learning.teacher);
    s["teaching"] = teaching_words;
    s["min-width"] = min_width;
    s["unit"] = unit;
    s["trunk-unit"] = trunk_unit;
    s["qat-epochs"] = qat_epochs;
    if (!latency_table.empty()) s["latency-table"] = optimize::digest_of(latency_table);
  }
  s["images"] = images;
  s["seed"] = learning.seed;
  s["threads"] = threads();
  return s;
}

}  // namespace xdn::cli
