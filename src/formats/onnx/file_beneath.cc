#include "formats/onnx/file_beneath.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "base/error.h"

namespace xdn::onnx_io {
namespace {

/// O_NONBLOCK: opening a FIFO must not wait for its writer; regular files ignore it.
constexpr int kReadFlags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

[[noreturn]] void refuse(const std::string& location, const std::string& reason) {
  throw input_error("external data '" + printable(location) + "' " + reason);
}

std::vector<std::string> split_path(const std::string& path) {
  std::vector<std::string> parts(1);
  for (const char c : path) {
    if (c == '/') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

/// The components of a location that stays beneath its folder.
std::vector<std::string> checked_components(const std::string& location) {
  constexpr size_t kLongestPath = 4096;
  if (location.empty()) refuse(location, "has no location");
  if (location.size() > kLongestPath) refuse(location, "has a path that is too long");
  if (location.front() == '/')
    refuse(location, "is an absolute path; expected a path beneath the model's folder");
  if (location.find('\0') != std::string::npos) refuse(location, "has a zero byte in its path");
  std::vector<std::string> parts;
  for (std::string& part : split_path(location)) {
    if (part == "..") refuse(location, "leaves the model's folder");
    if (!part.empty() && part != ".") parts.push_back(std::move(part));
  }
  if (parts.empty()) refuse(location, "is a folder, expected a file");
  return parts;
}

FileDescriptor open_folder(const std::string& folder) {
  FileDescriptor fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) throw input_error("cannot open folder '" + printable(folder) + "': " + std::strerror(errno));
  return fd;
}

[[noreturn]] void refuse_open(const std::string& location, int error) {
  if (error == ELOOP) refuse(location, "is or goes through a symbolic link, which is not followed");
  if (error == EXDEV) refuse(location, "leaves the model's folder");
  refuse(location, std::string("cannot be opened: ") + std::strerror(error));
}

OpenedFile checked_file(FileDescriptor fd, const std::string& location) {
  struct stat info;
  if (fstat(fd.get(), &info) != 0) refuse(location, std::string("cannot be read: ") + std::strerror(errno));
  if (S_ISDIR(info.st_mode)) refuse(location, "is a folder, expected a file");
  if (!S_ISREG(info.st_mode)) refuse(location, "is not a regular file");
  return {std::move(fd), static_cast<int64_t>(info.st_size)};
}

OpenedFile walk(const std::string& folder, const std::vector<std::string>& parts,
                const std::string& location) {
  FileDescriptor at = open_folder(folder);
  for (size_t i = 0; i < parts.size(); ++i) {
    const bool last = i + 1 == parts.size();
    const int flags = last ? kReadFlags | O_NOFOLLOW : O_PATH | O_CLOEXEC | O_NOFOLLOW;
    FileDescriptor next(openat(at.get(), parts[i].c_str(), flags));
    if (!next) refuse_open(location, errno);
    if (!last) {
      // O_PATH with O_NOFOLLOW opens a link itself; only a real folder may be walked on from.
      struct stat info;
      if (fstat(next.get(), &info) != 0) refuse_open(location, errno);
      if (S_ISLNK(info.st_mode)) refuse_open(location, ELOOP);
      if (!S_ISDIR(info.st_mode)) refuse_open(location, ENOTDIR);
    }
    at = std::move(next);
  }
  return checked_file(std::move(at), location);
}

}  // namespace

OpenedFile open_beneath(const std::string& folder, const std::string& location) {
  const std::vector<std::string> parts = checked_components(location);
  const FileDescriptor root = open_folder(folder);
  open_how how{};
  how.flags = static_cast<decltype(how.flags)>(kReadFlags);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  FileDescriptor fd(static_cast<int>(syscall(SYS_openat2, root.get(), location.c_str(), &how, sizeof(how))));
  if (!fd) {
    // EPERM: what older container sandboxes answer to system calls they do not know. EAGAIN: a rename raced.
    if (errno == ENOSYS || errno == EPERM || errno == EAGAIN) return walk(folder, parts, location);
    refuse_open(location, errno);
  }
  return checked_file(std::move(fd), location);
}

OpenedFile open_beneath_by_walking(const std::string& folder, const std::string& location) {
  return walk(folder, checked_components(location), location);
}

void read_at(const OpenedFile& file, const std::string& location, int64_t offset, void* dst, size_t bytes) {
  char* p = static_cast<char*>(dst);
  while (bytes > 0) {
    const ssize_t got = pread(file.fd.get(), p, bytes, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) refuse(location, std::string("cannot be read: ") + std::strerror(errno));
    if (got == 0) refuse(location, "ends too early");
    p += got;
    offset += got;
    bytes -= static_cast<size_t>(got);
  }
}

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace xdn::onnx_io
