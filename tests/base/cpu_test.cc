#include "base/cpu.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "support/shared_data.h"

namespace xdn {
namespace {

void put(const std::filesystem::path& file, const std::string& text) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file) << text << "\n";
}

TEST(CgroupQuota, VersionTwo) {
  const testing::TempDir dir;
  const std::string root = dir.path().string();
  EXPECT_EQ(cgroup_cpu_quota(root, "0::/a/b\n"), 0);
  put(dir.path() / "a/b/cpu.max", "max 100000");
  EXPECT_EQ(cgroup_cpu_quota(root, "0::/a/b\n"), 0);
  put(dir.path() / "a/cpu.max", "150000 100000");
  EXPECT_EQ(cgroup_cpu_quota(root, "0::/a/b\n"), 1.5) << "the parent's limit holds";
  put(dir.path() / "a/b/cpu.max", "50000 100000");
  EXPECT_EQ(cgroup_cpu_quota(root, "0::/a/b\n"), 0.5);
}

TEST(CgroupQuota, VersionTwoInsideAContainer) {
  const testing::TempDir dir;
  put(dir.path() / "cpu.max", "100000 100000");
  EXPECT_EQ(cgroup_cpu_quota(dir.path().string(), "0::/docker/0123\n"), 1);
  EXPECT_EQ(cgroup_cpu_quota(dir.path().string(), "0::/\n"), 1);
}

TEST(CgroupQuota, VersionOne) {
  const testing::TempDir dir;
  const std::string groups = "5:memory:/m\n4:cpu,cpuacct:/job\n1:name=systemd:/x\n";
  put(dir.path() / "cpu,cpuacct/job/cpu.cfs_quota_us", "-1");
  put(dir.path() / "cpu,cpuacct/job/cpu.cfs_period_us", "100000");
  EXPECT_EQ(cgroup_cpu_quota(dir.path().string(), groups), 0);
  put(dir.path() / "cpu,cpuacct/job/cpu.cfs_quota_us", "100000");
  EXPECT_EQ(cgroup_cpu_quota(dir.path().string(), groups), 1);
  put(dir.path() / "cpu/job/cpu.cfs_quota_us", "200000");
  put(dir.path() / "cpu/job/cpu.cfs_period_us", "50000");
  EXPECT_EQ(cgroup_cpu_quota(dir.path().string(), groups), 1) << "the smaller of both mounts";
}

TEST(AvailableCpus, AreCutByTheQuota) {
  const testing::TempDir two;
  put(two.path() / "one/cpu.max", "100000 100000");
  EXPECT_EQ(available_cpus(two.path().string(), "0::/one\n"), 1);
  put(two.path() / "half/cpu.max", "50000 100000");
  EXPECT_EQ(available_cpus(two.path().string(), "0::/half\n"), 1);
  EXPECT_EQ(available_cpus(two.path().string(), "0::/none\n"), available_cpus(two.path().string(), ""));
  const testing::TempDir one;
  put(one.path() / "cpu/job/cpu.cfs_quota_us", "100000");
  put(one.path() / "cpu/job/cpu.cfs_period_us", "100000");
  EXPECT_EQ(available_cpus(one.path().string(), "4:cpu:/job\n"), 1);
}

TEST(AvailableCpus, FollowsTheAffinityMask) {
  EXPECT_GE(available_cpus(), 1);
  int seen = 0;
  std::thread([&] {
    cpu_set_t all, one;
    CPU_ZERO(&all);
    CPU_ZERO(&one);
    ASSERT_EQ(sched_getaffinity(0, sizeof(all), &all), 0);
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &all)) {
        CPU_SET(cpu, &one);
        break;
      }
    }
    ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    seen = available_cpus();
  }).join();
  EXPECT_EQ(seen, 1);
}

}  // namespace
}  // namespace xdn
