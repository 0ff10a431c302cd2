#pragma once

#include <string>

namespace xdn {

/// What this processor and its operating system can run.
struct CpuFeatures {
  bool avx2 = false;    ///< with fma and f16c
  bool avx512 = false;  ///< f, bw, vl, dq
  bool avx512vnni = false;
  bool avx512bf16 = false;
};
const CpuFeatures& cpu_features();

/// "AMD EPYC ..." or "unknown".
std::string cpu_model();

/// Threads this process may keep busy: the affinity mask, cut by the CPU quota of its cgroup (v1 or v2), at
/// least 1.
int available_cpus();
/// The same with another cgroup file system and another process's groups.
int available_cpus(const std::string& root, const std::string& proc_self_cgroup);

/// The quota part alone, for a cgroup file system mounted at `root` and the text of /proc/self/cgroup; the
/// smallest quota/period on the way from the process's group to the root. 0 where there is none.
double cgroup_cpu_quota(const std::string& root, const std::string& proc_self_cgroup);

}  // namespace xdn
