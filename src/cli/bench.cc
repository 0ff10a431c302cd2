#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>

#include "base/error.h"
#include "cli/model_input.h"
#include "cli/output.h"
#include "cli/profile_report.h"
#include "cli/progress.h"
#include "cli/run_info.h"
#include "cli/verbs.h"
#include "evaluator/energy.h"
#include "evaluator/evaluate.h"
#include "evaluator/latency.h"
#include "evaluator/resources.h"

namespace xdn::cli {
namespace {

constexpr int64_t kOfflineBatch = 512;
constexpr int64_t kMostDefaultBytes = int64_t{64} << 20;  ///< of the images of a default batch
constexpr int64_t kMostBytes = int64_t{8} << 30;
constexpr size_t kFewestRuns = 5, kFewestSingleRuns = 50, kMostRuns = 1'000'000;

struct BenchFlags {
  std::string model, scenario = "offline";
  int64_t batch = 0;
  double seconds = 2;
  ProfileFlags profile;
  PixelFlags pixels;
  ExecFlags exec;
  Output output;
};

/// Bytes that repeat from run to run and machine to machine: xorshift64*.
std::vector<uint8_t> synthetic_bytes(size_t bytes) {
  std::vector<uint8_t> out(bytes);
  uint64_t state = 0x9E3779B97F4A7C15u;
  for (uint8_t& byte : out) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    byte = static_cast<uint8_t>((state * 0x2545F4914F6CDD1Du) >> 56);
  }
  return out;
}

/// Seconds of each timed run: at least `fewest`, then until they add up to `seconds`.
std::vector<double> time_runs(const char* what, Executor& executor, const std::vector<uint8_t>& images,
                              int64_t batch, std::vector<float>& logits, size_t fewest, double seconds) {
  // The bar counts hundredths of the time budget: the number of runs is not known before.
  Progress progress(what, 100);
  std::vector<double> times;
  double sum = 0;
  while (times.size() < fewest || (sum < seconds && times.size() < kMostRuns)) {
    const Stopwatch watch;
    executor.run_u8({.data = images.data(), .fill = {}}, batch, logits.data());
    times.push_back(watch.seconds());
    sum += times.back();
    const double share = std::min(seconds > 0 ? sum / seconds : 1.0,
                                  static_cast<double>(times.size()) / static_cast<double>(fewest));
    progress.done() = static_cast<int64_t>(100 * std::min(share, 1.0));
  }
  return times;
}

/// A default batch, cut to whole tiles so that one run takes no longer than all are meant to.
int64_t fit_batch(int64_t batch, const WarmUp& pace, double seconds) {
  const double images = seconds / std::max(pace.seconds, 1e-9) * static_cast<double>(pace.images);
  if (images >= static_cast<double>(batch)) return batch;
  const auto tiles = static_cast<int64_t>(images) / pace.images;
  return std::min(batch, std::max<int64_t>(1, tiles) * pace.images);
}

int run(const BenchFlags& flags) {
  flags.output.check();
  const bool single = flags.scenario == "single-stream";
  ModelInput model = load_model_input(flags.model, flags.pixels);
  const int64_t image_bytes = model.image_bytes();
  int64_t batch = flags.batch;
  if (batch == 0) batch = single ? 1 : std::clamp<int64_t>(kMostDefaultBytes / image_bytes, 1, kOfflineBatch);
  if (batch > kMostBytes / image_bytes) {
    throw Error(ErrorKind::kUsage, fmt::format("--batch: {} images of {} bytes exceed the limit of {} bytes",
                                               batch, image_bytes, kMostBytes));
  }
  Stopwatch plan_watch;
  Executor executor = make_executor(model, flags.exec, model.preprocess.bgr, batch);
  const double plan_seconds = plan_watch.seconds();

  const Stopwatch warm_up_watch;
  const WarmUp pace = warm_up(executor, image_bytes, batch);
  if (flags.batch == 0) batch = fit_batch(batch, pace, flags.seconds);
  const std::vector<uint8_t> images = synthetic_bytes(static_cast<size_t>(batch * image_bytes));
  std::vector<float> logits(
      static_cast<size_t>(element_count({batch, executor.output_size()}, sizeof(float))));
  for (int i = 0; i < (single ? 5 : 1); ++i) {
    executor.run_u8({.data = images.data(), .fill = {}}, batch, logits.data());
  }
  const double warm_up_seconds = warm_up_watch.seconds();
  const size_t fewest = single ? kFewestSingleRuns : kFewestRuns;
  EnergyMeter energy;
  const std::vector<double> times =
      time_runs("bench", executor, images, batch, logits, fewest, flags.seconds);
  const std::optional<double> joules = energy.joules();
  const int64_t peak_bytes = peak_rss_bytes();  // of what was timed: measuring peaks takes memory too

  const double rate = static_cast<double>(batch) / median(times);
  LatencySummary latency = summarize_latency(times);
  latency.p50 *= 1e3;
  latency.p90 *= 1e3;
  latency.p99 *= 1e3;
  flags.output.print("{}\n", settings_line(executor.settings()));
  flags.output.print("{}: {:.1f} images/s (median of {} runs of {} image{}, {}x{})\n", flags.scenario, rate,
                     times.size(), batch, batch == 1 ? "" : "s", model.preprocess.height,
                     model.preprocess.width);
  flags.output.print("latency of a run: p50 {:.3f} ms, p90 {:.3f} ms, p99 {:.3f} ms\n", latency.p50,
                     latency.p90, latency.p99);
  if (joules) {
    flags.output.print("energy      {:.3g} J per image\n",
                       *joules / static_cast<double>(batch * std::ssize(times)));
  }
  std::optional<ProfileReport> profile;
  if (flags.profile.profile) {
    executor.start_profile();
    const std::vector<double> profiled =
        time_runs("profile", executor, images, batch, logits, fewest, flags.seconds);
    profile.emplace(executor, batch * std::ssize(profiled),
                    std::accumulate(profiled.begin(), profiled.end(), 0.0), batch);
    profile->print(flags.output, flags.profile.top);
  }

  nlohmann::ordered_json json;
  json["model"] = flags.model;
  json["scenario"] = flags.scenario;
  json["images_per_second"] = rate;
  json["latency_ms"] = {{"p50", latency.p50}, {"p90", latency.p90}, {"p99", latency.p99}};
  json["runs"] = times.size();
  json["batch"] = batch;
  json["size"] = {model.preprocess.height, model.preprocess.width};
  put_settings(json, executor.settings());
  json["load_seconds"] = model.load_seconds;
  json["plan_seconds"] = plan_seconds;
  json["warm_up_seconds"] = warm_up_seconds;
  json["peak_rss_bytes"] = peak_bytes;
  if (joules) json["energy_joules"] = *joules;
  if (profile) json["profile"] = profile->json();
  put_run_info(json, "bench");
  flags.output.finish(json);
  return 0;
}

}  // namespace

Action add_bench(CLI::App& app) {
  const auto flags = std::make_shared<BenchFlags>();
  app.add_option("MODEL", flags->model, "The model")->required()->type_name("");
  add_choice(app, "--scenario", flags->scenario, {"offline", "single-stream"},
             "offline: large batches; single-stream: one image after the other")
      ->capture_default_str();
  app.add_option("--batch", flags->batch, "Images of a run; default: 512, or 1 for single-stream")
      ->check(whole_number(1))
      ->type_name("N");
  app.add_option("--seconds", flags->seconds,
                 "Time runs until they add up to this; at least 5 (50 single-stream) runs")
      ->check(CLI::Range(0.0, 86400.0))
      ->type_name("X")
      ->capture_default_str();
  flags->profile.add_options(app);
  add_size_option(app, flags->pixels.size);
  flags->output.add_option(app);
  flags->exec.add_options(app);
  flags->exec.add_tuning_option(app);
  return [flags] { return run(*flags); };
}

}  // namespace xdn::cli
