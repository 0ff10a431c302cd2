#pragma once

#include <chrono>
#include <cstdint>

namespace xdn {

/// The most memory this process has had resident, in bytes (VmHWM, else getrusage's ru_maxrss); 0 if unknown.
int64_t peak_rss_bytes();

/// Seconds since it was made, by a clock that never steps.
class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace xdn
