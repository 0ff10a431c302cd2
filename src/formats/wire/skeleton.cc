#include "formats/wire/skeleton.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>

#include "base/error.h"

namespace xdn {

namespace pb = google::protobuf;
using Wire = pb::internal::WireFormatLite;

namespace {

/// In place of a field that is left in the file stands this one, which no schema has: field number and index
/// into the parts. A file's own fields of that number are dropped.
constexpr int kPartField = (1 << 29) - 1;
/// Longer than what stands in for it, so that a skeleton is never larger than its file.
constexpr int kLeastBytesLeft = 64;

uint64_t part_reference(int field, size_t index) {
  return static_cast<uint64_t>(field) << 32 | static_cast<uint64_t>(index);
}

Error cannot_read(int reason) { return input_error(std::string("cannot be read: ") + std::strerror(reason)); }

template <class Entries>
auto find_field(const Entries& entries, int field) {
  const auto found =
      std::find_if(entries.begin(), entries.end(), [&](const auto& entry) { return entry.field == field; });
  return found == entries.end() ? nullptr : &*found;
}

}  // namespace

/// Walks through the file once.
class SkeletonScanner {
 public:
  using State = Skeleton::State;

  SkeletonScanner(Skeleton& skeleton, pb::io::CodedInputStream& in, int most_fields)
      : skeleton_(skeleton), in_(in), most_fields_(most_fields) {}

  /// Up to the innermost limit.
  State scan(const SkeletonRule& rule, std::string& bytes) {
    pb::io::StringOutputStream sink(&bytes);
    pb::io::CodedOutputStream out(&sink);
    std::vector<Pending> pending;
    while (const uint32_t tag = in_.ReadTag()) {
      if (rule.counted && ++fields_ > most_fields_) return State::kTooManyFields;
      const int field = Wire::GetTagFieldNumber(tag);
      const bool delimited = Wire::GetTagWireType(tag) == Wire::WIRETYPE_LENGTH_DELIMITED;
      if (const auto* left = find_field(rule.left, field)) {
        const bool again = keep_earlier(pending, field, out);
        if (delimited ? !leave(*left, again, pending, out) : !Wire::SkipField(&in_, tag, &out))
          return State::kDamaged;
        if (!again && (pending.empty() || pending.back().field != field)) pending.push_back({field, {}});
      } else if (const auto* inside = delimited ? find_field(rule.inside, field) : nullptr) {
        const State state = descend(tag, *inside->rule, out);
        if (state != State::kWhole) return state;
      } else if (field == kPartField) {
        if (!Wire::SkipField(&in_, tag)) return State::kDamaged;
      } else if (!Wire::SkipField(&in_, tag, &out)) {
        return State::kDamaged;
      }
    }
    if (!in_.ConsumedEntireMessage()) return State::kDamaged;
    for (const Pending& entry : pending) {
      if (entry.part.bytes == 0) continue;
      out.WriteTag(Wire::MakeTag(kPartField, Wire::WIRETYPE_FIXED64));
      out.WriteLittleEndian64(part_reference(entry.field, skeleton_.parts_.size()));
      skeleton_.parts_.push_back(entry.part);
    }
    return State::kWhole;
  }

 private:
  /// A field met before; no bytes once the message holds it.
  struct Pending {
    int field;
    FilePart part;
  };

  /// Whether the field was met before; then what was left of it in the file goes into the message after all,
  /// since pieces must keep their order.
  bool keep_earlier(std::vector<Pending>& pending, int field, pb::io::CodedOutputStream& out) {
    const auto found = std::find_if(pending.begin(), pending.end(),
                                    [&](const Pending& entry) { return entry.field == field; });
    if (found == pending.end()) return false;
    if (found->part.bytes != 0) copy(field, found->part, out);
    found->part = {};
    return true;
  }

