#include "tuner/tuner.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <set>

#include "base/error.h"
#include "evaluator/latency.h"
#include "evaluator/resources.h"
#include "tuner/layers.h"
#include "tuner/space.h"
#include "tuner/trial_bench.h"

namespace xdn::tuner {
namespace {

constexpr size_t kDefaults = 0;
constexpr int kFinalRounds = 15, kLateRounds = 9;  ///< the latter where the time is over
/// Less than this is no gain, however sure it is.
constexpr double kLeastGain = 0.01;
/// A search that is stopped has no last comparison: what the trials show has to be plainer, and plainer still
/// where there are fewer slices than kSomeSlices.
constexpr double kStoppedGain = 0.02, kFewSlicesGain = 0.1;
constexpr size_t kSomeSlices = 4;
/// Images of a slice per thread: multiples of the first, which every tile of the space divides; where fewer
/// fit into the time, one of the others, and tiles are no larger.
constexpr std::array<int64_t, 4> kSlicePerThread{96, 48, 24, 8};
constexpr int64_t kLeastSingle = 30;
/// A candidate takes about so many times as long as the defaults, in the mean, and a plan's making included
/// (1.9 on the ResNet-50); a grid whose time runs out would leave some without any round.
constexpr double kMeanRatio = 2.4;

class Tuning {
 public:
  Tuning(const Workload& workload, const TuneOptions& options, Journal& journal)
      : workload_(workload),
        options_(options),
        journal_(journal),
        bench_(workload, {0, options.before_fork, options.stopped}, options.trial_seconds),
        resumed_seconds_(journal.spent()) {}

  TuneResult run() {
    (void)bench_.add({});
    calibrate();
    rate_precisions();
    search();
    if (!stopped()) finish_search();
    result_.seconds = elapsed();
    result_.complete = complete_ && !stopped();
    result_.resumed = journal_.resumed();
    return std::move(result_);
  }

 private:
  bool stopped() const { return options_.stopped && options_.stopped(); }
  double elapsed() const { return resumed_seconds_ + watch_.seconds(); }

  void note(double share) {
    if (!options_.progress) return;
    const TunePoint& best = result_.best;
    options_.progress(
        share, best.ratio < 1 ? fmt::format("best {:.2f}x: {}", 1 / best.ratio, settings_text(best.settings))
                              : std::string("best: the defaults"));
  }

  /// The trial as the journal has it, or as `run` gives it; null where the search was stopped.
  template <class Run>
  Json trial(const std::string& key, Run run) {
    if (const Json* found = journal_.find(key)) return *found;
    Json json = run();
    if (json.is_null() || stopped()) return nullptr;
    json["at"] = elapsed();
    journal_.add(key, json);
    return json;
  }

  void calibrate() {
    const Reply plan = bench_.plan(kDefaults);
    if (plan.status == Status::kFailed) throw input_error(plan.reason);
    if (!plan.ok()) throw failure("the untuned model cannot be planned: " + plan.reason);
    const Json& chosen = bench_.planned(kDefaults);
    if (member(chosen, "layers").empty())
      throw input_error("runs through the reference implementation: there is nothing to tune");
    result_.isa = text_member(chosen, "isa");
    result_.precision = text_member(chosen, "precision");
    Settings& defaults = result_.defaults.settings;
    defaults.data_parallel = static_cast<int>(whole_member(chosen, "data_parallel", 1, 1024));
    defaults.model_parallel = static_cast<int>(whole_member(chosen, "model_parallel", 1, 1024));
    defaults.batch_tile = static_cast<int>(whole_member(chosen, "batch_tile", 1, 4096));
    const Json pace = trial("pace", [&]() -> Json {
      const int64_t first =
          single()
              ? std::min<int64_t>(5, workload_.n_images)
              : std::min<int64_t>(workload_.n_images, int64_t{defaults.data_parallel} * defaults.batch_tile);
      double seconds = 0;
      for (int i = 0; i < 2; ++i) {
        const Reply reply = bench_.ask("time", kDefaults, first);
        if (stopped()) return nullptr;
        if (!reply.ok()) throw failure("the untuned model cannot be timed: " + reply.reason);
        const double once = reply.result.get<double>();
        seconds = i == 0 ? once : std::min(seconds, once);
      }
      return {{"seconds", seconds}, {"images", slice_images(seconds)}};
    });
    if (pace.is_null()) return;
    result_.defaults.seconds = number_member(pace, "seconds", 0, 1e6);
    result_.slice_images = whole_member(pace, "images", 1, workload_.n_images);
    result_.best = result_.defaults;
    note(0.02);
  }

