#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <memory>
#include <optional>

#include "base/error.h"
#include "cli/image_set.h"
#include "cli/model_input.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/run_info.h"
#include "cli/verbs.h"
#include "evaluator/judge.h"
#include "evaluator/resources.h"
#include "fusion/pipeline.h"
#include "pruning/blocks.h"
#include "pruning/importance.h"
#include "pruning/select.h"
#include "pruning/widths.h"

namespace xdn::cli {
namespace {

using Json = nlohmann::ordered_json;

struct SensitivityFlags {
  std::string model, data, criterion = "l2";
  std::vector<double> ratios{0.25, 0.5, 0.75};
  std::vector<std::string> keep;
  int64_t threads = 0;
  DrawFlags draw;
  bool no_verify = false;
  PixelFlags pixels;
  Output output;
};

/// One thing taken out of the model.
struct Cut {
  int64_t macs = 0;  ///< effective, of what is left
  Verdict verdict;
};

Json cut_json(const Cut& cut) {
  const Comparison& c = cut.verdict.comparison;
  return {{"accuracy", cut.verdict.accuracy()},     {"drop", cut.verdict.drop()},
          {"logit_error", cut.verdict.logit_error}, {"right_to_wrong", c.right_to_wrong()},
          {"wrong_to_right", c.wrong_to_right()},   {"macs_effective", cut.macs}};
}

class SensitivityTable {
 public:
  explicit SensitivityTable(const SensitivityFlags& flags) : flags_(flags), out_(flags.output) {}

  int run() {
    check_request();
    ModelInput model = load_model_input(flags_.model, flags_.pixels);
    warn_of_raw_pixels(model);
    const ImageSet images(flags_.data, model, Split::kAuto, !flags_.no_verify, flags_.draw);
    graph_ = std::move(model.graph);
    try {
      measure(images);
    } catch (Error& error) {
      if (error.file().empty()) error.in_file(model_file(flags_.model));
      throw;
    }
    return 0;
  }

 private:
  void check_request() const {
    flags_.output.check();
    const auto bad = [](double ratio) { return !(ratio > 0 && ratio < 1); };
    if (flags_.ratios.empty() || std::any_of(flags_.ratios.begin(), flags_.ratios.end(), bad))
      throw Error(ErrorKind::kUsage, "--ratios: expected numbers between 0 and 1");
  }

  void measure(const ImageSet& images) {
    (void)run_passes(graph_, cleanup_passes());
    groups_ = pruning::find_groups(graph_, {flags_.keep.begin(), flags_.keep.end()});
    blocks_ = pruning::find_blocks(graph_);
    pruning::ImportanceOptions options;
    options.criterion = *pruning::parse_criterion(flags_.criterion);
    options.seed = static_cast<uint64_t>(flags_.draw.seed);
    scores_ = pruning::importance(graph_, groups_, options);
    ExecOptions exec;
    exec.threads = static_cast<int>(flags_.threads);
    judge_.emplace(graph_, LabelledImages{images.data(), images.labels(), images.pixels(), std::move(exec)});
    macs_ = graph_cost(graph_).macs_effective;
    json_["model"] = flags_.model;
    json_["data"] = flags_.data;
    json_["images"] = images.size();
    json_["criterion"] = flags_.criterion;
    json_["ratios"] = flags_.ratios;
    json_["macs_effective"] = macs_;
    const size_t cuts = groups_.groups.size() * flags_.ratios.size() + blocks_.size();
    Progress progress("sensitivity", static_cast<int64_t>(cuts));
    head();
    for (size_t g = 0; g < groups_.groups.size(); ++g) group_row(g, progress);
    for (const pruning::Block& block : blocks_) block_row(block, progress);
    progress.finish();
    finish();
  }

  Cut judge(Graph graph) {
    Cut cut;
    cut.macs = graph_cost(graph).macs_effective;
    cut.verdict = judge_->judge(std::move(graph));
    return cut;
  }

  /// Drop in points, and by how much the multiply-accumulates shrink.
  std::string cell(const Cut& cut) const {
    const double saved =
        100 * (1 - static_cast<double>(cut.macs) / static_cast<double>(std::max<int64_t>(1, macs_)));
    return fmt::format("{:+.2f} /{:5.1f} %", 0 - cut.verdict.drop(), saved);
  }

