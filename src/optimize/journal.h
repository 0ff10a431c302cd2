#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace xdn::optimize {

using Json = nlohmann::ordered_json;

/// SHA-256 of a file; empty where it cannot be read.
std::string digest_of(const std::string& path);

/// What a run has finished: a line of JSON each, synced before the next stage begins. The first line holds
/// the settings. A last line that was cut off is as if it had not been written; damage before it is an error.
class Journal {
 public:
  /// Opens or begins the file. Input error naming it where it is another run's (of other settings, the first
  /// of which is named), or damaged.
  Journal(std::string path, const Json& settings);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// The result of the stage, if it was finished with these inputs and its files are still what they were.
  const Json* find(const std::string& stage, const Json& inputs) const;
  /// `files`, relative to the journal's folder, are what the stage made. Throws a failure where the line
  /// cannot be written; the journal then is what it was.
  void finish(const std::string& stage, const Json& inputs, const std::vector<std::string>& files,
              const Json& result);

  /// What was decided before a stage began; the last word on this key.
  const Json* noted(const std::string& key) const;
  void note(const std::string& key, const Json& value);

 private:
  struct Record {
    Json inputs, result;
    std::map<std::string, std::string> files;  ///< digests
  };
  void open(const Json& settings);
  void replay(const Json& line);
  void append(const Json& line);
  std::string folder() const;

  std::string path_;
  int fd_ = -1;
  std::map<std::string, Record> records_;
  std::map<std::string, Json> notes_;
};

}  // namespace xdn::optimize
