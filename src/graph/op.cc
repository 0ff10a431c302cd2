#include "graph/op.h"

#include <array>

namespace xdn {
namespace {

constexpr size_t kMany = std::numeric_limits<size_t>::max();

const auto& op_table() {
  static const std::array table{
#define XDN_OP(Name, Attrs, least, most) OpInfo{#Name, least, most, Attrs{}},
#include "graph/ops.inc"
  };
  return table;
}

}  // namespace

const OpInfo& op_info(OpType type) { return op_table()[static_cast<size_t>(type)]; }

std::optional<OpType> parse_op(std::string_view name) {
  for (size_t i = 0; i < op_table().size(); ++i) {
    if (op_table()[i].name == name) return static_cast<OpType>(i);
  }
  return std::nullopt;
}

}  // namespace xdn
