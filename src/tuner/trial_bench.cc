#include "tuner/trial_bench.h"

#include <algorithm>

#include "base/error.h"
#include "evaluator/resources.h"
#include "tuner/machine.h"

namespace xdn::tuner {
namespace {

constexpr size_t kDefaults = 0;
/// Plans kept take at most this, and at most a quarter of what memory is available.
constexpr int64_t kMostPlanBytes = int64_t{4} << 30;
/// The child may take this share of the available memory before its allocations fail.
constexpr double kMemoryShare = 0.8;
/// Before the defaults' times are known; then so many times those, and at least so long.
constexpr double kFirstPatience = 600, kPatienceTimes = 50, kLeastPatience = 10;

WorkerOptions with_limit(WorkerOptions options) {
  if (options.memory == 0)
    options.memory = static_cast<int64_t>(kMemoryShare * static_cast<double>(available_memory()));
  return options;
}

}  // namespace

Json trial_json(const Trial& trial) {
  return {{"status", status_name(trial.status)},
          {"reason", trial.reason},
          {"seconds", trial.seconds},
          {"reference", trial.reference}};
}

Trial parse_trial(const Json& json) {
  const auto times = [&](const char* name) {
    const Json& list = member(json, name);
    const auto good = [](const Json& x) { return x.is_number() && x.get<double>() >= 0; };
    if (!list.is_array() || !std::all_of(list.begin(), list.end(), good))
      throw input_error(std::string("'") + name + "' is no list of times");
    return list.get<std::vector<double>>();
  };
  Trial trial{parse_status(text_member(json, "status")), text_member(json, "reason"), times("seconds"),
              times("reference")};
  if (trial.seconds.size() != trial.reference.size()) throw input_error("slices without reference");
  return trial;
}

TrialBench::TrialBench(const Workload& workload, WorkerOptions options, double trial_seconds)
    : options_(with_limit(std::move(options))),
      worker_(
          [&workload] {
            return [server = std::make_shared<TrialServer>(workload)](const Json& request) {
              return server->handle(request);
            };
          },
          options_),
      trial_seconds_(trial_seconds),
      room_(std::min(kMostPlanBytes, available_memory() / 4)) {}

size_t TrialBench::add(const Settings& settings) {
  const auto [at, fresh] = ids_.emplace(settings_json(settings).dump(), entries_.size());
  if (fresh) entries_.push_back({settings, {}, 0, 0, -1});
  return at->second;
}

double TrialBench::patience(bool planning) const {
  if (trial_seconds_ > 0) return trial_seconds_;
  const double usual = planning ? plan_seconds_ : slice_seconds_;
  return usual == 0 ? kFirstPatience : std::max(kLeastPatience, kPatienceTimes * usual);
}

/// Gives up plans, those not used for longest first, until there is room for one more like the largest.
void TrialBench::make_room(size_t id) {
  const auto largest = std::max_element(entries_.begin(), entries_.end(),
                                        [](const Entry& a, const Entry& b) { return a.bytes < b.bytes; });
  const int64_t needed = std::max(largest->bytes, entries_[id].bytes);
  while (true) {
    int64_t held = 0;
    size_t oldest = kDefaults;
    for (size_t i = 0; i < entries_.size(); ++i) {
      if (!resident(entries_[i])) continue;
      held += entries_[i].bytes;
      if (i != kDefaults && (oldest == kDefaults || entries_[i].used < entries_[oldest].used)) oldest = i;
    }
    if (oldest == kDefaults || held + needed <= room_) return;
    (void)worker_.call({{"op", "drop"}, {"slot", oldest}}, kLeastPatience);
    entries_[oldest].generation = -1;
  }
}

Reply TrialBench::plan(size_t id) {
  entries_[id].used = ++clock_;
  if (resident(entries_[id])) return {};
  make_room(id);
  const Stopwatch watch;
  Reply reply = worker_.call(
      {{"op", "plan"}, {"slot", id}, {"settings", settings_json(entries_[id].settings)}}, patience(true));
  if (!reply.ok()) return reply;
  if (id == kDefaults) plan_seconds_ = std::max(watch.seconds(), 1e-3);
  Entry& entry = entries_[id];
  entry.plan = reply.result;
  entry.bytes = whole_member(reply.result, "bytes", 0, INT64_MAX);
  entry.generation = worker_.generation();
  return reply;
}

Reply TrialBench::ask(const char* op, size_t id, int64_t images) {
  if (Reply planned = plan(id); !planned.ok()) return planned;
  return worker_.call({{"op", op}, {"slot", id}, {"images", images}}, patience(false));
}

double TrialBench::time_defaults(int64_t images) {
  const Stopwatch watch;
  const Reply reply = ask("time", kDefaults, images);
  if (!reply.ok()) {
    if (stopped()) return 0;
    throw failure("the untuned model cannot be timed: " + reply.reason);
  }
  slice_seconds_ = std::max({slice_seconds_, watch.seconds(), 1e-3});
  return reply.result.get<double>();
}

std::vector<Trial> TrialBench::measure(const std::vector<size_t>& ids, int rounds, double give_up,
                                       int64_t images) {
  std::vector<Trial> trials(ids.size());
  for (int round = 0; round < rounds; ++round) {
    if (stopped()) return {};
    double reference = time_defaults(images);
    for (size_t i = 0; i < ids.size(); ++i) {
      Trial& trial = trials[i];
      if (trial.status != Status::kOk || (trial.ok() && trial.ratio() > give_up)) continue;
      const int before = worker_.generation();
      const Reply reply = ask("time", ids[i], images);
      if (stopped()) return {};
      if (reply.ok()) {
        trial.seconds.push_back(reply.result.get<double>());
        trial.reference.push_back(reference);
      } else {
        trial = {reply.status, reply.reason, {}, {}};
      }
      // The child that comes after a lost one is cold.
      if (worker_.generation() != before) reference = time_defaults(images);
    }
  }
  return trials;
}

std::vector<std::vector<std::vector<double>>> TrialBench::profile(const std::vector<size_t>& ids, int rounds,
                                                                  int64_t images) {
  std::vector<std::vector<std::vector<double>>> times(ids.size());
  std::vector<bool> failed(ids.size(), false);
  for (int round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < ids.size(); ++i) {
      if (failed[i]) continue;
      const Reply reply = ask("profile", ids[i], images);
      if (stopped()) return {};
      failed[i] = !reply.ok();
      if (reply.ok()) times[i].push_back(reply.result.get<std::vector<double>>());
      if (failed[i]) times[i].clear();
    }
  }
  return times;
}

}  // namespace xdn::tuner
