#include "cli/child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <thread>

#include "base/error.h"
#include "base/file_descriptor.h"
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

namespace {

/// The program's process. `own_stdout`: a descriptor that becomes its stdout; -1: this process's.
pid_t start_child(const std::string& program, const std::vector<std::string>& words, int own_stdout,
                  bool interruptible) {
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
    // Shells start what is in the background with SIGINT ignored.
    if (interruptible) std::signal(SIGINT, SIG_DFL);
    if (getppid() == parent) {
      if (own_stdout >= 0) dup2(own_stdout, STDOUT_FILENO);
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
  if (started) return child;
  while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  cannot_start(program, error);
}

/// Whether the child has ended; waits for it, or only looks.
bool wait_for(pid_t child, int& status, bool look_only) {
  for (;;) {
    const pid_t got = waitpid(child, &status, look_only ? WNOHANG : 0);
    if (got >= 0) return got == child;
    if (errno != EINTR) throw failure(std::string("lost a process: ") + std::strerror(errno));
  }
}

}  // namespace

int run_child(const std::string& program, const std::vector<std::string>& words, bool stdout_to_stderr) {
  const pid_t child = start_child(program, words, stdout_to_stderr ? STDERR_FILENO : -1, false);
  int status = 0;
  (void)wait_for(child, status, false);
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  throw failure(fmt::format("was ended by signal {}", WTERMSIG(status))).in_file(program);
}

ChildEnd run_child(const std::string& program, const std::vector<std::string>& words,
                   const ChildLimits& limits) {
  using Seconds = std::chrono::duration<double>;
  constexpr auto kLook = std::chrono::milliseconds(20), kAsk = std::chrono::milliseconds(300);
  constexpr auto kGrace = std::chrono::seconds(5);
  FileDescriptor log;
  if (!limits.stdout_path.empty()) {
    log = FileDescriptor(open(limits.stdout_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
    if (log.get() < 0)
      throw failure(std::string("cannot write: ") + std::strerror(errno)).in_file(limits.stdout_path);
  }
  const pid_t child = start_child(program, words, log.get(), true);
  const auto start = std::chrono::steady_clock::now();
  auto asked = start, interrupted = start;
  ChildEnd end;
  int status = 0;
  for (; !wait_for(child, status, true); std::this_thread::sleep_for(kLook)) {
    const auto now = std::chrono::steady_clock::now();
    if (end.stopped) {
      if (now - interrupted > kGrace) kill(child, SIGKILL);
      continue;
    }
    end.stopped = Seconds(now - start).count() > limits.seconds;
    if (!end.stopped && limits.stop && now - asked > kAsk) {
      asked = now;
      end.stopped = limits.stop();
    }
    if (!end.stopped) continue;
    interrupted = now;
    kill(child, SIGINT);
  }
  end.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return end;
}

}  // namespace xdn::cli
