#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/file_lock.h"
#include "tuner/settings.h"

namespace xdn::tuner {

/// The finished trials of one search, one JSON object a line in FOLDER/journal.jsonl, each on the disk before
/// add() returns. The first line says whose search it is. What a kill left of a last line is cut off.
class Journal {
 public:
  /// Continues the journal there if it is of the same search and that has not ended; begins anew otherwise,
  /// and always without `resume`. One process at a time works in the folder, which is created: input error
  /// where another one does.
  Journal(const std::string& folder, Json search, bool resume);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// The trial of that name, or null.
  const Json* find(const std::string& key) const;
  void add(const std::string& key, Json trial);
  /// The search has its result: nothing is left to continue.
  void end();

  size_t size() const { return trials_.size(); }
  /// Seconds that the search had taken at its last trial ("at"), 0 at the beginning.
  double spent() const;
  /// Trials that were there when the journal was opened.
  size_t resumed() const { return resumed_; }
  const std::string& path() const { return path_; }

 private:
  bool read(const Json& search);
  void write_line(const Json& json);

  std::string path_;
  std::optional<FileLock> lock_;
  std::map<std::string, Json> trials_;
  size_t resumed_ = 0;
  int fd_ = -1;
};

}  // namespace xdn::tuner
