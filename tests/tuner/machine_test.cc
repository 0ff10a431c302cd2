#include "tuner/machine.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "support/shared_data.h"

namespace xdn::tuner {
namespace {

using testing::TempDir;

constexpr const char* kInfo = "MemTotal:  100 kB\nMemFree:  1 kB\nMemAvailable:   2000 kB\n";

void put(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path) << text;
}

TEST(AvailableMemory, IsTheSystems) { EXPECT_EQ(available_memory(kInfo, "/nowhere", ""), 2000 * 1024); }

TEST(AvailableMemory, IsCutByTheGroupAndThoseAbove) {
  const TempDir dir;
  const std::string root = dir.path().string();
  put(dir / "a/memory.max", "1000000\n");
  put(dir / "a/memory.current", "700000\n");
  put(dir / "a/memory.stat", "anon 600000\ninactive_file 100000\n");
  put(dir / "a/b/memory.max", "max\n");
  put(dir / "a/b/memory.current", "5\n");
  EXPECT_EQ(available_memory(kInfo, root, "0::/a/b\n"), 400000);
  put(dir / "a/b/memory.max", "1000\n");
  EXPECT_EQ(available_memory(kInfo, root, "0::/a/b\n"), 995);
  put(dir / "a/b/memory.current", "2000\n");
  EXPECT_EQ(available_memory(kInfo, root, "0::/a/b\n"), 0);
}

TEST(AvailableMemory, KnowsVersionOne) {
  const TempDir dir;
  put(dir / "memory/x/memory.limit_in_bytes", "5000\n");
  put(dir / "memory/x/memory.usage_in_bytes", "1000\n");
  EXPECT_EQ(available_memory(kInfo, dir.path().string(), "3:cpu:/y\n4:hugetlb,memory:/x\n"), 4000);
}

TEST(AvailableMemory, OfThisProcessIsSomething) { EXPECT_GT(available_memory(), 1 << 20); }

TEST(CacheFolder, FollowsTheEnvironment) {
  setenv("XDG_CACHE_HOME", "/tmp/cache", 1);
  EXPECT_EQ(tuning_cache_folder(), "/tmp/cache/xdn/tuning");
  setenv("XDG_CACHE_HOME", "relative", 1);
  setenv("HOME", "/home/somebody", 1);
  EXPECT_EQ(tuning_cache_folder(), "/home/somebody/.cache/xdn/tuning");
  unsetenv("XDG_CACHE_HOME");
  unsetenv("HOME");
  EXPECT_EQ(tuning_cache_folder(), "");
}

}  // namespace
}  // namespace xdn::tuner
