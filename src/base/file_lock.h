#pragma once

#include <string>

namespace xdn {

/// An exclusive lock on a file, which is created where it is missing and stays. It ends with the object or
/// the process.
class FileLock {
 public:
  /// Waits two seconds for it: a process that was killed holds its locks until the last of its memory is
  /// gone. held() is false where another process keeps it. Throws an input error where the file cannot be
  /// created.
  explicit FileLock(const std::string& path);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  bool held() const { return held_; }

 private:
  int fd_ = -1;
  bool held_ = false;
};

}  // namespace xdn
