#pragma once

#include "executor/dense_step.h"
#include "executor/executor.h"
#include "executor/plan.h"
#include "graph/graph.h"

namespace xdn {

/// What lowering needs to know beside the graph.
struct LowerOptions {
  const kernels::KernelTable* table = nullptr;
  int parts = 1;  ///< threads that share a tile
  int64_t tile = 1;
  bool fold_pixels = true;           ///< bytes straight into the first convolution
  const PixelMap* pixels = nullptr;  ///< null: float input
};

/// Turns a verified graph into a plan: buffers, steps with packed weights, arena. Throws an input error
/// naming the layer where the graph does not fit: more than one input, values that are not f32 or do not lead
/// with the free batch.
std::unique_ptr<Plan> lower(const Graph& graph, const LowerOptions& options);

/// Removes a Softmax at the end of the first output, so that results are logits. Returns whether there was
/// one.
bool peel_softmax(Graph& graph);

}  // namespace xdn
