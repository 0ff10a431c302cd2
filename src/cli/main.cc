#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/log.h"
#include "cli/process.h"
#include "cli/verbs.h"

namespace xdn::cli {
namespace {

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

}  // namespace
}  // namespace xdn::cli

int main(int argc, char** argv) { return xdn::cli::run_program(argc, argv, xdn::cli::run); }
