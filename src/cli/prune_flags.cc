#include "cli/prune_flags.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/sha256.h"
#include "cli/exec_options.h"
#include "cli/model_input.h"
#include "formats/model_io.h"

namespace xdn::cli {
namespace {

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorKind::kUsage, message + "; see xdn prune --help");
}

struct Unit {
  std::string_view name;
  double factor;
};
constexpr Unit kCounts[] = {{"k", 1e3}, {"M", 1e6}, {"G", 1e9}};
constexpr Unit kTimes[] = {{"us", 1e-6}, {"ms", 1e-3}, {"s", 1}};

/// "0.25", or "17M" with one of the units.
std::optional<Amount> parse_amount(const std::string& text, std::span<const Unit> units) {
  double value = 0;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, value);
  if (error != std::errc() || !std::isfinite(value) || value <= 0) return std::nullopt;
  if (end == last) return value < 1 ? std::optional<Amount>({value, true}) : std::nullopt;
  for (const Unit& unit : units) {
    if (std::string_view(end, static_cast<size_t>(last - end)) == unit.name)
      return Amount{value * unit.factor, false};
  }
  return std::nullopt;
}

Amount amount(const char* option, const std::string& text, std::span<const Unit> units) {
  const auto parsed = parse_amount(text, units);
  if (parsed) return *parsed;
  std::string names;
  for (const Unit& unit : units) names += fmt::format("{}{}", names.empty() ? "" : ", ", unit.name);
  refuse(fmt::format("{}: expected a share between 0 and 1, or a number with one of {}, not '{}'", option,
                     names, printable(text)));
}

std::string file_digest(const std::string& path) {
  const std::string bytes = read_file(path);
  return sha256_hex(bytes.data(), bytes.size());
}

}  // namespace

std::optional<Amount> parse_time_amount(const std::string& text) { return parse_amount(text, kTimes); }

std::vector<std::string> given_words(const CLI::App& app, const char* group) {
  std::vector<std::string> words;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group() != group || option->count() == 0) continue;
    const std::string name = option->get_name();
    if (name == "--epochs" || name == "--teacher" || name == "--warmup") continue;
    if (option->get_items_expected_max() == 0) {
      words.push_back(name);
    } else {
      for (const std::string& value : option->results()) words.push_back(name + "=" + value);
    }
  }
  return words;
}

