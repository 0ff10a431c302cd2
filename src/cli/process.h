#pragma once

#include <string>

namespace xdn::cli {

inline constexpr int kDone = 0, kFailed = 1, kWrongInput = 2;

/// One line on stderr, "xdn: MESSAGE", whatever the message holds. Returns the code.
int report(const std::string& message, int code);

/// The frame of a main(): runs `run`, reports what it throws as one line, and makes sure that stdout was
/// written. Returns the exit code.
int run_program(int argc, char** argv, int (*run)(int argc, char** argv));

}  // namespace xdn::cli
