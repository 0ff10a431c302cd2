#pragma once

#include <string_view>

namespace xdn::report {

/// What is built into the program for its pages.
struct Assets {
  std::string_view page;      ///< web/template.html
  std::string_view style;     ///< web/page.css
  std::string_view script;    ///< web/*.js in one
  std::string_view charts;    ///< the chart library, minified; empty where this build has none
  std::string_view licences;  ///< of the chart library and what it is made of
};

const Assets& assets();

}  // namespace xdn::report
