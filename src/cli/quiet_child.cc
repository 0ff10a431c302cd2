#include "cli/quiet_child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "base/error.h"
#include "base/file_descriptor.h"

namespace xdn::cli {
namespace {

constexpr size_t kMostText = 1 << 16;
constexpr int kLookMs = 100;  ///< between looks at the clock
constexpr int kEndMs = 2;     ///< between looks at a process that has closed its streams

struct Pipe {
  FileDescriptor reader, writer;

  Pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
      throw failure(std::string("cannot make a pipe: ") + std::strerror(errno));
    reader = FileDescriptor(ends[0]);
    writer = FileDescriptor(ends[1]);
  }
};

/// Appends what is there. False at the end of the stream.
bool drain(const FileDescriptor& from, std::string& text) {
  std::array<char, 16384> buffer;
  const ssize_t got = read(from.get(), buffer.data(), buffer.size());
  if (got < 0) return errno == EINTR || errno == EAGAIN;
  text.append(buffer.data(), static_cast<size_t>(got));
  if (text.size() > kMostText) text.erase(0, text.size() - kMostText);
  return got > 0;
}

[[noreturn]] void become(char* const* argv, pid_t parent, int out, int err) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (getppid() == parent && dup2(nothing, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
      dup2(err, STDERR_FILENO) >= 0) {
    execvp(argv[0], argv);
    const char* why = std::strerror(errno);
    (void)!write(STDERR_FILENO, why, std::strlen(why));
  }
  _exit(QuietEnd::kNotStarted);
}

}  // namespace

std::string QuietEnd::reason() const {
  if (timed_out) return fmt::format("did not end within {:.0f} s", seconds);
  size_t end = err.find_last_not_of("\n\r ");
  if (end == std::string::npos) return fmt::format("ended with code {}", code);
  ++end;
  const size_t begin = err.rfind('\n', end - 1);
  std::string line = err.substr(begin == std::string::npos ? 0 : begin + 1,
                                end - (begin == std::string::npos ? 0 : begin + 1));
  for (const std::string_view prefix : {"xdn: ", "pass: "}) {
    if (line.starts_with(prefix)) line.erase(0, prefix.size());
  }
  return printable(line);
}

QuietEnd run_quiet(const std::vector<std::string>& words, double most_seconds) {
  std::fflush(stdout);
  std::vector<std::string> own = words;
  std::vector<char*> argv;
  for (std::string& word : own) argv.push_back(word.data());
  argv.push_back(nullptr);
  Pipe out, err;
  const pid_t parent = getpid();
  const auto start = std::chrono::steady_clock::now();
  const auto elapsed = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  const pid_t child = fork();
  if (child < 0) throw failure(std::string("cannot start a process: ") + std::strerror(errno));
  if (child == 0) become(argv.data(), parent, out.writer.get(), err.writer.get());
  out.writer = FileDescriptor();
  err.writer = FileDescriptor();

  QuietEnd end;
  bool out_open = true, err_open = true;
  int status = 0;
  for (bool running = true; running;) {
    // A process that it started may keep the pipes open beyond its end.
    const pid_t gone = waitpid(child, &status, WNOHANG);
    if (gone < 0 && errno != EINTR) throw failure(std::string("lost a process: ") + std::strerror(errno));
    running = gone != child;
    std::array<pollfd, 2> look{pollfd{out_open ? out.reader.get() : -1, POLLIN, 0},
                               pollfd{err_open ? err.reader.get() : -1, POLLIN, 0}};
    const int patience = !running ? 0 : out_open || err_open ? kLookMs : kEndMs;
    while (poll(look.data(), look.size(), patience) > 0) {
      if (look[0].revents != 0 && !drain(out.reader, end.out)) look[0].fd = -1;
      if (look[1].revents != 0 && !drain(err.reader, end.err)) look[1].fd = -1;
      if (running) break;
    }
    out_open = look[0].fd >= 0;
    err_open = look[1].fd >= 0;
    if (running && !end.timed_out && elapsed() > most_seconds) {
      end.timed_out = true;
      kill(child, SIGKILL);
    }
  }
  end.seconds = elapsed();
  end.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return end;
}

}  // namespace xdn::cli
