#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/fixtures.h"

namespace xdn::testing {

/// One way to give xdn what it cannot use.
struct BadCase {
  std::string name;
  /// Builds the files under the folder and returns the command line.
  std::function<std::vector<std::string>(const TempDir& dir)> setup;
  /// A regular expression (std::regex, ECMAScript) found in the one line on stderr.
  std::string expected;
};

std::vector<BadCase> bad_onnx_cases();
std::vector<BadCase> bad_caffe_cases();
std::vector<BadCase> bad_data_cases();
std::vector<BadCase> bad_usage_cases();

}  // namespace xdn::testing
