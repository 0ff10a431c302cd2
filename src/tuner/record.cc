#include "tuner/record.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <limits>

#include "base/atomic_file.h"
#include "base/cpu.h"
#include "base/error.h"
#include "base/mmap.h"
#include "base/sha256.h"
#include "tuner/machine.h"
#include "tuner/space.h"

namespace xdn::tuner {
namespace {

constexpr const char* kVersionField = "xdn_tuning";
constexpr int64_t kVersion = 1;
constexpr size_t kMostEntries = 256, kMostBytes = size_t{64} << 20;
constexpr size_t kDigestShown = 16;

Json key_json(const RecordKey& key) {
  Json files = Json::array();
  for (const auto& file : key.model.files)
    files.push_back({{"bytes", file.bytes}, {"modified_ns", file.modified_ns}});
  return {{"model_sha256", key.model.sha256},
          {"files", std::move(files)},
          {"cpu", key.cpu},
          {"isa", key.isa},
          {"threads", key.threads},
          {"scenario", key.scenario},
          {"fusion", key.fusion},
          {"isa_option", key.isa_option},
          {"input", key.input},
          {"space", key.space}};
}

const Json& list_member(const Json& json, const char* name, size_t most) {
  const Json& list = member(json, name);
  if (!list.is_array() || list.size() > most)
    throw input_error(fmt::format("'{}' is no list of up to {} members", name, most));
  return list;
}

RecordKey parse_key(const Json& json) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  RecordKey key;
  key.model.sha256 = text_member(json, "model_sha256");
  const bool hex = key.model.sha256.size() == 64 &&
                   key.model.sha256.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!hex) throw input_error("'model_sha256' is no SHA-256");
  for (const Json& file : list_member(json, "files", 16)) {
    key.model.files.push_back(
        {whole_member(file, "bytes", 0, kMost), whole_member(file, "modified_ns", -kMost, kMost)});
  }
  key.cpu = text_member(json, "cpu");
  key.isa = text_member(json, "isa");
  key.threads = static_cast<int>(whole_member(json, "threads", 1, 4096));
  key.scenario = text_member(json, "scenario");
  if (!parse_scenario(key.scenario)) throw input_error("'scenario' is neither offline nor single-stream");
  key.fusion = text_member(json, "fusion");
  key.isa_option = text_member(json, "isa_option");
  for (const Json& extent : list_member(json, "input", 3))
    key.input.push_back(whole_member({{"extent", extent}}, "extent", 1, 1 << 30));
  key.space = static_cast<int>(whole_member(json, "space", 0, 1 << 30));
  return key;
}

Json entry_json(const RecordEntry& entry) {
  Json json = key_json(entry.key);
  json["settings"] = settings_json(entry.settings);
  json["defaults"] = entry.defaults;
  json["speedup"] = entry.speedup;
  json["found"] = entry.found;
  return json;
}

RecordEntry parse_entry(const Json& json) {
  RecordEntry entry;
  entry.key = parse_key(json);
  entry.settings = parse_settings(member(json, "settings"));
  entry.defaults = flag_member(json, "defaults");
  entry.speedup = number_member(json, "speedup", 0, 1e6);
  if (json.contains("found")) entry.found = json["found"];
  return entry;
}

bool same_case(const RecordKey& a, const RecordKey& b) { return why_foreign(a, b).empty(); }

}  // namespace

ModelFiles stat_model(const std::vector<std::string>& paths) {
  ModelFiles model;
  for (const std::string& path : paths) {
    struct stat info {};
    if (stat(path.c_str(), &info) != 0) throw input_error("cannot open").in_file(path);
    model.files.push_back(
        {info.st_size, int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + int64_t{info.st_mtim.tv_nsec}});
  }
  return model;
}

std::string hash_model(const std::vector<std::string>& paths) {
  Sha256 all;
  for (const std::string& path : paths) {
    const MappedFile file(path);
    const std::string one = sha256_hex(file.data(), file.size());
    all.update(one.data(), one.size());
  }
  return all.hex();
}

int64_t total_bytes(const ModelFiles& model) {
  int64_t bytes = 0;
  for (const auto& file : model.files) bytes += file.bytes;
  return bytes;
}

RecordKey key_here() {
  RecordKey key;
  key.cpu = cpu_model();
  key.isa = best_isa();
  key.threads = available_cpus();
  key.scenario = scenario_name(Scenario::kOffline);
  key.space = kSpaceVersion;
  return key;
}

