#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/file_descriptor.h"

namespace xdn {

/// A run of bytes in a file.
struct FilePart {
  int64_t offset = 0, bytes = 0;
};

/// What a skeleton does with the fields of one kind of message. Those not named are kept as they are.
struct SkeletonRule {
  struct Left {
    int field;
    size_t element_bytes;
  };
  struct Inside {
    int field;
    const SkeletonRule* rule;
  };
  std::vector<Left> left;      ///< bytes, or packed numbers of element_bytes each, to be left in the file
  std::vector<Inside> inside;  ///< messages that this goes on in
  bool counted = true;         ///< the fields count towards SkeletonLimits::fields
};

struct SkeletonLimits {
  int depth;   ///< of groups; messages that no rule names are not looked into
  int fields;  ///< in all messages whose rule counts them
};

/// A protobuf message of up to 2 GiB in a file, without its bulk: the fields that the rules leave in the file
/// are read one by one, by whoever wants them, straight to where they shall be. Fields of a few bytes, and
/// ones that do not come in one piece, are kept in the message all the same.
class Skeleton {
 public:
  enum class State { kWhole, kDamaged, kTooManyFields };

  /// fd stands at the file's start. Throws an input error where the file cannot be read.
  Skeleton(FileDescriptor fd, int64_t file_bytes, const SkeletonRule& rule, SkeletonLimits limits);

  State state() const { return state_; }
  /// The byte at which damage showed.
  int64_t stopped_at() const { return stopped_at_; }
  /// The message, to be parsed; once, and only if whole.
  std::string take_bytes() { return std::move(bytes_); }

  /// Where in the file a field of a message out of take_bytes() lies; nothing if it was not left there.
  /// unknown_fields are the message's, in wire format, and held says whether the message holds that field
  /// itself. Throws an input error where merging has torn the field apart.
  std::optional<FilePart> part_of(const std::string& unknown_fields, int field, bool held) const;
  /// Throws an input error where the file has become shorter since.
  void read(const FilePart& part, void* dst) const;

 private:
  friend class SkeletonScanner;

  FileDescriptor fd_;
  State state_ = State::kDamaged;
  int64_t stopped_at_ = 0;
  std::string bytes_;
  std::vector<FilePart> parts_;
};

}  // namespace xdn