  bool single() const { return workload_.scenario == Scenario::kSingleStream; }

  int64_t slice_images(double seconds) const {
    const int64_t most = workload_.n_images;
    if (options_.images > 0) return std::min(options_.images, most);
    const double fitting = kSliceSeconds / std::max(seconds, 1e-9);
    const auto count = static_cast<int64_t>(std::min(fitting, 1e9));
    if (single()) return std::clamp<int64_t>(count, std::min(kLeastSingle, most), most);
    const int64_t unit = kSlicePerThread[0] * options_.threads;
    if (most >= unit && count * 2 >= unit)
      return std::max(unit, std::min((count + unit / 2) / unit, most / unit) * unit);
    int64_t images = 0;
    for (const int64_t per_thread : kSlicePerThread) {
      images = per_thread * options_.threads;
      if (images <= std::min(most, count)) break;
    }
    return std::min(most, images);
  }

  /// Accuracy of each precision, which no other setting touches; leaves out those below the floor.
  void rate_precisions() {
    precisions_ = options_.precisions;
    for (auto& precision : precisions_) {
      if (precision && result_.precision == precision_name(*precision)) precision.reset();
    }
    std::set<std::optional<Precision>> seen;
    std::erase_if(precisions_, [&](const auto& p) { return !seen.insert(p).second; });
    const bool wanted = options_.min_accuracy || options_.score != ScoreKind::kTime;
    if (wanted && workload_.labels.empty())
      throw input_error("accuracy decides, but there are no labelled images");
    if (workload_.labels.empty() || (!wanted && precisions_.size() == 1 && !precisions_[0]) || stopped())
      return;
    std::vector<std::optional<Precision>> all = precisions_;
    if (!seen.contains(std::nullopt)) all.push_back(std::nullopt);
    for (const auto& precision : all) {
      Settings settings;
      settings.precision = precision;
      const std::string name = precision ? precision_name(*precision) : "file";
      const Json rated = trial(fmt::format("accuracy {}", name), [&]() -> Json {
        const Reply reply = bench_.ask("accuracy", bench_.add(settings), 1);
        if (stopped()) return nullptr;
        if (!reply.ok()) return {{"status", status_name(reply.status)}, {"reason", reply.reason}};
        const double images = number_member(reply.result, "images", 1, 1e15);
        return {{"status", "ok"}, {"accuracy", number_member(reply.result, "correct", 0, 1e15) / images}};
      });
      if (rated.is_null()) return;
      if (rated.contains("accuracy")) accuracy_[precision] = number_member(rated, "accuracy", 0, 1);
    }
    result_.defaults.accuracy = accuracy_of(std::nullopt);
    result_.best = result_.defaults;
    std::erase_if(precisions_, [&](const auto& p) { return !accuracy_.contains(p) || below_floor(p); });
    if (precisions_.empty())
      throw input_error(fmt::format("no precision that may be chosen reaches an accuracy of {:.4f}",
                                    options_.min_accuracy.value_or(0)));
  }

  std::optional<double> accuracy_of(const std::optional<Precision>& precision) const {
    const auto found = accuracy_.find(precision);
    return found == accuracy_.end() ? std::nullopt : std::optional(found->second);
  }
  bool below_floor(const std::optional<Precision>& precision) const {
    return options_.min_accuracy && accuracy_of(precision).value_or(0) < *options_.min_accuracy;
  }
  /// Whether settings, the defaults too, may be the answer.
  bool allowed(const Settings& settings) const {
    return std::find(precisions_.begin(), precisions_.end(), settings.precision) != precisions_.end();
  }

  double score(const Settings& settings, double ratio) const {
    if (options_.score != ScoreKind::kWeighted) return ratio;
    const double lost = accuracy_of(std::nullopt).value_or(0) - accuracy_of(settings.precision).value_or(0);
    return ratio + options_.weight * 100 * lost;
  }