std::vector<RecordEntry> read_record(const std::string& path) {
  const std::string text = read_file(path, kMostBytes);
  try {
    const Json json = Json::parse(text, nullptr, false);
    if (json.is_discarded()) throw input_error("is no JSON");
    if (whole_member(json, kVersionField, 0, 1 << 30) != kVersion)
      throw input_error(fmt::format("is of another version, expected \"{}\": {}", kVersionField, kVersion));
    std::vector<RecordEntry> entries;
    for (const Json& entry : list_member(json, "entries", kMostEntries))
      entries.push_back(parse_entry(entry));
    return entries;
  } catch (Error& error) {
    throw error.in_file(path);
  }
}

void write_record(const std::string& path, const RecordEntry& entry) {
  std::vector<RecordEntry> entries;
  std::error_code none;
  if (std::filesystem::exists(path, none)) {
    try {
      entries = read_record(path);
    } catch (const Error&) {
      // What cannot be read helps nobody.
    }
  }
  std::erase_if(entries, [&](const RecordEntry& other) {
    return other.key.model.sha256 != entry.key.model.sha256 || same_case(other.key, entry.key);
  });
  if (entries.size() >= kMostEntries) entries.erase(entries.begin());
  entries.push_back(entry);
  Json json{{kVersionField, kVersion}, {"entries", Json::array()}};
  for (const RecordEntry& e : entries) json["entries"].push_back(entry_json(e));
  AtomicFile file(path);
  file.write(json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
  file.commit();
}

std::string why_foreign(const RecordKey& entry, const RecordKey& wanted) {
  const auto differs = [](const std::string& what, const auto& a, const auto& b) {
    return a == b ? std::string() : printable(fmt::format("for {} {}, not {}", what, a, b));
  };
  if (entry.space != wanted.space) return "of another version of xdn";
  std::string why = differs("the processor", entry.cpu, wanted.cpu);
  if (why.empty()) why = differs("instruction set", entry.isa, wanted.isa);
  if (why.empty()) why = differs("scenario", entry.scenario, wanted.scenario);
  if (why.empty() && entry.threads != wanted.threads)
    why =
        fmt::format("for {} thread{}, not {}", entry.threads, entry.threads == 1 ? "" : "s", wanted.threads);
  if (why.empty()) why = differs("--fusion", entry.fusion, wanted.fusion);
  const auto option = [](const std::string& isa) { return isa.empty() ? std::string("of the best") : isa; };
  if (why.empty()) why = differs("--isa", option(entry.isa_option), option(wanted.isa_option));
  if (why.empty())
    why = differs("images of", fmt::format("{}", fmt::join(entry.input, "x")),
                  fmt::format("{}", fmt::join(wanted.input, "x")));
  return why;
}

Lookup look_up(const std::string& record, const RecordKey& wanted, const std::vector<std::string>& paths) {
  Lookup lookup;
  std::string digest;
  for (const RecordEntry& entry : read_record(record)) {
    const std::string why = why_foreign(entry.key, wanted);
    if (!why.empty()) {
      if (lookup.note.empty()) lookup.note = why;
      continue;
    }
    if (entry.key.model.files != wanted.model.files) {
      if (digest.empty()) digest = wanted.model.sha256.empty() ? hash_model(paths) : wanted.model.sha256;
      if (digest != entry.key.model.sha256) {
        lookup.note = "the model has changed since: tune it again";
        lookup.other_model = true;
        continue;
      }
    }
    return {entry, {}, false};
  }
  if (lookup.note.empty()) lookup.note = "it has no entries";
  return lookup;
}

std::string cached_record(const ModelFiles& model) {
  const std::string folder = tuning_cache_folder();
  if (folder.empty()) return {};
  return fmt::format("{}/{}-{}.json", folder, total_bytes(model), model.sha256.substr(0, kDigestShown));
}

std::vector<std::string> cached_records(const ModelFiles& model) {
  namespace fs = std::filesystem;
  const std::string folder = tuning_cache_folder(), prefix = fmt::format("{}-", total_bytes(model));
  std::vector<std::string> records;
  std::error_code error;
  if (folder.empty() || !fs::is_directory(folder, error)) return records;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (name.starts_with(prefix) && name.ends_with(".json")) records.push_back(at->path().string());
  }
  std::sort(records.begin(), records.end());
  return records;
}

}  // namespace xdn::tuner
