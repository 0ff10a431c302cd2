#include "training/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <thread>

#include "base/atomic_file.h"
#include "base/error.h"

namespace xdn::training {

namespace fs = std::filesystem;

namespace {

/// A process that was killed holds its lock until the last of its memory is gone.
bool locked(int fd) {
  constexpr int kTries = 20;
  for (int i = 0; i < kTries; ++i) {
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return false;
}

}  // namespace

RunFolder::RunFolder(std::string path, bool resume) : path_(std::move(path)), resume_(resume) {
  std::error_code error;
  fs::create_directories(path_, error);
  if (!fs::is_directory(path_)) {
    throw input_error("cannot create the folder of the run: " + (error ? error.message() : "is a file"))
        .in_file(path_);
  }
  lock_ = open((path_ + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (lock_ < 0) throw input_error(std::string("cannot write: ") + std::strerror(errno)).in_file(path_);
  const bool busy = !locked(lock_);
  const bool taken = !resume_ && fs::exists(checkpoint_path(), error);
  if (busy || taken) {
    close(lock_);
    throw input_error(busy ? "is in use by another xdn train"
                           : "holds a run already: --resume continues it, --run DIR begins another")
        .in_file(path_);
  }
  remove_leftovers();
}

RunFolder::~RunFolder() { close(lock_); }

/// What a process left that was killed while it wrote.
void RunFolder::remove_leftovers() const {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(path_, ignored)) {
    const std::string name = entry.path().filename().string();
    for (const char* file : {"checkpoint.xdn", "log.jsonl", "plan.json"}) {
      if (name.starts_with(std::string(file) + ".tmp-")) fs::remove(entry.path(), ignored);
    }
  }
}

std::optional<Checkpoint> RunFolder::load() const {
  std::error_code ignored;
  if (!resume_ || !fs::exists(checkpoint_path(), ignored)) return std::nullopt;
  return read_checkpoint(checkpoint_path());
}

void RunFolder::save(const Checkpoint& checkpoint) const { write_checkpoint(checkpoint, checkpoint_path()); }

void RunFolder::write_log(const std::vector<std::string>& lines) const {
  AtomicFile file(path_ + "/log.jsonl");
  for (const std::string& line : lines) file.write(line + "\n");
  file.commit();
}

}  // namespace xdn::training
