#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace xdn::cli {

/// What a parsed verb does; throws Error. Returns the exit code.
using Action = std::function<int()>;

/// Adds the verb's options to its subcommand. The action is called after parsing, with the options' values.
#define XDN_VERB(name, summary, example) Action add_##name(CLI::App& app);
#include "cli/verbs.inc"

}  // namespace xdn::cli
