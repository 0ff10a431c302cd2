#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/log.h"
#include "cli/image_set.h"
#include "cli/model_input.h"
#include "cli/model_output.h"
#include "cli/prune_checks.h"
#include "cli/prune_flags.h"
#include "cli/prune_report.h"
#include "cli/prune_stages.h"
#include "cli/verbs.h"
#include "evaluator/judge.h"
#include "evaluator/removal_check.h"
#include "formats/model_io.h"
#include "fusion/passes.h"
#include "fusion/pipeline.h"
#include "pruning/scores_file.h"
#include "pruning/search.h"

namespace xdn::cli {
namespace {

using pruning::Plan;
using pruning::PlanStep;
using pruning::SearchedStep;

/// A model of the run, with its file there and the plan's steps that led to it.
struct Stage {
  Graph graph;
  std::string file;
  Plan plan;
};

class Pruner {
 public:
  explicit Pruner(const PruneFlags& flags) : flags_(flags), report_(flags) {}

  int run() {
    check_prune_request(flags_);
    model_ = load_model_input(flags_.model, {});
    warn_of_raw_pixels(model_);
    try {
      prune();
    } catch (const TrainingEnded& ended) {
      return ended.code;
    } catch (Error& error) {
      if (error.file().empty()) error.in_file(model_file(flags_.model));
      throw;
    }
    return 0;
  }

 private:
  void prune() {
    (void)run_passes(model_.graph, cleanup_passes());
    original_ = model_.graph;
    if (flags_.train_folded) fold();
    check_prune_input(flags_, model_);
    const std::string images = flags_.val.empty() ? flags_.data : flags_.val;
    images_.emplace(images, model_, Split::kAuto, !flags_.learning.no_verify,
                    DrawFlags{.images = kCheckImages, .seed = 1});
    folder_.emplace(flags_);
    Stage start{model_.graph, folder_->path("model.onnx"), {}};
    if (!PruneFolder::has(start.file)) folder_->write(start.graph, start.file);
    start.graph = load(start.file);
    first_ = start.graph;
    prepare_cost(start.graph);
    finish(search(std::move(start)));
  }

  /// BatchNorms, and the scales of Caffe's, into the layers before them.
  void fold() {
    while (fusion::fold_batchnorm(model_.graph) + fusion::fold_mul_into_conv(model_.graph) +
               fusion::fold_add_into_conv(model_.graph) >
           0) {
    }
    model_.graph.eliminate_dead();
    model_.graph.compact();
  }

  std::set<std::string> keep() const { return {flags_.keep.begin(), flags_.keep.end()}; }

  Graph load(const std::string& file) const {
    Graph graph = folder_->read(file);
    (void)run_passes(graph, cleanup_passes());
    return graph;
  }

  // ---- what is counted

  void prepare_cost(const Graph& graph) {
    if (flags_.by_latency() || !flags_.latency_table.empty()) read_table(graph);
    if (flags_.by_latency()) {
      cost_ = pruning::latency_cost(*table_);
      fixed_ = table_->fixed_seconds();
    } else {
      cost_ = pruning::macs_cost();
    }
    whole_ = total_cost(graph);
    report_.begin(graph, table_ ? &*table_ : nullptr);
    if (!flags_.target_macs.empty() || !flags_.target_latency.empty()) check_reachable(graph);
  }

  /// Measured once, and read from the file ever after: a resumed run sees the same numbers.
  void read_table(const Graph& graph) {
    std::string file = flags_.latency_table;
    if (file.empty()) {
      file = folder_->path("latency.json");
      if (!PruneFolder::has(file)) {
        LatencyFlags how = flags_.latency;
        how.exec.precision = flags_.run_precision;
        how.exec.threads = static_cast<int>(flags_.learning.threads);
        write_latency_table(measure_with_progress(graph, pruning::find_groups(graph, keep()),
                                                  how.options(model_, flags_.unit, flags_.trunk_unit)),
                            file);
      }
    }
    table_.emplace(pruning::read_latency_table(file));
    try {
      table_->check(graph);
      const std::string& precision = table_->data().precision;
      if (precision != flags_.run_precision) {
        throw input_error(fmt::format("holds times in {}, --run-precision is {}", printable(precision),
                                      flags_.run_precision));
      }
    } catch (Error& error) {
      throw error.in_file(file);
    }
  }

