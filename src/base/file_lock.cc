#include "base/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "base/error.h"

namespace xdn {

FileLock::FileLock(const std::string& path) {
  constexpr int kTries = 20;
  constexpr std::chrono::milliseconds kPause(100);
  fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd_ < 0) throw input_error(std::string("cannot write: ") + std::strerror(errno)).in_file(path);
  for (int i = 0; i < kTries && !held_; ++i) {
    if (i > 0) std::this_thread::sleep_for(kPause);
    held_ = flock(fd_, LOCK_EX | LOCK_NB) == 0;
  }
}

FileLock::~FileLock() { close(fd_); }

}  // namespace xdn
