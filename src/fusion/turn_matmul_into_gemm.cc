// a -> MatMul(w)  =>  a -> Gemm(w)
// where a is a matrix and w a constant one, so that bias, scale and activation find one form only.
#include "fusion/affine.h"
#include "fusion/passes.h"

namespace xdn::fusion {

int turn_matmul_into_gemm(Graph& graph) {
  int rewrites = 0;
  for (const NodeId id : graph.order()) {
    Node& node = graph.node(id);
    if (node.type != OpType::kMatMul) continue;
    const Value &a = graph.value(node.inputs[0]), &w = graph.value(node.inputs[1]);
    if (a.shape.size() != 2 || w.shape.size() != 2 || !w.constant || !is_foldable_type(w.dtype)) continue;
    node.type = OpType::kGemm;
    node.attrs = GemmAttrs{};
    ++rewrites;
  }
  return rewrites;
}

}  // namespace xdn::fusion
