#pragma once

#include <cstdint>
#include <string>

namespace xdn::tuner {

/// Bytes that this process may still take: the system's available memory, cut by what the memory limits of
/// its cgroup and those above (v1 or v2) leave.
int64_t available_memory();
/// The same with other files: /proc/meminfo's text, a cgroup file system, and /proc/self/cgroup's text.
int64_t available_memory(const std::string& meminfo, const std::string& root,
                         const std::string& proc_self_cgroup);

/// The best instruction set of this processor, as in --isa.
std::string best_isa();

/// $XDG_CACHE_HOME/xdn/tuning, else ~/.cache/xdn/tuning; empty where neither is known.
std::string tuning_cache_folder();

}  // namespace xdn::tuner
