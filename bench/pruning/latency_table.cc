// How well a latency table predicts: measures one, prunes the model at random, and compares. The pruned
// models run in turn, so that all of them meet the same disturbances.
//   latency_table resnet50.prototxt:resnet50.caffemodel --precision bf16 --models 20 --json result.json

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <random>

#include "base/error.h"
#include "cli/latency_flags.h"
#include "cli/output.h"
#include "evaluator/evaluate.h"
#include "evaluator/latency.h"
#include "evaluator/resources.h"
#include "evaluator/synthetic.h"
#include "fusion/pipeline.h"
#include "pruning/select.h"
#include "pruning/width_variants.h"

namespace {

using namespace xdn;

constexpr double kTurnSeconds = 0.02;  ///< of a network, at least

struct Flags {
  std::string model, table;
  int64_t models = 12, runs = 9, seed = 1, inner = 16, trunk = 32;
  cli::LatencyFlags latency;
  cli::PixelFlags pixels;
  cli::Output output;
};

/// A network whose widths the table has not seen, beside the whole one, which is the first.
struct Candidate {
  double predicted = 0;
  int64_t macs = 0;
  std::unique_ptr<Executor> executor;
  std::vector<double> seconds;  ///< per image

  double measured() const { return median(seconds); }
  double error() const { return predicted / measured() - 1; }
};

/// Every group keeps a random multiple of its granularity. Networks that are pruned much or little come
/// equally often: a network's share is drawn first, its groups' around it.
std::vector<int64_t> random_widths(const pruning::Groups& groups, const std::vector<int64_t>& granularity,
                                   std::mt19937_64& random) {
  std::uniform_real_distribution<double> any(0.2, 1.0), around(0.5, 1.5);
  const double share = any(random);
  std::vector<int64_t> remaining;
  for (size_t g = 0; g < granularity.size(); ++g) {
    const int64_t units = groups.groups[g].units, step = granularity[g];
    const double wanted = std::min(1.0, share * around(random)) * static_cast<double>(units);
    const int64_t multiples = std::lround(wanted / static_cast<double>(step));
    remaining.push_back(std::min(units, std::max<int64_t>(1, multiples) * step));
  }
  return remaining;
}

class Comparison {
 public:
  explicit Comparison(const Flags& flags) : flags_(flags) {}

  int run() {
    flags_.output.check();
    cli::ModelInput model = cli::load_model_input(flags_.model, flags_.pixels);
    (void)run_passes(model.graph, cleanup_passes());
    const pruning::Groups groups = pruning::find_groups(model.graph);
    const LatencyMeasureOptions options = flags_.latency.options(model, flags_.inner, flags_.trunk);
    const Stopwatch watch;
    const pruning::LatencyTable table = cli::measure_with_progress(model.graph, groups, options);
    const double seconds = watch.seconds();
    if (!flags_.table.empty()) pruning::write_latency_table(table, flags_.table);
    flags_.output.print("{}\n{} shapes of {} widths in all, measured in {:.1f} s\n", cli::table_line(table),
                        table.data().shapes.size(), points_of(table), seconds);
    plan(model.graph, groups, options, table);
    time(options, model);
    report(table, seconds);
    return 0;
  }

 private:
  static size_t points_of(const pruning::LatencyTable& table) {
    size_t points = 0;
    for (const pruning::LatencyShape& shape : table.data().shapes) points += shape.points.size();
    return points;
  }

  void plan(const Graph& graph, const pruning::Groups& groups, const LatencyMeasureOptions& options,
            const pruning::LatencyTable& table) {
    std::mt19937_64 random(static_cast<uint64_t>(flags_.seed));
    const auto granularity = pruning::granularity_of(groups, flags_.inner, flags_.trunk);
    std::vector<int64_t> remaining;
    for (const pruning::Group& group : groups.groups) remaining.push_back(group.units);
    ExecOptions exec = options.exec;
    exec.batch_hint = options.batch;
    for (int64_t i = 0; i <= flags_.models; ++i) {
      Graph cut = pruning::remove_channels(graph, groups, pruning::keep_first(groups, remaining));
      Candidate candidate;
      candidate.predicted = table.predict(cut);
      candidate.macs = graph_cost(cut).macs_effective;
      if (options.prepare) cut = options.prepare(std::move(cut));
      candidate.executor = std::make_unique<Executor>(std::move(cut), exec);
      candidates_.push_back(std::move(candidate));
      remaining = random_widths(groups, granularity, random);
    }
  }

