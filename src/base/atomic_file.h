#pragma once

#include <cstddef>
#include <string>

namespace xdn {

/// A file that appears whole or not at all: bytes go to a temporary name in the same folder; commit() syncs
/// and renames it. Without commit() the temporary is removed. Errors are failure() naming the path.
class AtomicFile {
 public:
  explicit AtomicFile(std::string path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, size_t bytes);
  void write(const std::string& text) { write(text.data(), text.size()); }
  int fd() const { return fd_; }
  void commit();

 private:
  std::string path_, temporary_;
  int fd_ = -1;
};

/// The whole file. Input error if it cannot be read or is larger than limit bytes.
std::string read_file(const std::string& path, size_t limit = size_t{1} << 32);

}  // namespace xdn
