#include "base/error.h"

#include <cstdio>
#include <cstdlib>

namespace xdn {

Error::Error(ErrorKind kind, std::string message) : kind_(kind), message_(std::move(message)) { compose(); }

Error& Error::in_file(const std::string& file) {
  if (file_.empty()) {
    file_ = file;
    compose();
  }
  return *this;
}

Error& Error::in_layer(const std::string& layer) {
  if (layer_.empty()) {
    layer_ = layer;
    compose();
  }
  return *this;
}

void Error::compose() {
  line_.clear();
  if (!file_.empty()) line_ += printable(file_) + ": ";
  if (!layer_.empty()) line_ += "layer '" + printable(layer_) + "': ";
  line_ += message_;
}

Error input_error(std::string message) { return Error(ErrorKind::kInput, std::move(message)); }
Error failure(std::string message) { return Error(ErrorKind::kFailure, std::move(message)); }

namespace {

/// Length of the valid UTF-8 sequence that starts at text[at], or 0.
size_t utf8_length(const std::string& text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(at);
  const size_t length = lead < 0x80   ? 1
                        : lead < 0xC2 ? 0
                        : lead < 0xE0 ? 2
                        : lead < 0xF0 ? 3
                        : lead < 0xF5 ? 4
                                      : 0;
  if (length == 0 || at + length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xC0u) != 0x80u) return 0;
  }
  return length;
}

}  // namespace

std::string printable(const std::string& untrusted) {
  constexpr size_t kLimit = 200;
  std::string out;
  for (size_t i = 0; i < untrusted.size();) {
    if (out.size() >= kLimit) return out + "...";
    const size_t length = utf8_length(untrusted, i);
    const auto lead = static_cast<unsigned char>(untrusted[i]);
    if (length == 0 || lead < 0x20 || lead == 0x7F) {
      out += '?';
      ++i;
    } else {
      out.append(untrusted, i, length);
      i += length;
    }
  }
  return out;
}

void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "xdn: internal error at %s:%d: %s does not hold; please report it\n", file, line,
               condition);
  std::abort();
}

}  // namespace xdn
