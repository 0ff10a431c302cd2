#pragma once

#include <charconv>
#include <cmath>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/error.h"
#include "base/tensor.h"
#include "graph/text_form.h"

namespace xdn::text_form {

/// Reads the text form token by token; white space and #-comments separate tokens. Errors name the line.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  [[noreturn]] void fail(const std::string& message) const {
    throw input_error("line " + std::to_string(line_) + ": " + message);
  }
  size_t line() const { return line_; }

  /// The next character that is no space, or 0 at the end.
  char peek() {
    skip_space();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool accept(char c) {
    if (peek() != c || at_ >= text_.size()) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail(std::string("expected '") + c + "', but found " + found());
  }
  bool at_end() {
    skip_space();
    return at_ >= text_.size();
  }

  /// A keyword, operator or attribute name; empty if there is none.
  std::string word() {
    skip_space();
    const size_t first = at_;
    while (at_ < text_.size() && is_word(text_[at_])) ++at_;
    return std::string(text_.substr(first, at_ - first));
  }
  /// word(), which must not be empty.
  std::string expect_word(const char* what) {
    std::string out = word();
    if (out.empty()) fail(std::string("expected ") + what + ", but found " + found());
    return out;
  }
  /// The word ahead, without consuming it, and the character right after it.
  std::pair<std::string, char> look_ahead() {
    skip_space();
    const size_t first = at_;
    std::string out = word();
    const char next = at_ < text_.size() ? text_[at_] : '\0';
    at_ = first;
    return {std::move(out), next};
  }

  std::string string() {
    expect('"');
    std::string out;
    for (;;) {
      if (at_ >= text_.size() || text_[at_] == '\n') fail("a string without a closing quote");
      char c = text_[at_++];
      if (c == '"') return out;
      if (c == '\\') c = escape();
      out += c;
    }
  }

  /// %name
  std::string reference() {
    expect('%');
    if (at_ < text_.size() && text_[at_] == '"') return string();
    const size_t first = at_;
    while (at_ < text_.size() && is_bare(text_[at_])) ++at_;
    if (at_ == first) fail("expected a name after '%', but found " + found());
    return std::string(text_.substr(first, at_ - first));
  }

  /// A number that T can hold.
  template <class T>
  T number() {
    if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
      return T(number<float>());
    } else if constexpr (std::is_same_v<T, bool>) {
      const auto value = number<int64_t>();
      if (value != 0 && value != 1) fail("expected 0 or 1, but found " + std::to_string(value));
      return value == 1;
    } else {
      skip_space();
      T value{};
      const char* first = text_.data() + at_;
      const char* last = text_.data() + text_.size();
      const auto [end, error] = std::from_chars(first, last, value);
      if (error == std::errc::result_out_of_range) fail("the number " + found() + " is out of range");
      if (error != std::errc() || (end != last && (is_word(*end) || *end == '.'))) {
        fail("expected " + std::string(std::is_floating_point_v<T> ? "a number" : "an integer") +
             ", but found " + found());
      }
      at_ += static_cast<size_t>(end - first);
      return value;
    }
  }

  bool boolean() {
    const std::string text = expect_word("true or false");
    if (text != "true" && text != "false") fail("expected true or false, but found '" + text + "'");
    return text == "true";
  }

  /// [1,2,3]; N stands for the free batch where it is allowed.
  Dims list(bool is_shape) {
    expect('[');
    Dims out;
    if (accept(']')) return out;
    do {
      if (out.size() >= kMostEntries)
        fail("a list of more than " + std::to_string(kMostEntries) + " entries");
      if (is_shape && accept('N')) {
        out.push_back(kBatch);
      } else {
        out.push_back(number<int64_t>());
        if (is_shape && out.back() < 0) fail("a negative extent");
      }
    } while (accept(','));
    expect(']');
    return out;
  }

  DType dtype() {
    const std::string text = expect_word("an element type");
    const auto parsed = parse_dtype(text);
    if (!parsed) fail("unknown element type '" + printable(text) + "'");
    return *parsed;
  }

  /// What stands at the current position, for messages.
  std::string found() {
    if (at_end()) return "the end of the text";
    size_t end = at_ + 1;
    while (end < text_.size() && end - at_ < 30 && is_bare(text_[end]) && is_bare(text_[at_])) ++end;
    return "'" + printable(std::string(text_.substr(at_, end - at_))) + "'";
  }

 private:
  static constexpr size_t kMostEntries = 64;

  static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  }

  void skip_space() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '#') {
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
      } else if (c == '\n') {
        ++line_;
        ++at_;
      } else if (c == ' ' || c == '\t' || c == '\r') {
        ++at_;
      } else {
        break;
      }
    }
  }

  char escape() {
    const char c = at_ < text_.size() ? text_[at_++] : '\0';
    if (c == '"' || c == '\\') return c;
    if (c == 'n') return '\n';
    if (c == 't') return '\t';
    unsigned value = 0;
    if (c == 'x' && at_ + 2 <= text_.size()) {
      const char* first = text_.data() + at_;
      if (std::from_chars(first, first + 2, value, 16).ptr == first + 2) {
        at_ += 2;
        return static_cast<char>(value);
      }
    }
    fail("unknown escape in a string");
  }

  std::string_view text_;
  size_t at_ = 0, line_ = 1;
};

}  // namespace xdn::text_form
