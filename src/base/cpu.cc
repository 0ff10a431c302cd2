#include "base/cpu.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>

namespace xdn {

const CpuFeatures& cpu_features() {
  static const CpuFeatures features = [] {
    CpuFeatures f;
#if defined(__x86_64__)
    __builtin_cpu_init();
    f.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    f.avx512 = f.avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    f.avx512vnni = f.avx512 && __builtin_cpu_supports("avx512vnni");
    f.avx512bf16 = f.avx512 && __builtin_cpu_supports("avx512bf16");
#endif
    return f;
  }();
  return features;
}

std::string cpu_model() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    if (line.rfind("model name", 0) != 0) continue;
    const size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

namespace {

std::string first_line(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

/// quota/period, or 0 when unlimited or unreadable.
double quota_of(const std::string& folder, bool v2) {
  double quota = -1, period = 0;
  if (v2) {
    std::istringstream text(first_line(folder + "/cpu.max"));  // "max 100000" or "150000 100000"
    if (!(text >> quota >> period)) return 0;
  } else {
    std::istringstream q(first_line(folder + "/cpu.cfs_quota_us")),
        p(first_line(folder + "/cpu.cfs_period_us"));
    if (!(q >> quota) || !(p >> period)) return 0;
  }
  return quota > 0 && period > 0 ? quota / period : 0;
}

/// The smallest quota of `group` and its ancestors below `mount`.
double smallest_quota(const std::string& mount, std::string group, bool v2) {
  double smallest = 0;
  while (true) {
    const double quota = quota_of(mount + group, v2);
    if (quota > 0 && (smallest == 0 || quota < smallest)) smallest = quota;
    const size_t slash = group.rfind('/');
    if (group.empty() || slash == std::string::npos) return smallest;
    group.resize(slash);
  }
}

}  // namespace

double cgroup_cpu_quota(const std::string& root, const std::string& proc_self_cgroup) {
  double smallest = 0;
  std::istringstream lines(proc_self_cgroup);
  for (std::string line; std::getline(lines, line);) {
    // "0::/group" (v2) or "4:cpu,cpuacct:/group" (v1)
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    std::string group = line.substr(second + 1);
    if (group == "/") group.clear();
    const bool v2 = controllers.empty();
    if (!v2 && ("," + controllers + ",").find(",cpu,") == std::string::npos) continue;
    const std::string mounts[] = {v2 ? root : root + "/cpu",
                                  v2 ? root + "/unified" : root + "/" + controllers};
    for (const std::string& mount : mounts) {
      // In a container the group's path may not be visible below the mount: its root then carries the limit.
      const double quota = smallest_quota(mount, group, v2);
      if (quota > 0 && (smallest == 0 || quota < smallest)) smallest = quota;
    }
  }
  return smallest;
}

int available_cpus(const std::string& root, const std::string& proc_self_cgroup) {
  cpu_set_t set;
  CPU_ZERO(&set);
  int cpus = 1;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) cpus = std::max(1, CPU_COUNT(&set));
  const double quota = cgroup_cpu_quota(root, proc_self_cgroup);
  if (quota > 0) cpus = std::min(cpus, std::max(1, static_cast<int>(std::ceil(quota - 1e-9))));
  return cpus;
}

int available_cpus() {
  std::ifstream in("/proc/self/cgroup");
  std::stringstream text;
  text << in.rdbuf();
  return available_cpus("/sys/fs/cgroup", text.str());
}

}  // namespace xdn
