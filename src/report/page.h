#pragma once

#include <string>

#include "report/assets.h"
#include "report/document.h"

namespace xdn::report {

/// The page: one HTML text that needs nothing else. The document's texts are data in it, never markup or
/// script.
std::string make_page(const Document& document, const Assets& assets);

/// Text as HTML shows it: & < > " ' escaped.
std::string escape_html(const std::string& text);

/// JSON that can stand inside a script element: no '<', no U+2028, no U+2029; invalid UTF-8 is replaced.
std::string script_json(const Json& json);

}  // namespace xdn::report
