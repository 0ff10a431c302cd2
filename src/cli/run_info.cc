#include "cli/run_info.h"

#include <fmt/chrono.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <fstream>
#include <iterator>

#include "base/cpu.h"
#include "base/error.h"
#include "executor/executor.h"

namespace xdn::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kTrainProgram = "xdn-train";

/// The words of /proc/self/cmdline, the program's first.
std::vector<std::string> process_words() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  const std::string line(std::istreambuf_iterator<char>(file), {});
  std::vector<std::string> words;
  for (size_t at = 0; at < line.size();) {
    const size_t end = std::min(line.find('\0', at), line.size());
    words.push_back(line.substr(at, end - at));
    at = end + 1;
  }
  if (words.empty()) throw failure("cannot read the command line from /proc");
  return words;
}

std::string quoted(const std::string& word) {
  constexpr std::string_view kPlain = "%+,-./:=@_";
  const auto plain = [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           kPlain.find(c) != std::string_view::npos;
  };
  if (!word.empty() && std::all_of(word.begin(), word.end(), plain)) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

/// What a user types to have the same: xdn-train is what `xdn train` becomes.
std::string typed_command() {
  std::vector<std::string> words = process_words();
  const bool train = words[0].substr(words[0].rfind('/') + 1) == kTrainProgram;
  words[0] = "xdn";
  if (train) words.insert(words.begin() + 1, "train");
  return shell_line(words);
}

const char* best_isa() {
  const CpuFeatures& cpu = cpu_features();
  const Isa best = cpu.avx512bf16   ? Isa::kAvx512Bf16
                   : cpu.avx512vnni ? Isa::kAvx512Vnni
                   : cpu.avx512     ? Isa::kAvx512
                   : cpu.avx2       ? Isa::kAvx2
                                    : Isa::kRef;
  return isa_name(best);
}

int64_t ram_bytes() {
  const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  return pages > 0 && page > 0 ? int64_t{pages} * page : 0;
}

}  // namespace

std::vector<std::string> command_words() {
  std::vector<std::string> words = process_words();
  words.erase(words.begin());
  return words;
}

std::string shell_line(std::span<const std::string> words) {
  std::string line;
  for (const std::string& word : words) {
    if (!line.empty()) line += ' ';
    line += quoted(word);
  }
  return line;
}

Json environment_json() {
  utsname system{};
  const bool known = uname(&system) == 0;
  Json json;
  json["cpu"] = cpu_model();
  json["isa_best"] = best_isa();
  json["threads_allowed"] = available_cpus();
  json["ram_bytes"] = ram_bytes();
  json["kernel"] = known ? fmt::format("{} {}", system.sysname, system.release) : "unknown";
  json["xdn_version"] = XDN_VERSION;
  json["date_utc"] = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
  return json;
}

void put_run_info(Json& json, const std::string& verb) {
  Json all;
  all["command"] = typed_command();
  all["verb"] = verb;
  all["environment"] = environment_json();
  for (auto& [key, value] : json.items()) all[key] = std::move(value);
  json = std::move(all);
}

}  // namespace xdn::cli
