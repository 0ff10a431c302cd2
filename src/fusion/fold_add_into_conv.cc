// x -> Conv(w, b) -> Add(s)  =>  x -> Conv(w, b + s)
// where s is constant, one number per channel or one in all; likewise for Sub on either side, and for Gemm.
#include "fusion/affine.h"
#include "fusion/passes.h"

namespace xdn::fusion {

int fold_add_into_conv(Graph& graph) { return fold_into_producers(graph, {OpType::kAdd, OpType::kSub}); }

}  // namespace xdn::fusion
