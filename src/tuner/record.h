#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "tuner/settings.h"

namespace xdn::tuner {

/// A model's files: what tells that they are the same without reading them, and their contents' digest.
struct ModelFiles {
  struct File {
    int64_t bytes = 0, modified_ns = 0;
    bool operator==(const File&) const = default;
  };
  std::vector<File> files;
  std::string sha256;  ///< of the files' SHA-256, one after another; empty: not computed yet
};
/// Without the digest. Input error where a file is missing.
ModelFiles stat_model(const std::vector<std::string>& paths);
/// Reads the files.
std::string hash_model(const std::vector<std::string>& paths);
int64_t total_bytes(const ModelFiles& model);

/// What settings were found for. All of it must be the same for them to count.
struct RecordKey {
  ModelFiles model;
  std::string cpu, isa;  ///< model name and best instruction set of the processor
  int threads = 0;
  std::string scenario, fusion;
  std::string isa_option;      ///< --isa, if it was given
  std::vector<int64_t> input;  ///< c, h, w
  int space = 0;
};
/// This machine, and space version.
RecordKey key_here();

struct RecordEntry {
  RecordKey key;
  Settings settings;
  bool defaults = false;  ///< nothing gained beyond noise: the executor's own choice stands
  double speedup = 1;
  Json found;  ///< for people: the search, when, times
};

/// A record holds the entries of several scenarios, thread counts and models. Reading throws an input error
/// naming the file where anything is missing, of another type or out of range.
std::vector<RecordEntry> read_record(const std::string& path);
/// Adds the entry, in place of one of the same key; entries of other contents of the same-named model go. A
/// record that cannot be read is replaced.
void write_record(const std::string& path, const RecordEntry& entry);

/// Why the entry does not count for the key: "for 4 threads, not 2"; empty: it does. The model's digest is
/// not looked at.
std::string why_foreign(const RecordKey& entry, const RecordKey& wanted);

/// Settings found in a record, or why there are none.
struct Lookup {
  std::optional<RecordEntry> entry;
  std::string note;          ///< why what is there was ignored
  bool other_model = false;  ///< the entry is for other contents
};
/// The entry of that key. `paths` are the model's files, which are read only where their sizes and times are
/// not those in the record.
Lookup look_up(const std::string& record, const RecordKey& wanted, const std::vector<std::string>& paths);

/// The record of these contents in the cache folder: FOLDER/BYTES-DIGEST.json.
std::string cached_record(const ModelFiles& model);
/// The records there of models of this size.
std::vector<std::string> cached_records(const ModelFiles& model);

}  // namespace xdn::tuner
