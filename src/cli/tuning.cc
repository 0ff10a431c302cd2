#include "cli/tuning.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/cpu.h"
#include "base/error.h"
#include "base/log.h"
#include "formats/model_io.h"

namespace xdn::cli {
namespace {

void say_ignored(const std::string& record, const std::string& why) {
  log_warning(fmt::format("ignored the tuning record {}: {}", printable(record), why));
}

/// What a precision that the user asks for makes of a record: nothing, unless it is the record's.
bool serves_precision(const tuner::RecordEntry& entry, const ExecFlags& flags) {
  return flags.precision.empty() ||
         (entry.settings.precision && flags.precision == precision_name(*entry.settings.precision));
}

void take(const tuner::RecordEntry& entry, const std::string& record, const ExecFlags& flags,
          ExecOptions& options) {
  if (!serves_precision(entry, flags)) {
    const std::string own =
        entry.settings.precision ? precision_name(*entry.settings.precision) : "the file's";
    return say_ignored(record, fmt::format("for precision {}, not {}", own, flags.precision));
  }
  if (entry.defaults) {
    return log_info(fmt::format("tuning record {}: the defaults are the best", printable(record)));
  }
  const ExecOptions given = options;
  options = tuner::apply(entry.settings, std::move(options));
  if (given.data_parallel > 0 || given.model_parallel > 0) {
    options.data_parallel = given.data_parallel;
    options.model_parallel = given.model_parallel;
  }
  if (given.batch_tile > 0) options.batch_tile = given.batch_tile;
  log_info(fmt::format("tuning record {}: {} ({:.2f}x the defaults when tuned)", printable(record),
                       tuner::settings_text(entry.settings), entry.speedup));
}

}  // namespace

tuner::RecordKey tuning_key(const ModelInput& model, const ExecFlags& flags, tuner::Scenario scenario) {
  tuner::RecordKey key = tuner::key_here();
  key.model = tuner::stat_model(model_files(model.spec));
  if (flags.threads > 0) key.threads = std::min(key.threads, flags.threads);
  key.scenario = tuner::scenario_name(scenario);
  key.fusion = flags.fusion.empty() ? "traditional" : flags.fusion;
  key.isa_option = flags.isa;
  key.input = {model.channels, model.preprocess.height, model.preprocess.width};
  return key;
}

std::string record_beside(const std::string& spec) { return model_stem(spec) + ".tuning.json"; }

void use_tuning(const ModelInput& model, const ExecFlags& flags, ExecOptions& options) {
  if (flags.tuning == "off") return;
  const int threads = options.threads > 0 ? std::min(options.threads, available_cpus()) : available_cpus();
  const bool single = options.batch_hint == 1 || (options.batch_hint > 0 && options.batch_hint < threads);
  const tuner::RecordKey key =
      tuning_key(model, flags, single ? tuner::Scenario::kSingleStream : tuner::Scenario::kOffline);
  const std::vector<std::string> files = model_files(model.spec);
  if (!flags.tuning.empty()) {
    const tuner::Lookup found = tuner::look_up(flags.tuning, key, files);
    if (!found.entry) return say_ignored(flags.tuning, found.note);
    return take(*found.entry, flags.tuning, flags, options);
  }
  std::vector<std::string> records = tuner::cached_records(key.model);
  const std::string beside = record_beside(model.spec);
  std::error_code none;
  if (std::filesystem::exists(beside, none)) records.insert(records.begin(), beside);
  std::vector<std::pair<std::string, std::string>> ignored;
  for (const std::string& record : records) {
    try {
      const tuner::Lookup found = tuner::look_up(record, key, files);
      if (found.entry) return take(*found.entry, record, flags, options);
      // In the cache there are other models of the same size.
      if (!found.other_model || record == beside) ignored.emplace_back(record, found.note);
    } catch (const Error& error) {
      ignored.emplace_back(record, printable(error.message()));
    }
  }
  for (const auto& [record, why] : ignored) say_ignored(record, why);
}

}  // namespace xdn::cli
