#include "base/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/error.h"

namespace xdn {
namespace {

std::string parent_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

[[noreturn]] void fail(const std::string& path, const char* what) {
  throw failure(std::string(what) + ": " + std::strerror(errno)).in_file(path);
}

/// Makes the rename itself durable. Some file systems refuse to sync a folder; the data is safe by then.
void sync_folder(const std::string& path) {
  const int fd = open(parent_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  (void)fsync(fd);
  close(fd);
}

}  // namespace

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)), temporary_(path_ + ".tmp-XXXXXX") {
  // A file without a name leaves nothing behind, however the process ends. Not every file system has them,
  // and they are named through /proc.
  if (access("/proc/self/fd", F_OK) == 0)
    fd_ = open(parent_of(path_).c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
  named_ = fd_ < 0;
  if (!named_) return;
  fd_ = mkostemp(temporary_.data(), O_CLOEXEC);
  if (fd_ < 0) fail(path_, "cannot create");
  const mode_t mask = umask(0);
  umask(mask);
  (void)fchmod(fd_, 0666 & ~mask);
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  close(fd_);
  if (named_) unlink(temporary_.c_str());
}

/// Gives the complete file a name, since only names can be renamed over what is there.
void AtomicFile::give_name() {
  constexpr int kTries = 100;
  const std::string self = "/proc/self/fd/" + std::to_string(fd_);
  const std::string stem = path_ + ".tmp-" + std::to_string(getpid()) + "-";
  for (int i = 0; i < kTries; ++i) {
    temporary_ = stem + std::to_string(i);
    if (linkat(AT_FDCWD, self.c_str(), AT_FDCWD, temporary_.c_str(), AT_SYMLINK_FOLLOW) == 0) {
      named_ = true;
      return;
    }
    if (errno != EEXIST) break;
  }
  fail(path_, "cannot create");
}

void AtomicFile::write(const void* data, size_t bytes) {
  const char* p = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = ::write(fd_, p, bytes);
    if (written < 0) {
      if (errno == EINTR) continue;
      fail(path_, "cannot write");
    }
    p += written;
    bytes -= static_cast<size_t>(written);
  }
}

void AtomicFile::commit() {
  if (fsync(fd_) != 0) fail(path_, "cannot sync");
  if (!named_) give_name();
  if (rename(temporary_.c_str(), path_.c_str()) != 0) fail(path_, "cannot rename into place");
  close(fd_);
  fd_ = -1;
  sync_folder(path_);
}

std::string read_file(const std::string& path, size_t limit) {
  const auto refuse = [&](const char* what) -> Error {
    return input_error(std::string(what) + ": " + std::strerror(errno)).in_file(path);
  };
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a FIFO must not block
  if (fd < 0) throw refuse("cannot open");
  struct Closer {
    int fd;
    ~Closer() { close(fd); }
  } closer{fd};
  struct stat info;
  if (fstat(fd, &info) != 0) throw refuse("cannot stat");
  if (S_ISDIR(info.st_mode)) throw input_error("is a folder, expected a file").in_file(path);
  if (!S_ISREG(info.st_mode)) throw input_error("is not a regular file").in_file(path);
  if (static_cast<size_t>(info.st_size) > limit) {
    throw input_error("is larger than the limit of " + std::to_string(limit) + " bytes").in_file(path);
  }
  std::string text(static_cast<size_t>(info.st_size), '\0');
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t got = read(fd, text.data() + done, text.size() - done);
    if (got < 0) {
      if (errno == EINTR) continue;
      throw refuse("cannot read");
    }
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  text.resize(done);
  return text;
}

}  // namespace xdn
