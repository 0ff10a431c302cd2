#pragma once

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

}  // namespace xdn::cli
