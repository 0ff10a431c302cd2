#include "cli/experiment_tasks.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>

#include "base/atomic_file.h"
#include "base/cpu.h"
#include "base/error.h"
#include "base/mmap.h"
#include "base/sha256.h"
#include "cli/quiet_child.h"
#include "cli/run_info.h"

namespace xdn::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kSelf = "/proc/self/exe";

/// Not kept with every pass.
constexpr std::array kNotKept{"confusion", "per_class", "samples", "profile", "classes", "table", "layers"};

std::vector<std::string> all_words(const Task& task) {
  std::vector<std::string> words = task.words;
  words.insert(words.end(), task.extra.begin(), task.extra.end());
  return words;
}

}  // namespace

TaskRunner::TaskRunner(std::string dir)
    : dir_(std::move(dir)),
      run_(fmt::format("{:%Y-%m-%dT%H:%M:%SZ}-{}",
                       fmt::gmtime(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now())),
                       getpid())),
      journal_(in_dir("experiment.journal.jsonl")) {
  std::error_code error;
  program_ = fs::read_symlink(kSelf, error).string();
  if (error) throw failure("cannot find this program: " + error.message()).in_file(kSelf);
}

std::string TaskRunner::in_dir(const std::string& name) const { return (fs::path(dir_) / name).string(); }

std::string TaskRunner::command(const Task& task) {
  std::vector<std::string> words = all_words(task);
  if (task.own) words.insert(words.begin(), "xdn");
  return shell_line(words);
}

const std::string& TaskRunner::digest(const std::string& file) {
  std::string& hex = digests_[file];
  if (hex.empty()) {
    const MappedFile content(file);
    hex = sha256_hex(content.data(), content.size());
  }
  return hex;
}

std::string TaskRunner::key(const Task& task) {
  Json json{{"name", task.name}, {"words", task.words}, {"cpu", cpu_model()}, {"program", digest(kSelf)}};
  for (const std::string& input : task.inputs) json["inputs"].push_back(digest(input));
  const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  return sha256_hex(text.data(), text.size());
}

size_t TaskRunner::known(const Task& task) {
  std::error_code ignored;
  for (const std::string& output : task.outputs) {
    if (!fs::exists(output, ignored)) return 0;
  }
  return journal_.find(key(task)).size();
}

double TaskRunner::typical_wall(const std::string& name) const {
  double sum = 0;
  int count = 0;
  for (const experiment::Record& record : journal_.records()) {
    if (record.name != name) continue;
    sum += record.wall;
    ++count;
  }
  return count == 0 ? 0 : sum / count;
}

TaskResult TaskRunner::perform(const Task& task, size_t nth) {
  if (nth < known(task)) {
    const experiment::Record& record = *journal_.find(key(task))[nth];
    ++used_[record.run];
    return {.done = true, .wall = record.wall, .json = record.result};
  }
  TaskResult result = start(task);
  if (!result.done) return result;
  journal_.append({key(task), task.name, run_, result.wall, result.json});
  ++used_[run_];
  return result;
}

TaskResult TaskRunner::start(const Task& task) const {
  std::error_code ignored;
  const std::string json_path = in_dir("result.json");
  fs::remove(json_path, ignored);
  std::vector<std::string> words = all_words(task);
  if (task.own) words.insert(words.begin(), program_);
  if (task.json) words.insert(words.end(), {"--json", json_path});
  const QuietEnd end = run_quiet(words, task.most_seconds);
  TaskResult result;
  result.fresh = true;
  result.wall = end.seconds;
  result.code = end.code;
  result.done = end.done();
  if (!result.done) {
    result.reason = end.reason();
    return result;
  }
  if (!task.json) return result;
  Json json = Json::parse(read_file(json_path), nullptr, false);
  fs::remove(json_path, ignored);
  if (!json.is_object()) {
    result.done = false;
    result.reason = "wrote no results";
    return result;
  }
  if (!task.whole) {
    for (const char* field : kNotKept) json.erase(field);
  }
  result.json = std::move(json);
  return result;
}

}  // namespace xdn::cli
