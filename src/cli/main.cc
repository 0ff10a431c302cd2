#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/log.h"
#include "cli/verbs.h"

namespace xdn::cli {
namespace {

constexpr int kDone = 0, kFailed = 1, kWrongInput = 2;

struct Verb {
  const char* name;
  const char* summary;
  const char* example;
  Action (*add)(CLI::App&);
};
constexpr std::array kVerbs{
#define XDN_VERB(name, summary, example) Verb{#name, summary, example, add_##name},
#include "cli/verbs.inc"
};

/// One line, whatever the message holds.
int report(const std::string& message, int code) {
  std::string line = "xdn: " + message;
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  line += '\n';
  (void)std::fwrite(line.data(), 1, line.size(), stderr);
  return code;
}

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

std::string verb_names() {
  std::string names;
  for (const Verb& verb : kVerbs) names += fmt::format("{}{}", names.empty() ? "" : ", ", verb.name);
  return names;
}

int run(int argc, char** argv) {
  CLI::App app("XDN makes trained residual networks fast on CPUs and runs them.", "xdn");
  app.set_version_flag("--version", std::string("xdn ") + XDN_VERSION);
  app.require_subcommand(1);
  app.footer(
      "MODEL is model.onnx or net.prototxt:weights.caffemodel. DATA is a pack, an image folder with one "
      "subfolder\n"
      "per class, or a CIFAR-10 binary folder. xdn VERB --help tells more.\n"
      "Exit codes: 0 done, 1 failed, 2 wrong usage or bad input.");

  bool verbose = false;
  std::array<Action, kVerbs.size()> actions;
  std::array<CLI::App*, kVerbs.size()> subcommands{};
  for (size_t i = 0; i < kVerbs.size(); ++i) {
    subcommands[i] = app.add_subcommand(kVerbs[i].name, kVerbs[i].summary);
    subcommands[i]->footer(std::string("Example:\n  ") + kVerbs[i].example);
    actions[i] = kVerbs[i].add(*subcommands[i]);
    subcommands[i]->add_flag("-v,--verbose", verbose, "Say what is being done, on stderr");
  }

  if (argc < 2) return report(fmt::format("expected a verb: {}; see xdn --help", verb_names()), kWrongInput);
  const std::string_view first = argv[1];
  if (!first.starts_with('-') &&
      std::none_of(kVerbs.begin(), kVerbs.end(), [&](const Verb& v) { return first == v.name; })) {
    return report(
        fmt::format("'{}' is no verb, expected one of {}; see xdn --help", printable(argv[1]), verb_names()),
        kWrongInput);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    std::string help = "xdn --help";
    for (size_t i = 0; i < kVerbs.size(); ++i) {
      if (subcommands[i]->parsed()) help = fmt::format("xdn {} --help", kVerbs[i].name);
    }
    return report(fmt::format("{}; see {}", printable(error.what()), help), kWrongInput);
  }

  set_verbose(verbose);
  for (size_t i = 0; i < kVerbs.size(); ++i) {
    if (subcommands[i]->parsed()) return actions[i]();
  }
  return report(fmt::format("expected a verb: {}; see xdn --help", verb_names()), kWrongInput);
}

int guarded(int argc, char** argv) {
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
}  // namespace xdn::cli

int main(int argc, char** argv) {
  // A write to a pipe without a reader then fails with EPIPE, and files half-written are removed on the way
  // out.
  std::signal(SIGPIPE, SIG_IGN);
  xdn::cli::occupy_standard_descriptors();
  return xdn::cli::flush_stdout(xdn::cli::guarded(argc, argv));
}
