// x -> Conv(w, b) -> Mul(s)  =>  x -> Conv(w * s, b * s)
// where s is constant, one number per channel or one in all; likewise for Div, and for Gemm.
#include "fusion/affine.h"
#include "fusion/passes.h"

namespace xdn::fusion {

int fold_mul_into_conv(Graph& graph) { return fold_into_producers(graph, {OpType::kMul, OpType::kDiv}); }

}  // namespace xdn::fusion
