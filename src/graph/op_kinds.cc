#include "graph/op_kinds.h"

namespace xdn {

bool is_linear(OpType type) {
  return type == OpType::kConv || type == OpType::kGemm || type == OpType::kMatMul;
}

bool moves_elements(const Node& node) {
  switch (node.type) {
    case OpType::kIdentity:
    case OpType::kMaxPool:
    case OpType::kSlice:
    case OpType::kReshape:
    case OpType::kFlatten:
    case OpType::kTranspose:
      return true;
    case OpType::kPad:
      return node.as<PadAttrs>().mode != PadMode::kConstant || node.as<PadAttrs>().value == 0;
    default:
      return false;
  }
}

}  // namespace xdn