  double total_cost(const Graph& graph) const { return fixed_ + pruning::total_cost(graph, cost_); }

  double target() const {
    const Amount amount = flags_.by_latency() ? *flags_.seconds() : *flags_.macs();
    return amount.share ? amount.value * whole_ : amount.value;
  }

  pruning::SearchOptions search_options(double target) const {
    pruning::SearchOptions options;
    options.target = target - fixed_;
    options.min_width = flags_.min_width;
    options.inner = flags_.unit;
    options.trunk = flags_.trunk_unit;
    options.trunks = !flags_.inner_only;
    options.blocks = !flags_.no_blocks;
    options.keep = keep();
    return options;
  }

  /// Before any training: the least cost that widths and blocks allow.
  void check_reachable(const Graph& graph) const {
    const auto alike = [](const Graph&, const pruning::Groups& groups) {
      return std::vector<double>(static_cast<size_t>(groups.unit_count()), 1);
    };
    if (target() >= whole_) {
      throw input_error(fmt::format("has {}, less than is asked for", report_.cost_text(whole_, whole_)));
    }
    pruning::SearchOptions options = search_options(0);
    if (flags_.ranking != "cost") options.blocks = false;
    const double reachable = plan_by_search(graph, alike, cost_, options).cost + fixed_;
    if (target() >= reachable) return;
    throw input_error(
        fmt::format("cannot be pruned to {}: with widths of at least {} in multiples of {}, {} in trunks, {} "
                    "can be reached",
                    report_.cost_text(target(), whole_), flags_.min_width, flags_.unit, flags_.trunk_unit,
                    report_.cost_text(reachable, whole_)));
  }

  // ---- steps

  Stage search(Stage stage) {
    if (!flags_.plan.empty()) return replay(std::move(stage));
    if (flags_.max_drop) return as_fast_as_allowed(std::move(stage));
    const double from = whole_, to = flags_.ratio ? 0 : target();
    for (int k = 1; k <= flags_.steps; ++k) {
      const double share = static_cast<double>(k) / static_cast<double>(flags_.steps);
      const bool last = k == flags_.steps;
      stage = step(k, stage, from * std::pow(to / from, share),
                   last ? flags_.learning.epochs : flags_.step_epochs);
    }
    return stage;
  }

  Stage replay(Stage stage) {
    const Plan plan = pruning::read_plan(flags_.plan);
    const auto count = static_cast<int>(plan.steps.size());
    if (count == 0) throw input_error("has no steps").in_file(flags_.plan);
    try {
      (void)pruning::apply_plan(stage.graph, plan);
    } catch (Error& error) {
      throw error.in_file(flags_.plan);
    }
    for (int k = 1; k <= count; ++k) {
      stage = carry_out(k, stage, plan.steps[static_cast<size_t>(k - 1)],
                        k == count ? flags_.learning.epochs : flags_.step_epochs);
    }
    return stage;
  }

