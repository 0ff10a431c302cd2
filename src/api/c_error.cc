#include <cstdio>

#include "api/c_support.h"

namespace xdn {
namespace {

// Of fixed size: to say that memory is short takes none.
constexpr size_t kMostLine = 1024;
thread_local char last_error[kMostLine] = "";

}  // namespace

xdn_status set_last_error(xdn_status status, const char* line) noexcept {
  std::snprintf(last_error, sizeof last_error, "%s", line);
  return status;
}

}  // namespace xdn

const char* xdn_version(void) { return XDN_VERSION; }

const char* xdn_last_error(void) { return xdn::last_error; }