  void head() const {
    out_.print(
        "points of accuracy on {} images / effective MACs saved, by the share of channels removed ({})\n\n",
        judge_->size(), flags_.criterion);
    out_.print("{:<{}}{:>7}", "layers", kName, "units");
    for (const double ratio : flags_.ratios) out_.print("{:>18}", fmt::format("{:.0f} %", ratio * 100));
    out_.print("\n");
  }

  void group_row(size_t g, Progress& progress) {
    const pruning::Group& group = groups_.groups[g];
    std::string name = printable(pruning::describe(graph_, group));
    if (name.size() > kName - 2) name = name.substr(0, kName - 4) + "..";
    std::string line = fmt::format("{:<{}}{:>7}", name, kName, group.units);
    Json cuts = Json::array();
    for (const double ratio : flags_.ratios) {
      std::vector<int64_t> remaining;
      for (const pruning::Group& other : groups_.groups) remaining.push_back(other.units);
      const auto kept = std::lround((1 - ratio) * static_cast<double>(group.units));
      remaining[g] = std::clamp<int64_t>(kept, 1, group.units);
      const auto removal = pruning::remove_least(groups_, scores_, remaining);
      const Cut cut = judge(pruning::remove_channels(graph_, groups_, removal));
      line += fmt::format("{:>18}", cell(cut));
      Json json = cut_json(cut);
      json["ratio"] = ratio;
      json["units_left"] = remaining[g];
      cuts.push_back(std::move(json));
      ++progress.done();
    }
    out_.print("{}\n", line);
    json_groups_.push_back({{"layers", pruning::producer_names(graph_, group)},
                            {"units", group.units},
                            {"trunk", group.trunk},
                            {"cuts", std::move(cuts)}});
  }

  void block_row(const pruning::Block& block, Progress& progress) {
    const Cut cut = judge(pruning::remove_blocks(graph_, {block}));
    out_.print("{:<{}}{:>7}{:>18}\n", "block " + printable(block.name), kName, "", cell(cut));
    Json json{{"block", block.name}};
    json.update(cut_json(cut));
    json_blocks_.push_back(std::move(json));
    ++progress.done();
  }

  void finish() {
    Json kept = Json::array();
    for (const pruning::Kept& k : groups_.kept) {
      kept.push_back({{"layers", k.layers}, {"channels", k.channels}, {"at", k.at}, {"reason", k.reason}});
      if (k.layers.empty()) continue;
      out_.print("kept        {}: {}\n", printable(fmt::format("{}", fmt::join(k.layers, ", "))),
                 printable(k.reason));
    }
    json_["groups"] = std::move(json_groups_);
    json_["blocks"] = std::move(json_blocks_);
    json_["kept"] = std::move(kept);
    json_["peak_rss_bytes"] = peak_rss_bytes();
    put_run_info(json_, "sensitivity");
    out_.finish(json_);
  }

  static constexpr size_t kName = 40;
  const SensitivityFlags& flags_;
  const Output& out_;
  Graph graph_;
  pruning::Groups groups_;
  std::vector<pruning::Block> blocks_;
  std::vector<double> scores_;
  std::optional<Judge> judge_;
  int64_t macs_ = 0;
  Json json_, json_groups_ = Json::array(), json_blocks_ = Json::array();
};

}  // namespace

Action add_sensitivity(CLI::App& app) {
  const auto flags = std::make_shared<SensitivityFlags>();
  app.add_option("MODEL", flags->model, "A float model")->required()->type_name("");
  app.add_option("--data", flags->data, "Labelled images: pack, image folder or CIFAR-10")
      ->required()
      ->type_name("DATA");
  flags->draw.add_options(app);
  app.add_option("--ratios", flags->ratios, "Shares of a layer's channels to remove")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("X,X,...")
      ->capture_default_str();
  std::vector<std::string> criteria = pruning::criterion_names();
  std::erase(criteria, "taylor");  // its scores come from training
  add_choice(app, "--criterion", flags->criterion, std::move(criteria), "Which channels go first")
      ->capture_default_str();
  app.add_option("--keep", flags->keep, "A layer that keeps all its channels; repeatable")
      ->allow_extra_args(false)
      ->type_name("LAYER");
  app.add_option("--threads", flags->threads, "Threads; default: what the machine grants")
      ->check(whole_number(1, 1024))
      ->type_name("N");
  app.add_flag("--no-verify", flags->no_verify, "Trust a pack's data without comparing their SHA-256");
  flags->output.add_option(app);
  flags->pixels.add_options(app);
  return [flags] { return SensitivityTable(*flags).run(); };
}

}  // namespace xdn::cli
