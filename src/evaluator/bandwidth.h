#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/thread_pool.h"

namespace xdn {

/// The first processor's data cache of that level, in bytes; 0 where it has none or nobody tells.
int64_t data_cache_bytes(int level);

/// Memory that the threads of a pool read over and over, each its own part, which it was the first to touch.
class ReadStream {
 public:
  /// bytes_per_thread >= 256 is rounded down to a multiple of 256.
  ReadStream(ThreadPool& pool, int64_t bytes_per_thread);

  /// Reads the part of `thread` once. To be called by that thread.
  void read(int thread) const;
  int64_t bytes_per_thread() const;

 private:
  struct Free {
    void operator()(void* p) const;
  };
  size_t blocks_;
  std::vector<std::unique_ptr<void, Free>> parts_;
};

/// Bytes per second that `threads` threads together read from memory, by passes over buffers larger than the
/// last cache: the fastest of those that fit into about 0.1 s, three at least.
double measure_bandwidth(int threads);

}  // namespace xdn
