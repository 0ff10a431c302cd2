#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/file_descriptor.h"

namespace xdn::experiment {

/// One thing that was done and need not be done again.
struct Record {
  std::string key;   ///< of everything that decides the result: command, models, program, machine
  std::string name;  ///< what was done, for people
  std::string run;   ///< which start of the program did it
  double wall = 0;   ///< seconds it took, all in all
  nlohmann::ordered_json result;
};

/// Finished measurements, a line of JSON each. Every line is on the disk before append() returns; what a kill
/// cut off is dropped when the file is opened again.
class Journal {
 public:
  /// Creates the file where it is missing. Errors name it.
  explicit Journal(const std::string& path);

  const std::vector<Record>& records() const { return records_; }
  /// Lines that could not be read, but for the one that was cut off.
  size_t damaged() const { return damaged_; }
  /// Results of that key, oldest first.
  std::vector<const Record*> find(const std::string& key) const;
  void append(Record record);

 private:
  std::string path_;
  FileDescriptor file_;
  std::vector<Record> records_;
  size_t damaged_ = 0;
};

}  // namespace xdn::experiment