  TunePoint point(const Settings& settings, const Trial& trial) const {
    TunePoint p{settings, trial.status, trial.reason, 1, 0, accuracy_of(settings.precision)};
    if (!trial.ok()) return p;
    p.ratio = trial.ratio();
    p.seconds = p.ratio * result_.defaults.seconds;
    return p;
  }

  void search() {
    if (stopped()) return;
    result_.surface = {result_.defaults};
    complete_ = true;
    if (options_.score == ScoreKind::kPareto) {
      for (const auto& precision : precisions_) {
        const TunePoint best = search_among({precision}, 1.0 / static_cast<double>(precisions_.size()));
        if (best.settings.precision == precision) result_.front.push_back(best);
      }
      choose_from_front();
    } else {
      winner_ = search_among(precisions_, 1);
    }
    if (!stopped() && !allowed(winner_.settings)) {
      const auto reason = std::find_if(result_.surface.begin(), result_.surface.end(),
                                       [](const TunePoint& p) { return p.status != Status::kOk; });
      throw input_error(reason == result_.surface.end() ? "there was no time to try any allowed precision"
                                                        : reason->reason);
    }
  }

  TunePoint search_among(const std::vector<std::optional<Precision>>& precisions, double share) {
    SpaceOptions space;
    space.scenario = workload_.scenario;
    space.threads = options_.threads;
    space.most_tile = static_cast<int>(
        std::clamp<int64_t>(result_.slice_images / (single() ? 1 : options_.threads), 1, kSlicePerThread[0]));
    space.precisions = precisions;
    std::vector<Settings> candidates{result_.defaults.settings};
    for (Settings& settings : make_space(space)) {
      if (settings != candidates[0]) candidates.push_back(std::move(settings));
    }
    const double reserve = finish_seconds();
    const double end = elapsed() + std::max(0.0, options_.budget - reserve - elapsed()) * share;
    const double slice = result_.defaults.seconds * static_cast<double>(result_.slice_images);
    SearchOptions search;
    const Json rounds = trial(fmt::format("rounds of {}", candidates.size()), [&]() -> Json {
      const double each = kMeanRatio * slice * static_cast<double>(candidates.size());
      const int passes = static_cast<int>((end - elapsed()) / each) / kPassRounds;
      return {{"rounds", kPassRounds * std::clamp(passes, 1, search.grid_rounds / kPassRounds)}};
    });
    if (rounds.is_null()) return result_.defaults;
    search.grid_rounds = static_cast<int>(whole_member(rounds, "rounds", kPassRounds, 1000));
    search.score = [&](size_t c, double ratio) { return score(candidates[c], ratio); };
    bool late = false;
    search.stopped = [&] { return stopped() || (late = late || elapsed() > end); };
    search.progress = [&](double done) { note(0.02 + 0.78 * done); };
    std::vector<Trial> seen(candidates.size());
    const Measure measure = [&](const Request& request) {
      std::vector<Trial> trials = measure_trials(request, candidates);
      for (size_t i = 0; i < trials.size(); ++i) {
        Trial& all = seen[request.candidates[i]];
        all.append(trials[i]);
        consider(candidates[request.candidates[i]], all);
      }
      return trials;
    };
    const SearchResult found = options_.search == SearchKind::kGrid
                                   ? grid_search(candidates.size(), search, measure)
                                   : halving_search(candidates.size(), search, measure);
    complete_ = complete_ && found.complete;
    for (size_t c = 1; c < candidates.size(); ++c) {
      const Trial& t = found.trials[c];
      if (t.status == Status::kOk && t.seconds.empty()) continue;  // not reached
      result_.surface.push_back(point(candidates[c], t));
    }
    size_t best = found.best;
    if (best == kDefaults &&
        std::find(precisions.begin(), precisions.end(), std::nullopt) == precisions.end())
      best = best_other(candidates, found);
    if (best == kDefaults) return result_.defaults;
    return point(candidates[best], found.trials[best]);
  }

