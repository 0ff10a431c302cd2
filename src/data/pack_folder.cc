#include "data/pack_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <vector>

#include "base/error.h"
#include "data/pack.h"

namespace xdn {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTemporary = ".tmp-";

[[noreturn]] void fail(const std::string& path, const std::string& what, int error) {
  throw failure(what + ": " + std::strerror(error)).in_file(path);
}

bool is_pack_file(const std::string& name) {
  return name == kPackImages || name == kPackLabels || name == kPackJson;
}

/// Throws unless a pack may be put at path.
void check_replaceable(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::symlink_status(path, error);
  if (status.type() == fs::file_type::not_found) return;
  if (status.type() != fs::file_type::directory) {
    throw input_error("exists and is no folder; only a pack can be replaced").in_file(path);
  }
  bool empty = true, pack = false;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!is_pack_file(name)) {
      throw input_error("holds '" + printable(name) +
                        "', which belongs to no pack; only a pack can be replaced")
          .in_file(path);
    }
    empty = false;
    pack = pack || name == kPackJson;
  }
  if (error) throw input_error("cannot read the folder: " + error.message()).in_file(path);
  if (!empty && !pack) throw input_error("has no pack.json; only a pack can be replaced").in_file(path);
}

/// Removes a folder of ours: the files of a pack, whole or still under a temporary name, and nothing else.
void remove_pack(const std::string& path) {
  std::error_code error;
  std::vector<fs::path> ours;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (is_pack_file(name.substr(0, name.find(kTemporary)))) ours.push_back(it->path());
  }
  for (const fs::path& file : ours) unlink(file.c_str());
  rmdir(path.c_str());
}

/// What killed runs left: temporary folders of this pack that nobody has locked.
void remove_stale(const std::string& path) {
  const std::string prefix = fs::path(path).filename().string() + kTemporary;
  std::error_code error;
  std::vector<std::string> stale;
  for (fs::directory_iterator it(fs::path(path).parent_path(), error), end; !error && it != end;
       it.increment(error)) {
    if (it->path().filename().string().starts_with(prefix)) stale.push_back(it->path().string());
  }
  for (const std::string& folder : stale) {
    const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) continue;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) remove_pack(folder);
    close(fd);
  }
}

void sync_folder(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  (void)fsync(fd);  // some file systems refuse; their renames are durable or not, whatever we do
  close(fd);
}

}  // namespace

std::string PackFolder::normal_path(const std::string& dir) {
  std::error_code error;
  fs::path path = fs::weakly_canonical(fs::absolute(dir, error), error);
  if (error) throw input_error("cannot be resolved: " + error.message()).in_file(dir);
  if (path.filename().empty()) path = path.parent_path();
  if (dir.empty() || path.filename().empty()) throw input_error("is no name for a pack").in_file(dir);
  return path.string();
}

PackFolder::PackFolder(const std::string& dir) : path_(normal_path(dir)) {
  check_replaceable(path_);
  remove_stale(path_);
  create_temporary();
}

PackFolder::~PackFolder() { remove_temporary(); }

/// Somebody's remove_stale() may take the folder between its making and its locking: then another is made.
void PackFolder::create_temporary() {
  constexpr int kAttempts = 1000;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    temporary_ = path_ + kTemporary + std::to_string(getpid()) + "-" + std::to_string(attempt);
    if (mkdir(temporary_.c_str(), 0777) != 0) {
      if (errno == EEXIST) continue;
      fail(path_, "cannot create", errno);
    }
    lock_ = open(temporary_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat info;
    if (lock_ >= 0 && flock(lock_, LOCK_EX | LOCK_NB) == 0 && fstat(lock_, &info) == 0 && info.st_nlink != 0)
      return;
    remove_temporary();
  }
  throw failure("cannot create: too many temporary folders beside it").in_file(path_);
}

void PackFolder::remove_temporary() {
  if (!temporary_.empty()) remove_pack(temporary_);
  temporary_.clear();
  if (lock_ >= 0) close(lock_);
  lock_ = -1;
}

void PackFolder::commit() {
  (void)fsync(lock_);
  check_replaceable(path_);
  if (rename(temporary_.c_str(), path_.c_str()) == 0) {
    temporary_.clear();
  } else if (errno == ENOTEMPTY || errno == EEXIST) {
    // The old pack gets the temporary name and goes with it.
    if (renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, path_.c_str(), RENAME_EXCHANGE) != 0) {
      if (errno != EINVAL && errno != ENOSYS) fail(path_, "cannot rename into place", errno);
      const std::string old = temporary_ + "-old";
      if (rename(path_.c_str(), old.c_str()) != 0) fail(path_, "cannot rename", errno);
      if (rename(temporary_.c_str(), path_.c_str()) != 0) {
        const int error = errno;
        (void)rename(old.c_str(), path_.c_str());
        fail(path_, "cannot rename into place", error);
      }
      temporary_ = old;
    }
  } else {
    fail(path_, "cannot rename into place", errno);
  }
  sync_folder(fs::path(path_).parent_path().string());
  remove_temporary();
}

WritableMap::WritableMap(std::string path, size_t bytes) : path_(std::move(path)), bytes_(bytes) {
  fd_ = open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd_ < 0) fail(path_, "cannot create", errno);
  int error = posix_fallocate(fd_, 0, static_cast<off_t>(bytes));
  if (error == 0) {
    void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
    if (p != MAP_FAILED) {
      data_ = static_cast<uint8_t*>(p);
      return;
    }
    error = errno;
  }
  close(fd_);
  fail(path_, "cannot reserve " + std::to_string(bytes) + " bytes", error);
}

WritableMap::~WritableMap() {
  munmap(data_, bytes_);
  close(fd_);
}

void WritableMap::sync() const {
  if (msync(data_, bytes_, MS_SYNC) != 0 || fsync(fd_) != 0) fail(path_, "cannot write", errno);
}

}  // namespace xdn
