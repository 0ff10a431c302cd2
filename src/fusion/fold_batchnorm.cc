// x -> Conv(w, b) -> BatchNorm(scale, bias, mean, variance)  =>  x -> Conv(w * s, (b - mean) * s + bias)
// where s = scale / sqrt(variance + epsilon), in double; likewise for Gemm.
#include "fusion/affine.h"
#include "fusion/passes.h"

namespace xdn::fusion {

int fold_batchnorm(Graph& graph) { return fold_into_producers(graph, {OpType::kBatchNorm}); }

}  // namespace xdn::fusion
