#pragma once

#include <exception>
#include <string>

namespace xdn {

/// What went wrong, for whoever must act on it: the user (input, usage) or the machine (failure).
enum class ErrorKind {
  kInput,    ///< a file, model, image or request that cannot be used as it is; exit code 2
  kUsage,    ///< a wrong command line; exit code 2
  kFailure,  ///< the machine could not do it: disk full, out of memory, a peer that died; exit code 1
};

/// A user's error. what() is one line: "FILE: layer 'NAME': MESSAGE", context being added on the way up.
/// Bugs are not errors: they go to XDN_CHECK.
class Error : public std::exception {
 public:
  Error(ErrorKind kind, std::string message);

  /// Adds the file, or the layer, unless an inner frame already did.
  Error& in_file(const std::string& file);
  Error& in_layer(const std::string& layer);

  ErrorKind kind() const { return kind_; }
  const std::string& message() const { return message_; }
  const std::string& file() const { return file_; }
  const std::string& layer() const { return layer_; }
  const char* what() const noexcept override { return line_.c_str(); }

 private:
  void compose();

  ErrorKind kind_;
  std::string message_, file_, layer_, line_;
};

/// Shorthand for Error(ErrorKind::kInput, message).
Error input_error(std::string message);
/// Shorthand for Error(ErrorKind::kFailure, message).
Error failure(std::string message);

/// Text from a file, made safe for one terminal line: control bytes and invalid UTF-8 become '?', and it is
/// cut at 200 bytes.
std::string printable(const std::string& untrusted);

[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace xdn

/// A condition that only a bug of ours can break; active in every build.
#define XDN_CHECK(condition)                                               \
  do {                                                                     \
    if (!(condition)) ::xdn::check_failed(#condition, __FILE__, __LINE__); \
  } while (false)
