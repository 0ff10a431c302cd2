#pragma once

#include <functional>
#include <string>
#include <vector>

#include "support/qdq.h"

namespace xdn::testing {

/// A graph whose output is dequantized from levels of scale `step`, or a float where that is 0.
struct QuantNet {
  Graph graph;
  float step = 0;
};
struct QuantCase {
  std::string name;
  std::function<QuantNet()> make;
  int i8_steps;  ///< of the plan, in integers
  int steps;     ///< of the plan, the input's included
};

inline constexpr Quant kInput{0.0078f, 117}, kPlain{0.0061f, 0}, kMiddle{0.0203f, 131}, kSum{0.0231f, 122};

/// One linear node in every form. Split over two files.
const std::vector<QuantCase>& conv_cases();
/// Patterns of several nodes.
const std::vector<QuantCase>& graph_cases();

inline std::vector<QuantCase> all_cases() {
  std::vector<QuantCase> all = conv_cases();
  all.insert(all.end(), graph_cases().begin(), graph_cases().end());
  return all;
}

}  // namespace xdn::testing
