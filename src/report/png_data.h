#pragma once

#include <string>

namespace xdn::report {

/// Input error unless the text is base64 (RFC 4648, padded, without line ends) of a PNG that decodes whole
/// and is at most 1024 pixels on a side and 512 KiB long: such a text can stand in a data URI as it is.
void check_png_base64(const std::string& text);

}  // namespace xdn::report