  /// Steps by a factor of the cost; one that costs too much accuracy is taken back and halved.
  Stage as_fast_as_allowed(Stage best) {
    constexpr double kFirstFactor = 0.6, kLeastStep = 0.95;
    Judge judge = make_judge();
    // Counts of images, or their difference to a drop of exactly that many would be lost to rounding.
    const auto good = [&](const Verdict& verdict) { return verdict.drop() <= *flags_.max_drop + 1e-9; };
    double factor = kFirstFactor, cost = whole_;
    bool accepted = false;
    for (int attempt = 1; attempt <= flags_.attempts && factor < kLeastStep; ++attempt) {
      std::optional<Stage> next;
      try {
        next = step(attempt, best, cost * factor, flags_.step_epochs);
      } catch (const Unreachable&) {
        report_.unreachable(attempt, cost * factor, whole_);
        factor = std::sqrt(factor);
        continue;
      }
      const Verdict verdict = judge.judge(next->graph);
      report_.attempt(attempt, verdict, *flags_.max_drop, good(verdict));
      if (good(verdict)) {
        best = std::move(*next);
        cost = total_cost(best.graph);
        accepted = true;
      } else {
        factor = std::sqrt(factor);
      }
    }
    if (!accepted) {
      report_.nothing_allowed(*flags_.max_drop);
      return best;
    }
    // What the last training wins is the user's; it can only lose where it overfits.
    Stage tuned = best;
    tuned.file = folder_->path("final.onnx");
    if (!PruneFolder::has(tuned.file)) {
      report_.stage("the last training");
      folder_->train(best.file, tuned.file, flags_.learning.epochs);
    }
    tuned.graph = load(tuned.file);
    return good(judge.judge(tuned.graph)) ? tuned : best;
  }

  struct Unreachable {};

  /// Chooses what goes, and has it done.
  Stage step(int k, const Stage& from, double cost, int64_t epochs) {
    Stage start = from;
    if (flags_.sparsity == "group-lasso") start = sparse(k, from, allowed(from.graph));
    const std::string file = folder_->path(k, "plan.json");
    if (!PruneFolder::has(file)) {
      Plan plan;
      plan.steps.push_back(choose(k, start, cost));
      pruning::write_plan(plan, file);
    }
    return carry_out(k, start, pruning::read_plan(file).steps.at(0), epochs);
  }

  /// For group lasso: all channels but one of every group that may become narrower; none where all may.
  std::optional<PlanStep> allowed(const Graph& graph) const {
    if (flags_.keep.empty() && !flags_.inner_only) return std::nullopt;
    const pruning::Groups groups = pruning::find_groups(graph, keep());
    pruning::Removal removal(static_cast<size_t>(groups.unit_count()), false);
    for (const pruning::Group& group : groups.groups) {
      if (group.trunk && flags_.inner_only) continue;
      for (auto unit = group.first_unit + 1; unit < group.end_unit(); ++unit)
        removal[static_cast<size_t>(unit)] = true;
    }
    PlanStep step = plan_step(graph, groups, removal);
    step.keep = flags_.keep;
    return step;
  }

  PlanStep choose(int k, const Stage& from, double cost) {
    pruning::LayerScores given;
    if (flags_.score() == pruning::Criterion::kTaylor) {
      const std::string file = folder_->path(k, "scores.json");
      if (!PruneFolder::has(file)) {
        report_.stage(fmt::format("step {}: scores", k));
        folder_->score(from.file, file);
      }
      given = pruning::read_scores(file).layers;
    }
    PlanStep step =
        flags_.ranking == "cost" ? chosen_by_cost(from, cost, given) : chosen_by_rank(from, given);
    step.seed = flags_.learning.seed;
    step.method = fmt::format("{} {}", flags_.criterion, flags_.ranking);
    if (flags_.sparsity != "none")
      step.method +=
          fmt::format(", {} {} for {} epochs", flags_.sparsity, flags_.strength(), flags_.sparsity_epochs);
    return step;
  }

  pruning::ImportanceOptions importance_options(const pruning::LayerScores& given) const {
    pruning::ImportanceOptions options;
    options.criterion = flags_.score();
    options.seed = flags_.learning.seed;
    options.given = given;
    return options;
  }

  PlanStep chosen_by_cost(const Stage& from, double cost, const pruning::LayerScores& given) {
    pruning::ImportanceOptions options = importance_options(given);
    // Taylor's numbers are shares of the loss and add up; others compare within a layer only.
    options.reduce = pruning::Reduce::kSum;
    options.normalize = options.criterion == pruning::Criterion::kTaylor ? pruning::Normalize::kNone
                                                                         : pruning::Normalize::kMean;
    const auto scores = [&](const Graph& graph, const pruning::Groups& groups) {
      return pruning::importance(graph, groups, options);
    };
    const SearchedStep found = plan_by_search(from.graph, scores, cost_, search_options(cost));
    if (!found.reached && flags_.max_drop) throw Unreachable{};
    if (!found.reached) log_warning("the widths that are left allow no more");
    return found.step;
  }

