#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/file_lock.h"
#include "cli/child.h"
#include "cli/optimize_flags.h"
#include "cli/optimize_plan.h"
#include "cli/optimize_report.h"
#include "cli/optimize_work.h"
#include "cli/process.h"
#include "cli/prune_checks.h"
#include "cli/verbs.h"
#include "fusion/pipeline.h"
#include "optimize/flow.h"

namespace xdn::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kJournal = "optimize.journal.jsonl";
constexpr const char* kLock = "optimize.lock";

void check_float(const ModelInput& model) {
  for (const NodeId id : model.graph.order()) {
    const Node& node = model.graph.node(id);
    if (node.type != OpType::kQuantizeLinear && node.type != OpType::kDequantizeLinear) continue;
    throw input_error("is quantized already: xdn optimize begins with the float model")
        .in_file(model_file(model.spec));
  }
}

/// What would otherwise come out after hours.
void check_input(const OptimizeFlags& flags, const ModelInput& model) {
  check_float(model);
  check_data({flags.data, flags.val, flags.test}, model);
  if (flags.no_train) return;
  check_teacher(flags.learning.teacher, flags.data, model);
  const std::string trainer = program_beside("xdn-train");
  if (access(trainer.c_str(), X_OK) != 0) {
    throw failure(
        "is not there: training needs libtorch, which this xdn was built without; --no-train goes "
        "without training")
        .in_file(trainer);
  }
}

void make_folder(const OptimizeFlags& flags) {
  std::error_code error;
  fs::create_directories(flags.out, error);
  if (!fs::is_directory(flags.out))
    throw input_error("cannot create the folder: " + (error ? error.message() : "is a file"))
        .in_file(flags.out);
  bool ours = false;
  std::string other;
  for (const auto& entry : fs::directory_iterator(flags.out, error)) {
    const std::string name = entry.path().filename().string();
    ours = ours || name == kJournal;
    if (name != kLock) other = name;
  }
  if (!ours && !other.empty()) {
    throw input_error(fmt::format("holds {}: expected an empty folder, or a new one", printable(other)))
        .in_file(flags.out);
  }
}

/// No model is at or above the floor: what came closest.
Error nothing_met(const OptimizeFlags& flags, const optimize::Outcome& outcome) {
  const optimize::Step* best = nullptr;
  for (const optimize::Step& step : outcome.steps) {
    if (step.measured && (best == nullptr || step.measured->accuracy > best->measured->accuracy))
      best = &step;
  }
  XDN_CHECK(best != nullptr);
  const bool original = best->model.empty();
  return failure(
             fmt::format(
                 "no model reaches {:.2f} % on --val: the best has {:.2f} %, {}; longer training (--epochs) "
                 "or a better --teacher may",
                 100 * outcome.floor, 100 * best->measured->accuracy,
                 original ? "the original" : fmt::format("{}, in {}", best->title, printable(best->model))))
      .in_file(flags.out);
}

class Optimizer {
 public:
  explicit Optimizer(const OptimizeFlags& flags) : flags_(flags), report_(flags) {}

  int run() {
    flags_.check();
    flags_.output.check();
    model_ = load_model_input(flags_.model, {});
    warn_of_raw_pixels(model_);
    try {
      (void)run_passes(model_.graph, cleanup_passes());
      check_input(flags_, model_);
    } catch (Error& error) {
      if (error.file().empty()) error.in_file(model_file(flags_.model));
      throw;
    }
    const OptimizePlan plan = make_optimize_plan(flags_, model_);
    print_optimize_plan(flags_, plan);
    if (flags_.dry_run) {
      flags_.output.finish({{"model", flags_.model}, {"plan", to_json(plan)}});
      return kDone;
    }
    try {
      return carry_out(plan);
    } catch (const StageEnded& ended) {
      return ended.code;
    }
  }

 private:
  int carry_out(const OptimizePlan& plan) {
    make_folder(flags_);
    const FileLock lock(flags_.path(kLock));
    if (!lock.held()) throw input_error("is in use by another xdn optimize").in_file(flags_.out);
    optimize::Journal journal(flags_.path(kJournal), flags_.settings(model_));
    OptimizeWork work(flags_, model_, plan, report_, program_beside("xdn"));
    const optimize::Request request = flags_.request();
    optimize::Flow flow(request, flags_.out, journal, work, optimize::steady_clock());
    const optimize::Outcome& outcome = flow.run();
    if (!outcome.met) {
      const auto json = report_.json(outcome, to_json(plan));
      report_.write(json);
      flags_.output.finish(json);
      throw nothing_met(flags_, outcome);
    }
    if (const std::string missing = work.evaluate_for_report(); !missing.empty())
      report_.note("the report has no confusion matrix: " + missing);
    report_.write(report_.json(outcome, to_json(plan)));
    const std::string missing = work.write_page();
    if (!missing.empty()) report_.note("no report.html: " + missing);
    report_.finish(outcome, missing.empty());
    flags_.output.finish(report_.json(outcome, to_json(plan)));
    return kDone;
  }

  const OptimizeFlags& flags_;
  OptimizeReport report_;
  ModelInput model_;
};

}  // namespace

Action add_optimize(CLI::App& app) {
  const auto flags = std::make_shared<OptimizeFlags>();
  flags->add_options(app);
  return [flags] { return Optimizer(*flags).run(); };
}

}  // namespace xdn::cli
