#include "report/page.h"

#include <string_view>

#include "base/error.h"

namespace xdn::report {
namespace {

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
}

/// A comment ends at the first "-->", whatever stands around it.
std::string as_comment(std::string_view licences) {
  std::string text(licences);
  replace_all(text, "--", "- -");
  return text.empty() ? text : "<!--\n" + text + "\n-->";
}

}  // namespace

std::string escape_html(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string script_json(const Json& json) {
  std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  // Outside of texts JSON has none of these, and inside of them the escapes mean the same.
  replace_all(text, "<", "\\u003c");
  replace_all(text, "\xe2\x80\xa8", "\\u2028");
  replace_all(text, "\xe2\x80\xa9", "\\u2029");
  return text;
}

std::string make_page(const Document& document, const Assets& assets) {
  std::string out;
  // One pass, so that a marker inside of what is put in stays text.
  std::string_view rest = assets.page;
  for (size_t open; (open = rest.find("{{")) != std::string_view::npos;) {
    const size_t close = rest.find("}}", open);
    XDN_CHECK(close != std::string_view::npos);
    out += rest.substr(0, open);
    const std::string_view marker = rest.substr(open + 2, close - open - 2);
    if (marker == "title") {
      out += escape_html(document.title);
    } else if (marker == "licences") {
      out += as_comment(assets.licences);
    } else if (marker == "style") {
      out += assets.style;
    } else if (marker == "charts") {
      out += assets.charts;
    } else if (marker == "script") {
      out += assets.script;
    } else {
      XDN_CHECK(marker == "data");
      out += script_json(document_json(document));
    }
    rest.remove_prefix(close + 2);
  }
  out += rest;
  return out;
}

}  // namespace xdn::report