  PlanStep chosen_by_rank(const Stage& from, const pruning::LayerScores& given) const {
    const pruning::Groups groups = pruning::find_groups(from.graph, keep());
    const std::vector<double> scores = pruning::importance(from.graph, groups, importance_options(given));
    pruning::SelectOptions options;
    options.ranking = *pruning::parse_ranking(flags_.ranking);
    options.min_width = flags_.min_width;
    options.granularity = pruning::granularity_of(groups, flags_.unit, flags_.trunk_unit);
    if (flags_.inner_only) {
      for (size_t g = 0; g < groups.groups.size(); ++g) {
        if (groups.groups[g].trunk) options.granularity[g] = groups.groups[g].units;
      }
    }
    if (flags_.ratio) {
      options.ratio = flags_.ratio;
    } else {
      options.macs_effective = std::llround(target());
    }
    const pruning::Selection selection = pruning::select_units(from.graph, groups, scores, options);
    if (!selection.reached)
      throw input_error(
          fmt::format("cannot be pruned so far: {} effective multiply-accumulates would be left",
                      human_count(static_cast<double>(selection.macs_effective))));
    PlanStep step = plan_step(from.graph, groups, selection.removed, scores);
    step.keep = flags_.keep;
    return step;
  }

  /// Trains what the plan removes towards zero; without a plan, all that is worth little.
  Stage sparse(int k, const Stage& from, const std::optional<PlanStep>& step) {
    Stage out = from;
    out.file = folder_->path(k, "sparse.onnx");
    if (!PruneFolder::has(out.file)) {
      report_.stage(fmt::format("step {}: {}", k, flags_.sparsity));
      std::vector<std::string> more{"--sparsity", flags_.sparsity};
      if (flags_.strength() != 0)
        more.insert(more.end(), {"--sparsity-strength", fmt::format("{}", flags_.strength())});
      if (step) {
        Plan channels;
        channels.steps.push_back(*step);
        channels.steps[0].blocks.clear();
        const std::string file = folder_->path(k, "sparse-plan.json");
        pruning::write_plan(channels, file);
        more.insert(more.end(), {"--prune-plan", file});
      }
      folder_->train(from.file, out.file, flags_.sparsity_epochs, more);
    }
    out.graph = load(out.file);
    return out;
  }

  static bool narrows(const PlanStep& step) {
    return std::any_of(step.groups.begin(), step.groups.end(), [](const pruning::PlannedGroup& group) {
      return group.kept.size() < group.filters.size();
    });
  }

  /// Removes what the step says, checks it, and trains.
  Stage carry_out(int k, const Stage& from, PlanStep step, int64_t epochs) {
    Stage start = from;
    std::vector<std::string> blocks = step.blocks;
    if ((flags_.sparsity == "growing" || flags_.sparsity == "soft") && narrows(step)) {
      if (!blocks.empty()) {
        start.file = folder_->path(k, "shallow.onnx");
        if (!PruneFolder::has(start.file))
          folder_->write(pruning::remove_named_blocks(from.graph, blocks), start.file);
        start.graph = load(start.file);
      }
      start = sparse(k, start, step);
      if (flags_.sparsity == "soft") {
        // Filters that grew again stay, others went in their place.
        PlanStep final = pruning::read_plan(folder_->path(k, "sparse.run/plan.json")).steps.at(0);
        final.method = step.method;
        final.seed = step.seed;
        step = std::move(final);
      }
      step.blocks.clear();
    }
    Stage out{{}, folder_->path(k, "pruned.onnx"), from.plan};
    if (!PruneFolder::has(out.file)) folder_->write(removed(start.graph, step), out.file);
    step.blocks = std::move(blocks);
    report_.chosen(k, step, total_cost(folder_->read(out.file)), whole_);
    out.plan.steps.push_back(std::move(step));
    if (!flags_.plan_only && epochs > 0) {
      const std::string tuned = folder_->path(k, "tuned.onnx");
      if (!PruneFolder::has(tuned)) {
        report_.stage(fmt::format("step {}: training", k));
        folder_->train(out.file, tuned, epochs);
      }
      out.file = tuned;
    }
    out.graph = load(out.file);
    return out;
  }

