#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "graph/graph.h"

namespace xdn::testing {

/// The text of a graph whose only node is "%y = EXPRESSION", for the given declarations.
inline std::string one_node(const std::string& declarations, const std::string& expression) {
  return "graph {\n" + declarations + "\n%y = " + expression + "\noutput %y\n}\n";
}

/// The type of %y, as text.
inline std::string result_type(const std::string& declarations, const std::string& expression) {
  try {
    const Graph graph = parse_graph(one_node(declarations, expression));
    const Value& y = graph.value(graph.outputs()[0]);
    return std::string(dtype_name(y.dtype)) + to_string(y.shape);
  } catch (const Error& error) {
    return std::string("error: ") + error.what();
  }
}

/// The message of the input error that f throws.
template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput) << error.what();
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    return error.what();
  }
  ADD_FAILURE() << "no error was thrown";
  return "";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace xdn::testing

#define EXPECT_TYPE(type, declarations, expression) \
  EXPECT_EQ(::xdn::testing::result_type(declarations, expression), type)

/// The node is refused, as layer 'y', with a message that holds `part`.
#define EXPECT_REFUSED(part, declarations, expression)                                      \
  do {                                                                                      \
    const std::string result_ = ::xdn::testing::result_type(declarations, expression);      \
    EXPECT_TRUE(result_.starts_with("error: layer 'y': line ")) << result_;                 \
    EXPECT_TRUE(::xdn::testing::contains(result_, part)) << result_ << "\nlacks: " << part; \
  } while (false)
