#include "tuner/machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>

#include "base/cpu.h"
#include "executor/executor.h"

namespace xdn::tuner {
namespace {

constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// The number in the file; nothing where there is none ("max").
std::optional<int64_t> number_in(const std::string& path) {
  const std::string text = text_of(path);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || value < 0) return std::nullopt;
  return value;
}

/// What the limits of the group and those above it leave; file caches, which the system gives back, count as
/// free.
int64_t room_in(const std::string& mount, std::string group, const char* limit_name, const char* used_name) {
  int64_t room = kUnlimited;
  while (true) {
    const std::string folder = mount + group + "/";
    const auto limit = number_in(folder + limit_name), used = number_in(folder + used_name);
    if (limit && used) {
      int64_t cached = 0;
      std::istringstream stat(text_of(folder + "memory.stat"));
      std::string name;
      for (int64_t value = 0; stat >> name >> value;) {
        if (name == "inactive_file") cached = std::max<int64_t>(0, value);
      }
      room = std::min(room, std::max<int64_t>(0, *limit - std::max<int64_t>(0, *used - cached)));
    }
    if (group.empty() || group == "/") return room;
    group.resize(group.rfind('/') == std::string::npos ? 0 : group.rfind('/'));
  }
}

}  // namespace

int64_t available_memory(const std::string& meminfo, const std::string& root,
                         const std::string& proc_self_cgroup) {
  int64_t room = kUnlimited;
  std::istringstream info(meminfo);
  for (std::string line; std::getline(info, line);) {
    if (line.rfind("MemAvailable:", 0) == 0) room = std::atoll(line.c_str() + 13) * 1024;
  }
  std::istringstream groups(proc_self_cgroup);
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1),
                      group = line.substr(second + 1);
    if (controllers.empty()) room = std::min(room, room_in(root, group, "memory.max", "memory.current"));
    if (fmt::format(",{},", controllers).find(",memory,") != std::string::npos) {
      room =
          std::min(room, room_in(root + "/memory", group, "memory.limit_in_bytes", "memory.usage_in_bytes"));
    }
  }
  return room;
}

int64_t available_memory() {
  return available_memory(text_of("/proc/meminfo"), "/sys/fs/cgroup", text_of("/proc/self/cgroup"));
}

std::string best_isa() {
  const CpuFeatures& cpu = cpu_features();
  return isa_name(cpu.avx512bf16   ? Isa::kAvx512Bf16
                  : cpu.avx512vnni ? Isa::kAvx512Vnni
                  : cpu.avx512     ? Isa::kAvx512
                  : cpu.avx2       ? Isa::kAvx2
                                   : Isa::kRef);
}

std::string tuning_cache_folder() {
  const auto set = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  // XDG's base directory specification: a relative path is to be ignored.
  if (const std::string cache = set("XDG_CACHE_HOME"); cache.starts_with('/')) return cache + "/xdn/tuning";
  if (const std::string home = set("HOME"); home.starts_with('/')) return home + "/.cache/xdn/tuning";
  return {};
}

}  // namespace xdn::tuner
