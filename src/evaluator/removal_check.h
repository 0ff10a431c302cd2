#pragma once

#include <cstdint>

#include "executor/executor.h"
#include "graph/graph.h"

namespace xdn {

struct RemovalCheck {
  int64_t images = 0;
  double executor_error = 0;  ///< of the fastest kernels, to the largest logit
};

/// masked == removed == executor: two graphs of which one has channels masked that the other lacks give the
/// same numbers, bit by bit, in the oracle; and the executor gives those of the smaller one within float
/// tolerance. Throws a failure where it is not so. `images`: n of them, NHWC bytes.
RemovalCheck check_removal(const Graph& masked, const Graph& removed, const PixelMap& pixels,
                           const uint8_t* images, int64_t n);

}  // namespace xdn