  Graph removed(const Graph& graph, const PlanStep& step) {
    const Graph shallow = pruning::remove_named_blocks(graph, step.blocks);
    const pruning::Groups groups = pruning::find_groups(shallow, {step.keep.begin(), step.keep.end()});
    const pruning::Removal removal = pruning::removal_of(shallow, groups, step);
    Graph out = pruning::remove_channels(shallow, groups, removal);
    const RemovalCheck check = check_removal(pruning::mask_channels(shallow, groups, removal), out,
                                             images_->pixels(), images_->data(), images_->size());
    log_info(fmt::format("masked == removed on {} images; executor within {:.2g} of the largest logit",
                         check.images, check.executor_error));
    return out;
  }

  // ---- the end

  Judge make_judge() {
    if (!val_) val_.emplace(flags_.val, model_, Split::kAuto, !flags_.learning.no_verify);
    return judge_on(*val_, flags_.val);
  }

  Judge judge_on(const ImageSet& set, const std::string& path) const {
    ExecOptions exec;
    exec.threads = static_cast<int>(flags_.learning.threads);
    try {
      return {original_, {set.data(), set.labels(), set.pixels(), std::move(exec)}};
    } catch (Error& error) {
      if (error.layer().empty()) error.in_file(path);
      throw;
    }
  }

  void finish(Stage stage) {
    // Whoever has MODEL and the plan gets the same layers.
    const int64_t replayed = graph_cost(pruning::apply_plan(first_, stage.plan)).macs_effective;
    XDN_CHECK(replayed == graph_cost(stage.graph).macs_effective);
    if (!flags_.val.empty()) {
      Judge judge = make_judge();
      report_.verdict("val", judge.judge(stage.graph));
      report_.speed(judge.speed_ratio(stage.graph));
    }
    if (!flags_.test.empty()) {
      const ImageSet test(flags_.test, model_, Split::kAuto, !flags_.learning.no_verify);
      report_.verdict("test", judge_on(test, flags_.test).judge(stage.graph));
    }
    std::string& steps = stage.graph.metadata["xdn.steps"];
    steps += fmt::format("{}prune x{}", steps.empty() ? "" : "; ", stage.plan.steps.size());
    pruning::write_plan(stage.plan, flags_.plan_path());
    const std::string written = write_model(stage.graph, flags_.model, flags_.out);
    if (!flags_.target_macs.empty() || !flags_.target_latency.empty()) {
      if (total_cost(stage.graph) > target() * (1 + 1e-9)) report_.missed();
    }
    report_.finish(stage.graph, table_ ? &*table_ : nullptr,
                   fmt::format("{} and {}", written, printable(flags_.plan_path())));
  }

  static constexpr int64_t kCheckImages = 4;
  const PruneFlags& flags_;
  PruneReport report_;
  ModelInput model_;
  Graph original_;  ///< after the cleanup passes
  Graph first_;     ///< what the first step takes
  std::optional<PruneFolder> folder_;
  std::optional<ImageSet> images_, val_;
  std::optional<pruning::LatencyTable> table_;
  pruning::CostModel cost_;
  double fixed_ = 0, whole_ = 0;
};

}  // namespace

Action add_prune(CLI::App& app) {
  const auto flags = std::make_shared<PruneFlags>();
  flags->add_options(app);
  return [flags] { return Pruner(*flags).run(); };
}

}  // namespace xdn::cli
