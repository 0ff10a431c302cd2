#include "training/run_folder.h"

#include <filesystem>

#include "base/atomic_file.h"
#include "base/error.h"

namespace xdn::training {

namespace fs = std::filesystem;

RunFolder::RunFolder(std::string path, bool resume) : path_(std::move(path)), resume_(resume) {
  std::error_code error;
  fs::create_directories(path_, error);
  if (!fs::is_directory(path_)) {
    throw input_error("cannot create the folder of the run: " + (error ? error.message() : "is a file"))
        .in_file(path_);
  }
  lock_.emplace(path_ + "/lock");
  if (!lock_->held()) throw input_error("is in use by another xdn train").in_file(path_);
  if (!resume_ && fs::exists(checkpoint_path(), error)) {
    throw input_error("holds a run already: --resume continues it, --run DIR begins another").in_file(path_);
  }
  remove_leftovers();
}

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
