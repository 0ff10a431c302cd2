#include "cli/child.h"

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>

#include "base/error.h"

namespace xdn::cli {
namespace {

constexpr int kNotFound = 127;  ///< a shell's code for it

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> out;
  for (std::string& word : words) out.push_back(word.data());
  out.push_back(nullptr);
  return out;
}

[[noreturn]] void cannot_start(const std::string& program, int error) {
  if (error == ENOENT) {
    throw failure("is not there: training needs libtorch, which this xdn was built without").in_file(program);
  }
  throw failure(std::string("cannot be started: ") + std::strerror(error)).in_file(program);
}

std::vector<std::string> with_program(const std::string& program, const std::vector<std::string>& words) {
  std::vector<std::string> out{program};
  out.insert(out.end(), words.begin(), words.end());
  return out;
}

}  // namespace

std::string program_beside(const std::string& name) {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  return (self.parent_path() / name).string();
}

void become_program(const std::string& program, const std::vector<std::string>& words) {
  std::vector<std::string> own = with_program(program, words);
  execv(program.c_str(), pointers(own).data());
  cannot_start(program, errno);
}

int run_child(const std::string& program, const std::vector<std::string>& words, bool stdout_to_stderr) {
  if (access(program.c_str(), X_OK) != 0) cannot_start(program, errno);
  std::fflush(stdout);
  std::vector<std::string> own = with_program(program, words);
  const std::vector<char*> argv = pointers(own);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) throw failure(std::string("cannot start a process: ") + std::strerror(errno));
  if (child == 0) {
    // Two of them in one run folder would wait for each other: it must not outlive this process.
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(kNotFound);
    if (stdout_to_stderr) dup2(STDERR_FILENO, STDOUT_FILENO);
    execv(argv[0], argv.data());
    _exit(kNotFound);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) throw failure(std::string("lost a process: ") + std::strerror(errno));
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == kNotFound) cannot_start(program, ENOEXEC);
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  throw failure(fmt::format("training was ended by signal {}", WTERMSIG(status)));
}

}  // namespace xdn::cli
