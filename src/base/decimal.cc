#include "base/decimal.h"

#include <charconv>

namespace xdn {

double shortest_decimal(float value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  double out = 0;
  (void)std::from_chars(text, end, out);
  return out;
}

}  // namespace xdn
