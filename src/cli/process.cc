#include "cli/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>

#include "base/error.h"

namespace xdn::cli {
namespace {

/// A descriptor 0, 1 or 2 that the parent closed must not be given to a file that is opened later: text for
/// people would end up in it. Reading ends at once, writing fails, as with the closed descriptor.
void occupy_standard_descriptors() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (fcntl(fd, F_GETFD) == -1 && errno == EBADF) {
      const int opened = open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
      if (opened < 0) return;
    }
  }
}

/// What was printed reached stdout, or the verb failed after all. A reader that went away (xdn info M | head)
/// knows.
int flush_stdout(int code) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
  if (errno == EPIPE) return code == kDone ? kFailed : code;
  return report(fmt::format("cannot write to standard output: {}", std::strerror(errno)),
                code == kDone ? kFailed : code);
}

int guarded(int argc, char** argv, int (*run)(int, char**)) {
  try {
    return run(argc, argv);
  } catch (const Error& error) {
    return report(error.what(), error.kind() == ErrorKind::kFailure ? kFailed : kWrongInput);
  } catch (const std::bad_alloc&) {
    return report("out of memory", kFailed);
  } catch (const std::exception& error) {
    return report(printable(error.what()), kFailed);
  }
}

}  // namespace

int report(const std::string& message, int code) {
  std::string line = "xdn: " + message;
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  line += '\n';
  (void)std::fwrite(line.data(), 1, line.size(), stderr);
  return code;
}

int run_program(int argc, char** argv, int (*run)(int argc, char** argv)) {
  // A write to a pipe without a reader then fails with EPIPE, and files half-written are removed on the way
  // out.
  std::signal(SIGPIPE, SIG_IGN);
  occupy_standard_descriptors();
  return flush_stdout(guarded(argc, argv, run));
}

}  // namespace xdn::cli
