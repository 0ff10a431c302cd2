#pragma once

#include <cstdint>
#include <string>

namespace xdn {

/// A pack being written: a folder of a temporary name beside its final one, locked while in use. commit()
/// syncs it and puts it in place, atomically where the file system can exchange two names; otherwise the
/// destructor removes it. Input error where something is in the way that is neither a pack nor an empty
/// folder.
class PackFolder {
 public:
  explicit PackFolder(const std::string& dir);
  ~PackFolder();
  PackFolder(const PackFolder&) = delete;
  PackFolder& operator=(const PackFolder&) = delete;

  /// The path of a file in the temporary folder.
  std::string file(const char* name) const { return temporary_ + "/" + name; }
  void commit();

  /// Absolute, without "." and ".." and trailing slashes, links resolved. Input error if that names no folder
  /// that could be made.
  static std::string normal_path(const std::string& dir);

 private:
  void create_temporary();
  void remove_temporary();

  std::string path_, temporary_;
  int lock_ = -1;
};

/// A new file of a given size, mapped for writing; its blocks are reserved, so that a full disk is an error
/// here and not a signal at some later store.
class WritableMap {
 public:
  WritableMap(std::string path, size_t bytes);
  ~WritableMap();
  WritableMap(const WritableMap&) = delete;
  WritableMap& operator=(const WritableMap&) = delete;

  uint8_t* data() const { return data_; }
  /// Returns when the contents are on the disk.
  void sync() const;

 private:
  std::string path_;
  size_t bytes_;
  int fd_ = -1;
  uint8_t* data_ = nullptr;
};

}  // namespace xdn
