#pragma once

#include <string>
#include <vector>

namespace xdn::cli {

/// How a program ended that was run without a terminal.
struct QuietEnd {
  static constexpr int kNotStarted = 127;
  int code = 0;  ///< exit code; kNotStarted where it is not there; 128 + the signal that ended it
  bool timed_out = false;
  double seconds = 0;
  std::string out, err;  ///< what it printed: the last 64 KiB of each

  bool done() const { return code == 0; }
  /// Why it failed, in one line: the last one on stderr, else its exit code.
  std::string reason() const;
};

/// Runs words[0], looked up in PATH unless it has a slash, and waits; after most_seconds it is killed. Ctrl-C
/// reaches it as it reaches this process, and it is terminated when this process dies in whatever way. Throws
/// a failure only where the machine grants no process.
QuietEnd run_quiet(const std::vector<std::string>& words, double most_seconds);

}  // namespace xdn::cli
