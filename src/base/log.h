#pragma once

#include <string>

namespace xdn {

/// One line on stderr: "xdn: warning: ..." always, the others only after set_verbose(true). Thread-safe.
/// Text that comes from a file goes through printable() first.
void log_warning(const std::string& message);
void log_info(const std::string& message);

void set_verbose(bool verbose);
bool verbose();

}  // namespace xdn
