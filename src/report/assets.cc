#include "report/assets.h"

// Between two symbols of assets.S lies one file.
#define XDN_ASSET(name)                              \
  extern "C" const char xdn_report_##name##_begin[]; \
  extern "C" const char xdn_report_##name##_end[];
XDN_ASSET(page)
XDN_ASSET(style)
XDN_ASSET(script)
XDN_ASSET(charts)
XDN_ASSET(licences)
#undef XDN_ASSET

namespace xdn::report {
namespace {

std::string_view between(const char* begin, const char* end) {
  return {begin, static_cast<size_t>(end - begin)};
}

}  // namespace

const Assets& assets() {
#define XDN_ASSET(name) between(xdn_report_##name##_begin, xdn_report_##name##_end)
  static const Assets all{XDN_ASSET(page), XDN_ASSET(style), XDN_ASSET(script), XDN_ASSET(charts),
                          XDN_ASSET(licences)};
#undef XDN_ASSET
  return all;
}

}  // namespace xdn::report
