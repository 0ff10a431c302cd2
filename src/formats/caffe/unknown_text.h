#pragma once

#include <google/protobuf/descriptor.h>

#include <string>
#include <utility>
#include <vector>

namespace xdn {

/// The fields of a message in protobuf's text format that its schema does not know.
struct UnknownText {
  std::string own;  ///< "name: value" or "name { ... }", a line each
  /// The fields that are messages and known to the schema, in order, whatever they hold.
  std::vector<std::pair<std::string, UnknownText>> messages;

  bool empty() const;
};

/// text is one that the parser has accepted; what does not look like it ends the search.
UnknownText find_unknown_text(const std::string& text, const google::protobuf::Descriptor& schema);

/// `printed` (by protobuf's printer, a field per line) with the unknown fields put back: into the I-th
/// message of a name what was found in the I-th, and behind everything else where there is no such message.
std::string with_unknown_text(const std::string& printed, const UnknownText& unknown, size_t indent = 0);

}  // namespace xdn
