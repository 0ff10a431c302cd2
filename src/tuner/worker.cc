#include "tuner/worker.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <new>
#include <optional>

#include "base/error.h"
#include "evaluator/resources.h"

namespace xdn::tuner {
namespace {

bool write_line(int fd, const Json& json) {
  const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  for (size_t done = 0; done < text.size();) {
    const ssize_t written = send(fd, text.data() + done, text.size() - done, MSG_NOSIGNAL);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    done += static_cast<size_t>(written);
  }
  return true;
}

/// Reads what is there. False at the end of the stream.
bool read_some(int fd, std::string& text) {
  std::array<char, 65536> buffer;
  const ssize_t got = read(fd, buffer.data(), buffer.size());
  if (got > 0) text.append(buffer.data(), static_cast<size_t>(got));
  return got > 0 || (got < 0 && errno == EINTR);
}

/// Takes the first line off the text.
std::optional<std::string> take_line(std::string& text) {
  const size_t end = text.find('\n');
  if (end == std::string::npos) return std::nullopt;
  std::string line = text.substr(0, end);
  text.erase(0, end + 1);
  return line;
}

void limit_memory(int64_t bytes) {
  if (bytes <= 0) return;
  int64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;  // the size of the address space
  const auto limit =
      static_cast<rlim_t>(pages) * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) + static_cast<rlim_t>(bytes);
  rlimit old{};
  if (getrlimit(RLIMIT_AS, &old) != 0 || (old.rlim_cur != RLIM_INFINITY && old.rlim_cur <= limit)) return;
  const rlimit own{limit, old.rlim_max};
  (void)setrlimit(RLIMIT_AS, &own);
}

Json answer(const Worker::Handler& handler, const std::string& line) {
  const auto failed = [](const char* status, const std::string& reason) {
    return Json{{"status", status}, {"reason", printable(reason)}};
  };
  try {
    return {{"status", "ok"}, {"result", handler(Json::parse(line))}};
  } catch (const std::bad_alloc&) {
    return failed("memory", "out of memory");
  } catch (const Error& error) {
    return failed(error.message().starts_with("out of memory") ? "memory" : "failed", error.what());
  } catch (const std::exception& error) {
    return failed("failed", error.what());
  }
}

[[noreturn]] void serve(int fd, pid_t parent, const std::function<Worker::Handler()>& make_handler,
                        int64_t memory) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(0);
  // Ctrl-C is the parent's affair; a crash is expected and needs no core file.
  std::signal(SIGINT, SIG_IGN);
  std::signal(SIGTERM, SIG_DFL);
  const rlimit none{0, 0};
  (void)setrlimit(RLIMIT_CORE, &none);
  std::ofstream("/proc/self/oom_score_adj") << "1000";
  limit_memory(memory);
  std::string text;
  Worker::Handler handler;
  while (true) {
    while (const auto line = take_line(text)) {
      const Worker::Handler first = [&](const Json& request) {
        if (!handler) handler = make_handler();
        return handler(request);
      };
      if (!write_line(fd, answer(first, *line))) _exit(0);
    }
    if (!read_some(fd, text)) _exit(0);
  }
}

}  // namespace

Worker::Worker(std::function<Handler()> make_handler, WorkerOptions options)
    : make_handler_(std::move(make_handler)), options_(std::move(options)) {}

Worker::~Worker() { stop(); }

void Worker::stop() {
  if (child_ < 0) return;
  kill(child_, SIGKILL);
  while (waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {
  }
  close(fd_);
  child_ = fd_ = -1;
  ++generation_;
}

void Worker::start() {
  if (options_.before_fork) options_.before_fork();
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    throw failure(std::string("cannot make a socket: ") + std::strerror(errno));
  const pid_t parent = getpid();
  child_ = fork();
  if (child_ == 0) {
    close(ends[0]);
    serve(ends[1], parent, make_handler_, options_.memory);
  }
  const int error = errno;
  close(ends[1]);
  if (child_ < 0) {
    close(ends[0]);
    throw failure(std::string("cannot start a process: ") + std::strerror(error));
  }
  fd_ = ends[0];
  received_.clear();
}

Reply Worker::lost(Status status, std::string reason) {
  stop();
  return {status, std::move(reason), {}};
}

Reply Worker::call(const Json& request, double seconds) {
  constexpr int kLook = 50;          // ms
  constexpr double kLastChance = 1;  // s
  if (child_ < 0) start();
  if (!write_line(fd_, request)) return lost(Status::kFailed, "ended early");
  const Stopwatch watch;
  std::optional<double> stopped_at;
  while (true) {
    if (const auto line = take_line(received_)) {
      const Json json = Json::parse(*line, nullptr, false);
      if (!json.is_object()) return lost(Status::kFailed, "gave no answer");
      const std::string status = text_member(json, "status");
      if (status == "ok") return {Status::kOk, {}, member(json, "result")};
      return {status == "memory" ? Status::kMemory : Status::kFailed, text_member(json, "reason"), {}};
    }
    pollfd wait{fd_, POLLIN, 0};
    if (poll(&wait, 1, kLook) > 0 && !read_some(fd_, received_)) {
      int status = 0;
      while (waitpid(child_, &status, 0) < 0 && errno == EINTR) {
      }
      const bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
      const std::string reason = killed ? "killed by the system, as where memory is short"
                                 : WIFSIGNALED(status)
                                     ? fmt::format("ended by signal {}", WTERMSIG(status))
                                     : fmt::format("ended with code {}", WEXITSTATUS(status));
      close(fd_);
      child_ = fd_ = -1;
      ++generation_;
      return {killed ? Status::kMemory : Status::kFailed, reason, {}};
    }
    if (watch.seconds() > seconds)
      return lost(Status::kTimeout, fmt::format("no answer in {:.0f} s", seconds));
    if (!stopped_at && options_.stopped && options_.stopped()) stopped_at = watch.seconds();
    if (stopped_at && watch.seconds() > *stopped_at + kLastChance) return lost(Status::kFailed, "stopped");
  }
}

}  // namespace xdn::tuner
