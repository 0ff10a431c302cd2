#include "cli/child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "cli/process.h"

namespace xdn::cli {
namespace {

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

void check_program(const std::string& program) {
  if (access(program.c_str(), X_OK) != 0) cannot_start(program, errno);
}

void become_program(const std::string& program, const std::vector<std::string>& words) {
  std::vector<std::string> own = with_program(program, words);
  execv(program.c_str(), pointers(own).data());
  cannot_start(program, errno);
}

int run_child(const std::string& program, const std::vector<std::string>& words, bool stdout_to_stderr) {
  std::fflush(stdout);
  std::vector<std::string> own = with_program(program, words);
  const std::vector<char*> argv = pointers(own);
  int failed[2];  // says why the program could not be started; closed where it was
  if (pipe2(failed, O_CLOEXEC) != 0)
    throw failure(std::string("cannot make a pipe: ") + std::strerror(errno));
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) {
    // Two of them in one run folder would wait for each other: it must not outlive this process.
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() == parent) {
      if (stdout_to_stderr) dup2(STDERR_FILENO, STDOUT_FILENO);
      execv(argv[0], argv.data());
    }
    const int error = errno;
    (void)!write(failed[1], &error, sizeof(error));
    _exit(kFailed);
  }
  const int fork_error = errno;
  close(failed[1]);
  int error = 0;
  const bool started = child > 0 && read(failed[0], &error, sizeof(error)) != sizeof(error);
  close(failed[0]);
  if (child < 0) throw failure(std::string("cannot start a process: ") + std::strerror(fork_error));
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) throw failure(std::string("lost a process: ") + std::strerror(errno));
  }
  if (!started) cannot_start(program, error);
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  throw failure(fmt::format("was ended by signal {}", WTERMSIG(status))).in_file(program);
}

}  // namespace xdn::cli
