#include "base/atomic_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "support/shared_data.h"

namespace xdn {
namespace {

TEST(AtomicFile, AppearsWholeOrNotAtAll) {
  const testing::TempDir dir;
  const std::string path = (dir.path() / "out.bin").string();
  {
    AtomicFile file(path);
    file.write("half");
    EXPECT_FALSE(std::filesystem::exists(path));
  }
  EXPECT_TRUE(std::filesystem::is_empty(dir.path())) << "an abandoned file leaves nothing";
  {
    AtomicFile file(path);
    file.write("whole");
    file.commit();
  }
  EXPECT_EQ(read_file(path), "whole");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path()), {}), 1);
  struct stat info;
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0600u, 0600u);
}

TEST(AtomicFile, ReplacesAndKeepsTheOldFileUntilThen) {
  const testing::TempDir dir;
  const std::string path = (dir.path() / "f").string();
  std::ofstream(path) << "old";
  AtomicFile file(path);
  file.write("new");
  EXPECT_EQ(read_file(path), "old");
  file.commit();
  EXPECT_EQ(read_file(path), "new");
}

TEST(AtomicFile, LeavesNothingWhereTheProcessIsKilled) {
  const testing::TempDir dir;
  const int probe = open(dir.path().c_str(), O_TMPFILE | O_WRONLY, 0600);
  if (probe < 0) GTEST_SKIP() << "skipped: this file system has no files without names";
  close(probe);
  const std::string path = (dir.path() / "f").string();
  std::ofstream(path) << "old";
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    AtomicFile file(path);
    file.write("new");
    (void)kill(getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(read_file(path), "old");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path()), {}), 1);
}

TEST(AtomicFile, NamesThePathItCannotCreate) {
  try {
    AtomicFile file("/nonexistent-folder/x");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kFailure);
    EXPECT_NE(std::string(error.what()).find("/nonexistent-folder/x"), std::string::npos);
  }
}

TEST(ReadFile, RefusesFoldersMissingAndLargeFiles) {
  const testing::TempDir dir;
  EXPECT_THROW(read_file(dir.path().string()), Error);
  EXPECT_THROW(read_file((dir.path() / "none").string()), Error);
  const std::string path = (dir.path() / "f").string();
  std::ofstream(path) << "12345";
  EXPECT_THROW(read_file(path, 4), Error);
  EXPECT_EQ(read_file(path, 5), "12345");
}

}  // namespace
}  // namespace xdn
