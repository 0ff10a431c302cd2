#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/file_lock.h"
#include "training/checkpoint.h"

namespace xdn::training {

/// Where a run keeps checkpoint.xdn and log.jsonl. One process at a time works in it.
class RunFolder {
 public:
  /// Creates the folder where it is missing. Throws an input error where another process holds it, or where
  /// it holds a checkpoint although nobody wants to resume.
  RunFolder(std::string path, bool resume);
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  const std::string& path() const { return path_; }
  /// The checkpoint to resume from; none: the run begins.
  std::optional<Checkpoint> load() const;
  void save(const Checkpoint& checkpoint) const;
  /// The log anew, line by line.
  void write_log(const std::vector<std::string>& lines) const;

 private:
  std::string checkpoint_path() const { return path_ + "/checkpoint.xdn"; }
  void remove_leftovers() const;

  std::string path_;
  bool resume_;
  std::optional<FileLock> lock_;
};

}  // namespace xdn::training
