#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace xdn {

/// A fixed set of threads that run one function together. Between runs they spin for a bounded time, then
/// sleep.
class ThreadPool {
 public:
  /// size >= 1 threads in all; the caller of run() is thread 0.
  explicit ThreadPool(int size);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return static_cast<int>(threads_.size()) + 1; }
  /// Calls task(thread) on every thread, 0 ... size-1, and returns when all are done. Not reentrant.
  /// The task must not throw. Threads flush denormals while they are inside; the caller's mode is restored.
  void run(const std::function<void(int)>& task);

 private:
  void work(int index);

  std::vector<std::thread> threads_;
  const std::function<void(int)>* task_ = nullptr;
  std::atomic<uint32_t> generation_{0};
  std::atomic<int> running_{0};
  std::atomic<bool> stop_{false};
};

/// Lets `size` threads wait for each other; spins, and yields the processor when the wait is long.
class SpinBarrier {
 public:
  explicit SpinBarrier(int size) : size_(size) {}
  void wait();

 private:
  const int size_;
  std::atomic<int> arrived_{0};
  std::atomic<uint32_t> generation_{0};
};

/// Flush-to-zero and denormals-are-zero for this thread, until destruction.
class FlushDenormals {
 public:
  FlushDenormals();
  ~FlushDenormals();
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  uint32_t saved_;
};

}  // namespace xdn
