#pragma once

#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace xdn::cli {

/// The program of that name beside this one.
std::string program_beside(const std::string& name);

/// Throws what become_program throws where the program cannot be started.
void check_program(const std::string& program);

/// Becomes that program. Returns only by throwing: a failure naming it, where it is missing ("training needs
/// libtorch") or cannot be started.
[[noreturn]] void become_program(const std::string& program, const std::vector<std::string>& words);

/// Runs the program and waits for its exit code; what is not kDone, the program has explained on stderr. What
/// it prints on stdout goes to this process's stderr, if wanted. Ctrl-C reaches it as it reaches this
/// process, and it ends when this process dies in whatever way. Throws what become_program throws, and a
/// failure where a signal ended it.
int run_child(const std::string& program, const std::vector<std::string>& words, bool stdout_to_stderr);

/// How long a child may go on.
struct ChildLimits {
  double seconds = std::numeric_limits<double>::infinity();
  std::function<bool()> stop = {};  ///< asked a few times a second; true: it is over
  std::string stdout_path = {};     ///< what it prints for people goes to this file, behind what is there
};
struct ChildEnd {
  int code = 0;          ///< 128 + the signal, where one ended it
  bool stopped = false;  ///< by a limit
};
/// As run_child, but a child that reaches a limit gets what Ctrl-C would give it, and SIGKILL where that does
/// not end it within five seconds.
ChildEnd run_child(const std::string& program, const std::vector<std::string>& words,
                   const ChildLimits& limits);

}  // namespace xdn::cli
