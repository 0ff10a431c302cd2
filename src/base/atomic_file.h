#pragma once

#include <cstddef>
#include <string>

namespace xdn {

/// A file that appears whole or not at all: bytes go to a file without a name (or, where the file system has
/// no such thing, with a temporary one) in the same folder; commit() syncs and renames it. Without commit()
/// nothing stays, even where the process is killed. Errors are failure() naming the path.
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
  void give_name();

  std::string path_, temporary_;
  int fd_ = -1;
  bool named_ = false;
};

/// The whole file. Input error if it cannot be read or is larger than limit bytes.
std::string read_file(const std::string& path, size_t limit = size_t{1} << 32);

}  // namespace xdn
