#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace xdn {

/// A regular file, mapped read-only and whole; an empty file is an empty span. A file cut after it was opened
/// faults on access, so callers compare sizes with what the file says of itself before they map it.
class MappedFile {
 public:
  MappedFile() = default;
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  const std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace xdn
