#pragma once

#include <string>
#include <utility>
#include <vector>

#include "graph/graph.h"

namespace xdn::text_form {

/// Spellings shared by print and parse.
inline constexpr const char* kActNames[] = {"none", "relu", "leaky_relu", "clip"};
inline constexpr const char* kPadModeNames[] = {"constant", "reflect", "edge"};

/// What may stand in a name without quotes.
inline bool is_bare(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
         c == ':' || c == '/' || c == '-';
}

/// In double quotes; quotes, backslashes and control bytes escaped.
std::string quoted(const std::string& name);
/// "%name" or "%"odd name"".
std::string reference(const std::string& name);
/// "f32[N,3,32,32]"
std::string type(DType dtype, const Dims& shape);

/// Attributes that differ from the operator's defaults, as (name, text), in the order of visit().
std::vector<std::pair<std::string, std::string>> attributes(const Node& node);

}  // namespace xdn::text_form