  /// Takes settings as the best so far, where their slices leave no doubt.
  void consider(const Settings& settings, const Trial& trial) {
    if (!trial.ok()) return;
    const TunePoint p = point(settings, trial);
    const double noise = std::max(kStoppedGain, paired_ratio(trial.seconds, trial.reference).noise);
    if (!may_replace(p, trial.seconds.size() < kSomeSlices ? kFewSlicesGain : noise)) return;
    const TunePoint& best = result_.best;
    if (!allowed(best.settings) || score(settings, p.ratio) < score(best.settings, best.ratio))
      result_.best = p;
  }

  /// Where the file's own precision may not be chosen, the best of the others, however slow.
  size_t best_other(const std::vector<Settings>& candidates, const SearchResult& found) const {
    size_t best = kDefaults;
    double least = std::numeric_limits<double>::infinity();
    for (size_t c = 1; c < candidates.size(); ++c) {
      const double s = found.trials[c].ok() ? score(candidates[c], found.trials[c].ratio()) : least;
      if (s < least) {
        least = s;
        best = c;
      }
    }
    return best;
  }

  /// Whether a point that is measured within `noise` of its ratio may take the defaults' place.
  bool may_replace(const TunePoint& p, double noise) const {
    return !allowed(result_.defaults.settings) || score(p.settings, p.ratio + noise) < 1;
  }

  void choose_from_front() {
    std::vector<TunePoint> front;
    std::sort(result_.front.begin(), result_.front.end(),
              [](const TunePoint& a, const TunePoint& b) { return a.ratio < b.ratio; });
    for (const TunePoint& p : result_.front) {
      if (front.empty() || p.accuracy.value_or(0) > front.back().accuracy.value_or(0)) front.push_back(p);
    }
    result_.front = std::move(front);
    // The fastest that is no less accurate than asked for, or than the file's own.
    const double floor = options_.min_accuracy.value_or(result_.defaults.accuracy.value_or(0));
    winner_ = result_.defaults;
    for (auto p = result_.front.rbegin(); p != result_.front.rend(); ++p) {
      if (p->accuracy.value_or(0) >= floor) winner_ = *p;
    }
  }

  std::vector<Trial> measure_trials(const Request& request, const std::vector<Settings>& candidates) {
    std::vector<Trial> trials(request.candidates.size());
    std::vector<size_t> missing, ids;
    const auto key_of = [&](size_t i) {
      return fmt::format("{} {}", request.stage, settings_json(candidates[request.candidates[i]]).dump());
    };
    for (size_t i = 0; i < trials.size(); ++i) {
      if (const Json* found = journal_.find(key_of(i))) {
        trials[i] = parse_trial(*found);
      } else {
        missing.push_back(i);
        ids.push_back(bench_.add(candidates[request.candidates[i]]));
      }
    }
    if (!missing.empty()) {
      const std::vector<Trial> measured =
          bench_.measure(ids, request.rounds, request.give_up, result_.slice_images);
      if (measured.empty()) return {};
      for (size_t k = 0; k < missing.size(); ++k) {
        const size_t i = missing[k];
        trials[i] = measured[k];
        Json json = trial_json(trials[i]);
        json["at"] = elapsed();
        journal_.add(key_of(i), std::move(json));
      }
    }
    result_.trials += trials.size();
    for (const Trial& t : trials) result_.failed += t.status != Status::kOk;
    return trials;
  }

  /// About what layers and the last comparison take.
  double finish_seconds() const {
    const double slice = result_.defaults.seconds * static_cast<double>(result_.slice_images);
    const double slices = kLayerRounds * 8 + kFinalRounds * 3;
    return std::min(options_.budget / 2, slices * 1.3 * slice + 10 * bench_.plan_seconds());
  }

  void finish_search() {
    if (winner_.status != Status::kOk) return;
    note(0.82);
    Settings laid_out = winner_.settings;
    if (elapsed() + finish_seconds() / 2 < options_.budget + 1) {
      choose_layouts(laid_out, "panels");
      note(0.88);
      if (!stopped() && elapsed() < options_.budget) choose_layouts(laid_out, "orders");
    } else {
      complete_ = false;
    }
    note(0.92);
    if (!stopped()) compare(laid_out);
    note(1);
  }

