#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "executor/plan_support.h"
#include "support/nets.h"

namespace xdn::testing {
namespace {

Graph small_net() {
  NetBuilder net(1);
  return net.finish(net.conv(net.input(3, 8, 8), 3, 16, {3, 1, 1}));
}

int threads_of_this_process() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("Threads:", 0) == 0) return std::stoi(line.substr(8));
  }
  return 0;
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

TEST(ExecutorThreads, AreWhatTheAffinityMaskGives) {
  std::thread([] {
    cpu_set_t all, one;
    CPU_ZERO(&all);
    CPU_ZERO(&one);
    ASSERT_EQ(sched_getaffinity(0, sizeof(all), &all), 0);
    for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++cpu) {
      if (CPU_ISSET(cpu, &all)) CPU_SET(cpu, &one);
    }
    ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    const int before = threads_of_this_process();
    for (const int wanted : {0, 8}) {
      ExecOptions options;
      options.threads = wanted;
      const Executor executor(small_net(), options);
      EXPECT_EQ(executor.settings().data_parallel, 1);
      EXPECT_EQ(executor.settings().model_parallel, 1);
      EXPECT_EQ(threads_of_this_process(), before) << "the caller is the only worker";
    }
  }).join();
}

TEST(ExecutorThreads, AreAsManyAsSettingsSayAndEndWithIt) {
  const int before = threads_of_this_process();
  {
    ExecOptions options;
    options.threads = 2;
    const Executor executor(small_net(), options);
    EXPECT_EQ(threads_of_this_process() - before + 1,
              executor.settings().data_parallel * executor.settings().model_parallel);
  }
  EXPECT_EQ(threads_of_this_process(), before);
}

TEST(ExecutorThreads, SleepBetweenRuns) {
  for (const int mp : {1, 2}) {
    ExecOptions options;
    options.threads = 2;
    options.model_parallel = mp;
    const Graph graph = small_net();
    Executor executor(graph, options);
    run(executor, random_input(graph, 7, 1), 7);
    const double before = cpu_seconds();
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    EXPECT_LT(cpu_seconds() - before, 0.02);
  }
}

}  // namespace
}  // namespace xdn::testing