  void copy(int field, FilePart part, pb::io::CodedOutputStream& out) {
    out.WriteTag(Wire::MakeTag(field, Wire::WIRETYPE_LENGTH_DELIMITED));
    out.WriteVarint32(static_cast<uint32_t>(part.bytes));
    std::array<char, 1 << 16> chunk;
    while (part.bytes > 0) {
      const int64_t bytes = std::min<int64_t>(part.bytes, chunk.size());
      skeleton_.read({part.offset, bytes}, chunk.data());
      out.WriteRaw(chunk.data(), static_cast<int>(bytes));
      part.offset += bytes;
      part.bytes -= bytes;
    }
  }

  /// One piece of a field; false where it is damaged.
  bool leave(const SkeletonRule::Left& left, bool again, std::vector<Pending>& pending,
             pb::io::CodedOutputStream& out) {
    int length = 0;
    if (!read_length(length) || static_cast<size_t>(length) % left.element_bytes != 0) return false;
    const FilePart part{in_.CurrentPosition(), length};
    if (!in_.Skip(length)) return false;
    if (again || length < kLeastBytesLeft) {
      copy(left.field, part, out);
    } else {
      pending.push_back({left.field, part});
    }
    return true;
  }

  State descend(uint32_t tag, const SkeletonRule& rule, pb::io::CodedOutputStream& out) {
    int length = 0;
    if (!read_length(length)) return State::kDamaged;
    const auto limit = in_.PushLimit(length);
    std::string inner;
    const State state = scan(rule, inner);
    if (state != State::kWhole) return state;
    if (in_.BytesUntilLimit() != 0) return State::kDamaged;
    in_.PopLimit(limit);
    out.WriteTag(tag);
    out.WriteVarint32(static_cast<uint32_t>(inner.size()));
    out.WriteString(inner);
    return State::kWhole;
  }

  bool read_length(int& length) {
    return in_.ReadVarintSizeAsInt(&length) && length <= in_.BytesUntilLimit();
  }

  Skeleton& skeleton_;
  pb::io::CodedInputStream& in_;
  const int most_fields_;
  int fields_ = 0;
};

Skeleton::Skeleton(FileDescriptor fd, int64_t file_bytes, const SkeletonRule& rule, SkeletonLimits limits)
    : fd_(std::move(fd)) {
  XDN_CHECK(file_bytes <= std::numeric_limits<int>::max());
  pb::io::FileInputStream stream(fd_.get(), 1 << 14);
  pb::io::CodedInputStream in(&stream);
  in.SetRecursionLimit(limits.depth);
  in.PushLimit(static_cast<int>(file_bytes));
  state_ = SkeletonScanner(*this, in, limits.fields).scan(rule, bytes_);
  stopped_at_ = in.CurrentPosition();
  if (stream.GetErrno() != 0) throw cannot_read(stream.GetErrno());
}

std::optional<FilePart> Skeleton::part_of(const std::string& unknown_fields, int field, bool held) const {
  pb::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(unknown_fields.data()),  // NOLINT
                              static_cast<int>(unknown_fields.size()));
  std::optional<FilePart> found;
  while (const uint32_t tag = in.ReadTag()) {
    if (tag != Wire::MakeTag(kPartField, Wire::WIRETYPE_FIXED64)) {
      if (!Wire::SkipField(&in, tag)) break;
      continue;
    }
    uint64_t reference = 0;
    if (!in.ReadLittleEndian64(&reference)) break;
    if (reference >> 32 != static_cast<uint64_t>(field)) continue;
    const size_t index = reference & 0xFFFFFFFF;
    if (found || held || index >= parts_.size())
      throw input_error("holds its elements in pieces, which is not supported");
    found = parts_[index];
  }
  return found;
}

void Skeleton::read(const FilePart& part, void* dst) const {
  auto* at = static_cast<std::byte*>(dst);
  for (int64_t done = 0; done < part.bytes;) {
    const ssize_t got = ::pread(fd_.get(), at + done, static_cast<size_t>(part.bytes - done),
                                static_cast<off_t>(part.offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw cannot_read(errno);
    if (got == 0) throw input_error("cannot be read: it has become shorter");
    done += got;
  }
}

}  // namespace xdn
