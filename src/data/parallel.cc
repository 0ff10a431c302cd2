#include "data/parallel.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "base/cpu.h"
#include "base/error.h"

namespace xdn {
namespace {

/// Images a worker claims at a time: enough that claiming costs nothing beside decoding 32 x 32 JPEGs, few
/// enough that large images still spread evenly.
constexpr int64_t kChunk = 16;
constexpr int kMaxWorkers = 256;

class Workers {
 public:
  Workers(int64_t total, const std::function<void(int64_t)>& image) : total_(total), image_(image) {}
  ~Workers() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
  }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  void run(int workers, const std::function<void(int64_t, int64_t)>& progress) {
    for (int i = 0; i < workers; ++i) {
      running_.fetch_add(1);
      try {
        threads_.emplace_back([this] { work(); });
      } catch (const std::system_error&) {
        running_.fetch_sub(1);
        if (threads_.empty()) throw failure("cannot start a thread");
        break;
      }
    }
    std::unique_lock lock(mutex_);
    while (!finished_.wait_for(lock, std::chrono::milliseconds(100), [this] { return running_ == 0; })) {
      if (!progress) continue;
      lock.unlock();
      progress(done_.load(), total_);
      lock.lock();
    }
    if (error_) std::rethrow_exception(error_);
    lock.unlock();
    if (progress) progress(total_, total_);
  }

 private:
  void work() {
    try {
      while (!stop_) {
        const int64_t first = next_.fetch_add(kChunk);
        if (first >= total_) break;
        const int64_t last = std::min(first + kChunk, total_);
        for (int64_t i = first; i < last; ++i) image_(i);
        done_ += last - first;
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!error_) error_ = std::current_exception();
      stop_ = true;
    }
    const std::lock_guard lock(mutex_);
    running_.fetch_sub(1);
    finished_.notify_all();
  }

  const int64_t total_;
  const std::function<void(int64_t)>& image_;
  std::vector<std::thread> threads_;
  std::atomic<int64_t> next_{0}, done_{0};
  std::atomic<int> running_{0};
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::condition_variable finished_;
  std::exception_ptr error_;
};

}  // namespace

void for_each_image(int64_t total, const ImageWork& work, const std::function<void(int64_t)>& image) {
  const int workers = work.workers > 0 ? work.workers : available_cpus();
  Workers(total, image).run(std::min(workers, kMaxWorkers), work.progress);
}

}  // namespace xdn