  void choose_layouts(Settings& settings, const std::string& axis) {
    const Json chosen =
        trial(fmt::format("layers {} {}", axis, settings_json(settings).dump()), [&]() -> Json {
          const auto better = axis == "panels" ? choose_panels(bench_, settings, result_.slice_images)
                                               : choose_orders(bench_, settings, result_.slice_images);
          if (!better) return nullptr;
          return {{"settings", settings_json(*better)}};
        });
    if (!chosen.is_null()) settings = parse_settings(member(chosen, "settings"));
  }

  /// The winner, and the winner with layers of their own, against the defaults, in turn.
  void compare(const Settings& laid_out) {
    std::vector<Settings> finalists;
    if (winner_.settings != result_.defaults.settings) finalists.push_back(winner_.settings);
    if (!laid_out.layouts.empty()) finalists.push_back(laid_out);
    if (finalists.empty()) {
      result_.best = result_.defaults;
      return;
    }
    std::string key = "final";
    for (const Settings& settings : finalists) key += fmt::format(" {}", settings_json(settings).dump());
    const Json last = trial(key, [&]() -> Json {
      std::vector<size_t> ids;
      for (const Settings& settings : finalists) ids.push_back(bench_.add(settings));
      const int rounds = elapsed() < options_.budget ? kFinalRounds : kLateRounds;
      const std::vector<Trial> trials = bench_.measure(ids, rounds, 1e9, result_.slice_images);
      if (trials.empty()) return nullptr;
      Json rows = Json::array();
      for (size_t i = 0; i < trials.size(); ++i) {
        rows.push_back(trial_json(trials[i]));
        rows.back()["same"] = trials[i].ok() && same_results(finalists[i], ids[i]);
      }
      return {{"finalists", std::move(rows)}};
    });
    if (last.is_null()) return;
    result_.best = allowed(result_.defaults.settings) ? result_.defaults : winner_;
    const Json& rows = member(last, "finalists");
    XDN_CHECK(rows.size() == finalists.size());
    std::vector<double> defaults_seconds;
    double best_score = std::numeric_limits<double>::infinity();
    for (size_t i = 0; i < finalists.size(); ++i) {
      const Trial t = parse_trial(rows[i]);
      if (!t.ok() || !flag_member(rows[i], "same")) continue;
      defaults_seconds = t.reference;
      const PairedRatio paired = paired_ratio(t.seconds, t.reference);
      TunePoint p = point(finalists[i], t);
      p.ratio = paired.ratio;
      const double s = score(p.settings, paired.ratio);
      if (!may_replace(p, std::max(paired.noise, kLeastGain)) || s >= best_score) continue;
      best_score = s;
      result_.best = p;
    }
    if (defaults_seconds.empty()) return;
    const double seconds = median(defaults_seconds);
    result_.defaults.seconds = result_.surface[kDefaults].seconds = seconds;
    for (TunePoint& p : result_.surface) p.seconds = p.ratio * seconds;
    for (TunePoint& p : result_.front) p.seconds = p.ratio * seconds;
    result_.best.seconds = result_.best.ratio * seconds;
  }

  /// Tuning changes no result. Where the precision is another one, so are the results, by definition.
  bool same_results(const Settings& settings, size_t id) {
    if (settings.precision) return true;
    const int64_t images = std::min<int64_t>(result_.slice_images, 256);
    const Reply a = bench_.ask("digest", kDefaults, images), b = bench_.ask("digest", id, images);
    return a.ok() && b.ok() && a.result == b.result;
  }

  const Workload& workload_;
  const TuneOptions& options_;
  Journal& journal_;
  TrialBench bench_;
  const Stopwatch watch_;
  const double resumed_seconds_;
  TuneResult result_;
  TunePoint winner_;
  bool complete_ = false;
  std::vector<std::optional<Precision>> precisions_;
  std::map<std::optional<Precision>, double> accuracy_;
};

}  // namespace

const char* search_name(SearchKind kind) { return kind == SearchKind::kGrid ? "grid" : "halving"; }

TuneResult tune(const Workload& workload, const TuneOptions& options, Journal& journal) {
  TuneResult result = Tuning(workload, options, journal).run();
  result.kept_defaults = result.best.settings == result.defaults.settings;
  return result;
}

}  // namespace xdn::tuner