void PruneFlags::add_options(CLI::App& app) {
  const char* const kTarget = "How far (one of these)";
  const char* const kWhat = "What goes";
  const char* const kWhen = "When it goes";
  const char* const kTime = "Time on this machine";
  const char* const kRun = "The run";
  const auto text = [&](const char* name, std::string& value, const char* type, const char* what) {
    return app.add_option(name, value, what)->type_name(type);
  };
  const auto whole = [&](const char* name, int64_t& value, int64_t least, int64_t most, const char* what) {
    return app.add_option(name, value, what)
        ->check(whole_number(least, most))
        ->type_name("N")
        ->capture_default_str();
  };

  app.add_option("MODEL", model, "A float model")->required()->type_name("");
  text("--data", data, "DATA", "Training images: pack, image folder or CIFAR-10 binary folder")->required();
  text("--val", val, "DATA", "Validation images: they choose among epochs, and judge --max-drop");
  text("--test", test, "DATA", "Looked at once, at the end");
  text("-o,--output", out, "OUT.onnx|OUT.prototxt:OUT.caffemodel",
       "The model to write; OUT.plan.json goes beside it")
      ->required();
  output.add_option(app);

  text("--target-latency", target_latency, "X|TIME",
       "Time per image that may remain: a share of the model's, or 350us, 0.35ms")
      ->group(kTarget);
  text("--target-macs", target_macs, "X|COUNT",
       "Effective multiply-accumulates that may remain: a share, or 17M, 1.2G")
      ->group(kTarget);
  app.add_option("--max-drop", max_drop,
                 "As fast as possible with at most this many points less accuracy on --val; below 0: more")
      ->check(real_number(-100, 100))
      ->type_name("P")
      ->group(kTarget);
  app.add_option("--ratio", ratio, "Share of the channels that goes, by --ranking")
      ->check(real_number(0, 0.999))
      ->type_name("X")
      ->group(kTarget);
  text("--plan", plan, "FILE", "What an earlier run's plan says")->group(kTarget);

  add_choice(app, "--criterion", criterion, pruning::criterion_names(), "Which channels are worth least")
      ->capture_default_str()
      ->group(kWhat);
  whole("--score-images", score_images, 1, 100'000'000, "Training images that taylor looks at")->group(kWhat);
  add_choice(app, "--ranking", ranking, {"cost", "global", "per-layer", "isomorphic"},
             "cost: least loss per saved time or multiply-accumulate; the others compare channels alone")
      ->capture_default_str()
      ->group(kWhat);
  whole("--min-width", min_width, 1, 1'000'000, "Channels that every layer keeps")->group(kWhat);
  whole("--unit", unit, 1, 65'536, "Inner widths are multiples of this, or stay")->group(kWhat);
  whole("--trunk-unit", trunk_unit, 1, 65'536, "Widths of what shortcuts carry, likewise")->group(kWhat);
  app.add_option("--keep", keep, "A layer that keeps all its channels; repeatable")
      ->allow_extra_args(false)
      ->type_name("LAYER")
      ->group(kWhat);
  app.add_flag("--inner-only", inner_only, "Leave alone what shortcuts carry")->group(kWhat);
  app.add_flag("--no-blocks", no_blocks, "Leave every residual block in")->group(kWhat);

  whole("--steps", steps, 1, 100, "Prune in so many steps, each followed by training")->group(kWhen);
  whole("--step-epochs", step_epochs, 0, 100'000, "Epochs after each step but the last")->group(kWhen);
  whole("--attempts", attempts, 1, 100, "Steps that --max-drop may try")->group(kWhen);
  add_choice(app, "--sparsity", sparsity, {"none", "group-lasso", "growing", "soft"},
             "Train what is to go towards zero first")
      ->capture_default_str()
      ->group(kWhen);
  whole("--sparsity-epochs", sparsity_epochs, 1, 100'000, "Epochs of it in each step")->group(kWhen);
  app.add_option("--sparsity-strength", sparsity_strength, "Of the penalty; default: what suits the kind")
      ->check(real_number(0, 1e6))
      ->type_name("X")
      ->group(kWhen);
  app.add_flag("--train-folded", train_folded, "Fold BatchNorms before training, not after")->group(kWhen);
  app.add_flag("--plan-only", plan_only,
               "Stop before the first training; write the plan and the smaller model")
      ->group(kWhen);

  text("--latency-table", latency_table, "FILE",
       "Times that an earlier run measured; default: measured now, where time counts")
      ->group(kTime);
  add_choice(app, "--run-precision", run_precision, {"fp32", "bf16", "int8"},
             "In which the model will run once it is finished; int8: quantized with made-up ranges")
      ->capture_default_str()
      ->group(kTime);
  latency.add_options(app);

  learning.epochs = 10;
  learning.add_learning(app);
  learning.add_teaching(app);
  app.get_option("--epochs")->description("Of the training after the last step");
  app.get_option("--teacher")
      ->description(
          "A model of as many outputs whose predictions are learned; none: the labels alone. Default: MODEL");

  text("--run", run, "DIR", "Everything in between; default: OUT's name with .run")->group(kRun);
  app.add_flag("--resume", learning.resume, "Go on with what --run holds; with nothing there, begin")
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
      if (option->count() > 0) given.insert(option->get_name());
    }
  });
}

void PruneFlags::check() const {
  const int targets = !target_macs.empty() + !target_latency.empty() + max_drop.has_value() +
                      ratio.has_value() + !plan.empty();
  if (targets != 1) refuse("expected one of --target-latency, --target-macs, --max-drop, --ratio and --plan");
  (void)macs();
  (void)seconds();
  const auto apart = [&](const char* with, std::initializer_list<const char*> options, const char* why) {
    for (const char* option : options) {
      if (given.contains(option)) refuse(fmt::format("{} does not go with {}: {}", option, with, why));
    }
  };
  if (!plan.empty()) {
    apart("--plan",
          {"--keep", "--criterion", "--score-images", "--ranking", "--unit", "--trunk-unit", "--min-width",
           "--no-blocks", "--inner-only", "--steps"},
          "the plan has decided");
    if (sparsity == "group-lasso") refuse("--sparsity group-lasso chooses channels, which --plan has done");
  }
  if (max_drop) {
    if (val.empty()) refuse("--max-drop needs --val");
    if (step_epochs == 0) refuse("--max-drop judges a step by its training: --step-epochs 0 leaves none");
    apart("--max-drop", {"--steps", "--plan-only"}, "it finds its steps by training");
  } else {
    if (given.contains("--attempts")) refuse("--attempts goes with --max-drop");
  }
  if (plan_only && steps != 1)
    refuse("--plan-only stops before the training that a second step would go on from");
  if (plan_only && sparsity != "none") refuse("--plan-only stops before any training, --sparsity is one");
  if (given.contains("--learn-scales"))
    refuse("--learn-scales is for quantized models, which are pruned first");
  if (ratio && ranking == "cost") refuse("--ratio goes with --ranking global, per-layer or isomorphic");
  if (by_latency() && ranking != "cost") refuse("--ranking cost alone knows of time");
  if (inner_only && !no_blocks && ranking == "cost") refuse("--inner-only goes with --no-blocks");
  if (ranking != "cost" && steps != 1) refuse("--steps goes with --ranking cost");
  if ((sparsity == "none" || sparsity == "soft") && sparsity_strength != 0)
    refuse("--sparsity-strength goes with --sparsity group-lasso or growing");
  if (!latency_table.empty())
    apart("--latency-table", {"--latency-batch", "--latency-rounds"}, "it is measured");
  if (learning.teacher == "none" && !teaching_words.empty())
    refuse(fmt::format("{} goes with a teacher", teaching_words[0]));
  if (!learning.teacher_cache.empty() && learning.features != 0) refuse("--teacher-cache keeps no features");
  if (learning.warmup > static_cast<double>(learning.epochs))
    refuse(fmt::format("--warmup {} is longer than --epochs {}", learning.warmup, learning.epochs));
  (void)xdn::model_stem(out);
  (void)xdn::model_files(out);
}

std::string PruneFlags::run_folder() const { return run.empty() ? xdn::model_stem(out) + ".run" : run; }
std::string PruneFlags::plan_path() const { return xdn::model_stem(out) + ".plan.json"; }

std::optional<Amount> PruneFlags::macs() const {
  if (target_macs.empty()) return std::nullopt;
  return amount("--target-macs", target_macs, kCounts);
}

std::optional<Amount> PruneFlags::seconds() const {
  if (target_latency.empty()) return std::nullopt;
  return amount("--target-latency", target_latency, kTimes);
}

double PruneFlags::strength() const {
  if (sparsity_strength != 0) return sparsity_strength;
  return sparsity == "group-lasso" ? 1e-3 : sparsity == "growing" ? 1 : 0;
}

nlohmann::ordered_json PruneFlags::settings() const {
  nlohmann::ordered_json s;
  s["model"] = model;
  for (const std::string& file : model_files(model)) s["sha256"].push_back(file_digest(file));
  s["data"] = data;
  if (!val.empty()) s["val"] = val;
  if (!target_macs.empty()) s["target-macs"] = target_macs;
  if (!target_latency.empty()) s["target-latency"] = target_latency;
  if (max_drop) s["max-drop"] = *max_drop;
  if (ratio) s["ratio"] = *ratio;
  if (!plan.empty()) s["plan"] = {plan, file_digest(plan)};
  s["criterion"] = criterion;
  if (criterion == "taylor") s["score-images"] = score_images;
  s["ranking"] = ranking;
  s["min-width"] = min_width;
  s["unit"] = unit;
  s["trunk-unit"] = trunk_unit;
  s["keep"] = keep;
  s["inner-only"] = inner_only;
  s["no-blocks"] = no_blocks;
  s["steps"] = steps;
  s["step-epochs"] = step_epochs;
  if (max_drop) s["attempts"] = attempts;
  s["sparsity"] = sparsity;
  if (sparsity != "none") {
    s["sparsity-epochs"] = sparsity_epochs;
    s["sparsity-strength"] = strength();
  }
  s["train-folded"] = train_folded;
  s["epochs"] = learning.epochs;
  s["warmup"] = learning.warmup;
  s["teacher"] = learning.teacher;
  s["learning"] = learning_words;
  s["teaching"] = teaching_words;
  s["seed"] = learning.seed;
  if (!latency_table.empty()) s["latency-table"] = {latency_table, file_digest(latency_table)};
  s["run-precision"] = run_precision;
  s["latency-batch"] = latency.batch;
  return s;
}

}  // namespace xdn::cli
