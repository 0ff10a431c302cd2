#include "cli/run_xdn.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <fstream>
#include <stdexcept>

namespace xdn::testing {
namespace {

constexpr auto kPatience = std::chrono::minutes(2);

struct Pipe {
  int read_end = -1, write_end = -1;
  Pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    read_end = ends[0];
    write_end = ends[1];
  }
  ~Pipe() {
    close_end(read_end);
    close_end(write_end);
  }
  static void close_end(int& fd) {
    if (fd >= 0) close(fd);
    fd = -1;
  }
};

/// The first processor that this process may use.
bool bind_to_one_cpu() {
  cpu_set_t all, one;
  CPU_ZERO(&all);
  CPU_ZERO(&one);
  if (sched_getaffinity(0, sizeof(all), &all) != 0) return false;
  for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++cpu) {
    if (CPU_ISSET(cpu, &all)) CPU_SET(cpu, &one);
  }
  return sched_setaffinity(0, sizeof(one), &one) == 0;
}

int threads_of(pid_t process) {
  std::ifstream status("/proc/" + std::to_string(process) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("Threads:", 0) == 0) return std::atoi(line.c_str() + 8);
  }
  return 0;
}

[[noreturn]] void become_xdn(std::vector<char*> argv, const RunOptions& options, int out, int err) {
  if (options.one_cpu && !bind_to_one_cpu()) _exit(119);
  if (!options.cwd.empty() && chdir(options.cwd.c_str()) != 0) _exit(120);
  if (!options.stdout_path.empty()) out = open(options.stdout_path.c_str(), O_WRONLY | O_CREAT, 0666);
  if (dup2(out, 1) < 0 || dup2(err, 2) < 0) _exit(121);
  if (options.close_stdout) close(1);
  execv(XDN_BINARY, argv.data());
  _exit(122);
}

/// Adds what is there to text; closes the descriptor at the end of the stream.
void drain(int& fd, std::string& text) {
  std::array<char, 65536> buffer;
  const ssize_t got = read(fd, buffer.data(), buffer.size());
  if (got > 0) {
    text.append(buffer.data(), static_cast<size_t>(got));
  } else if (got == 0 || errno != EINTR) {
    Pipe::close_end(fd);
  }
}

}  // namespace

Finished run_xdn(const std::vector<std::string>& arguments, const RunOptions& options) {
  std::vector<std::string> words{XDN_BINARY};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  Pipe out, err;
  if (options.reader_gone) Pipe::close_end(out.read_end);
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("fork");
  if (child == 0) become_xdn(argv, options, out.write_end, err.write_end);
  Pipe::close_end(out.write_end);
  Pipe::close_end(err.write_end);

  Finished finished;
  const auto start = std::chrono::steady_clock::now();
  std::chrono::steady_clock::duration patience = kPatience;
  if (options.kill_after > 0) {
    patience = std::chrono::duration_cast<std::chrono::steady_clock::duration>(
        std::chrono::duration<double>(options.kill_after));
  }
  const auto deadline = start + patience;
  const auto interrupt_at = start + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                                        std::chrono::duration<double>(options.interrupt_after));
  bool interrupted = options.interrupt_after == 0;
  while (out.read_end >= 0 || err.read_end >= 0) {
    std::array<pollfd, 2> wait{pollfd{out.read_end, POLLIN, 0}, pollfd{err.read_end, POLLIN, 0}};
    (void)poll(wait.data(), wait.size(), options.kill_after > 0 ? 1 : 20);
    finished.most_threads = std::max(finished.most_threads, threads_of(child));
    if (wait[0].revents != 0) drain(out.read_end, finished.out);
    if (wait[1].revents != 0) drain(err.read_end, finished.err);
    if (!interrupted && std::chrono::steady_clock::now() > interrupt_at) {
      kill(child, SIGINT);
      interrupted = true;
    }
    if (std::chrono::steady_clock::now() > deadline) {
      kill(child, SIGKILL);
      break;
    }
  }
  int status = 0;
  rusage usage{};
  while (wait4(child, &status, 0, &usage) < 0 && errno == EINTR) {
  }
  const auto seconds_of = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  finished.cpu_seconds = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  finished.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (WIFEXITED(status)) finished.code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) finished.signal = WTERMSIG(status);
  return finished;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

}  // namespace xdn::testing
