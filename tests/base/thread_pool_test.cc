#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <chrono>
#include <limits>
#include <thread>
#include <vector>

namespace xdn {
namespace {

TEST(ThreadPool, RunsEveryThreadOncePerRun) {
  ThreadPool pool(3);
  std::vector<int> counts(3, 0);
  const std::function<void(int)> task = [&](int thread) { ++counts[static_cast<size_t>(thread)]; };
  for (int i = 0; i < 2000; ++i) {
    pool.run(task);
    // Threads that have gone to sleep must wake up again.
    if (i % 500 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(counts, (std::vector<int>{2000, 2000, 2000}));
}

TEST(ThreadPool, OfOneRunsOnTheCaller) {
  ThreadPool pool(1);
  const auto caller = std::this_thread::get_id();
  pool.run([&](int) { EXPECT_EQ(std::this_thread::get_id(), caller); });
}

TEST(ThreadPool, FlushesDenormalsInsideOnly) {
  ThreadPool pool(2);
  std::vector<float> results(2, 1.0f);
  volatile float tiny = std::numeric_limits<float>::min();
  pool.run([&](int thread) { results[static_cast<size_t>(thread)] = tiny * 0.25f; });
#if defined(__x86_64__)
  EXPECT_EQ(results, (std::vector<float>{0, 0}));
#endif
  EXPECT_NE(tiny * 0.25f, 0.0f);
}

TEST(SpinBarrier, HoldsEveryoneUntilTheLastArrives) {
  constexpr int kThreads = 3, kRounds = 200;
  SpinBarrier barrier(kThreads);
  ThreadPool pool(kThreads);
  std::vector<int> progress(kThreads, 0);
  std::atomic<bool> torn{false};
  pool.run([&](int thread) {
    for (int round = 1; round <= kRounds; ++round) {
      progress[static_cast<size_t>(thread)] = round;
      barrier.wait();
      for (const int p : progress) {
        if (p != round) torn = true;
      }
      barrier.wait();
    }
  });
  EXPECT_FALSE(torn.load());
}

}  // namespace
}  // namespace xdn