  void time(const LatencyMeasureOptions& options, const cli::ModelInput& model) {
    const auto& size = model.preprocess;
    std::vector<uint8_t> images(static_cast<size_t>(options.batch * model.image_bytes()));
    synthetic_images(0, options.batch, size.height, size.width, model.channels, images.data());
    std::vector<float> logits;
    for (int64_t round = 0; round < flags_.runs; ++round) {
      for (Candidate& candidate : candidates_) {
        logits.resize(static_cast<size_t>(options.batch * candidate.executor->output_size()));
        (void)warm_up(*candidate.executor, model.image_bytes(), options.batch);
        const Stopwatch turn;
        do {
          const Stopwatch watch;
          candidate.executor->run_u8({.data = images.data(), .fill = {}}, options.batch, logits.data());
          candidate.seconds.push_back(watch.seconds() / static_cast<double>(options.batch));
        } while (turn.seconds() < kTurnSeconds);
      }
    }
  }

  void report(const pruning::LatencyTable& table, double seconds) {
    nlohmann::ordered_json json{{"model", flags_.model}, {"table", cli::table_line(table)}};
    json["measuring_seconds"] = seconds;
    json["networks"] = nlohmann::ordered_json::array();
    flags_.output.print("\n{:>4}  {:>8}  {:>12}  {:>12}  {:>7}  {:>9}  {:>8}  {:>7}\n", "", "MACs",
                        "predicted/us", "measured/us", "error", "predicted", "measured", "error");
    std::vector<double> errors, speedup_errors;
    const Candidate& whole = candidates_[0];
    for (size_t i = 0; i < candidates_.size(); ++i) {
      const Candidate& c = candidates_[i];
      const double predicted = whole.predicted / c.predicted, measured = whole.measured() / c.measured();
      const double speedup_error = predicted / measured - 1;
      flags_.output.print(
          "{:>4}  {:>8}  {:>12.2f}  {:>12.2f}  {:>+6.1f}%  {:>8.2f}x  {:>7.2f}x  {:>+6.1f}%\n",
          i == 0 ? "all" : std::to_string(i), cli::human_count(static_cast<double>(c.macs)),
          c.predicted * 1e6, c.measured() * 1e6, c.error() * 100, predicted, measured, speedup_error * 100);
      json["networks"].push_back({{"macs_effective", c.macs},
                                  {"predicted_seconds", c.predicted},
                                  {"measured_seconds", c.measured()},
                                  {"relative_error", c.error()},
                                  {"predicted_speedup", predicted},
                                  {"measured_speedup", measured},
                                  {"speedup_relative_error", speedup_error}});
      errors.push_back(std::abs(c.error()));
      if (i > 0) speedup_errors.push_back(std::abs(speedup_error));
    }
    const auto summary = [&](const char* name, const char* prefix, const std::vector<double>& of) {
      const double middle = median(of), worst = *std::max_element(of.begin(), of.end());
      flags_.output.print("relative error of {}: median {:.1f} %, worst {:.1f} %\n", name, middle * 100,
                          worst * 100);
      json[std::string("median_") + prefix + "relative_error"] = middle;
      json[std::string("worst_") + prefix + "relative_error"] = worst;
    };
    summary("times", "", errors);
    summary("speedups", "speedup_", speedup_errors);
    flags_.output.finish(json);
  }

  const Flags& flags_;
  std::vector<Candidate> candidates_;
};

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Measures a latency table and compares its predictions with networks pruned at random");
  Flags flags;
  app.add_option("MODEL", flags.model, "A float model")->required();
  app.add_option("--models", flags.models, "Pruned networks")->check(cli::whole_number(1, 1000));
  app.add_option("--runs", flags.runs, "Turns of each")->check(cli::whole_number(1, 1000));
  app.add_option("--seed", flags.seed, "Of the widths")->check(cli::whole_number(0));
  app.add_option("--granularity", flags.inner, "Of inner widths")->check(cli::whole_number(1, 4096));
  app.add_option("--trunk-granularity", flags.trunk, "Of trunks' widths")->check(cli::whole_number(1, 4096));
  app.add_option("--table", flags.table, "Where to write the table");
  flags.latency.add_options(app);
  flags.latency.exec.add_options(app);
  flags.pixels.add_options(app);
  flags.output.add_option(app);
  CLI11_PARSE(app, argc, argv);
  try {
    return Comparison(flags).run();
  } catch (const std::exception& error) {
    fmt::print(stderr, "latency_table: {}\n", error.what());
    return 1;
  }
}
