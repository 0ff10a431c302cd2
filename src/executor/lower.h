#pragma once

#include <map>
#include <set>
#include <string>

#include "executor/dense_step.h"
#include "executor/executor.h"
#include "executor/plan.h"
#include "graph/graph.h"

namespace xdn {

/// Which float layers run in bf16: those named or, with `others`, all but those.
struct Bf16Layers {
  std::set<std::string> named;
  bool others = false;

  bool contains(const std::string& layer) const { return named.contains(layer) != others; }
};

/// What lowering needs to know beside the graph.
struct LowerOptions {
  const kernels::KernelTable* table = nullptr;
  int parts = 1;  ///< threads that share a tile
  int64_t tile = 1;
  bool fold_pixels = true;           ///< images straight into a first convolution of few channels
  const PixelMap* pixels = nullptr;  ///< null: float input
  bool merge = false;                ///< a convolution that only feeds another's sum joins its accumulation
  bool integers = true;              ///< quantized layers in integers; false: as fake quantization, in f32
  Bf16Layers bf16;
  const std::vector<std::string>* observed = nullptr;           ///< values to find in Plan::observed
  const std::map<std::string, LayerLayout>* layouts = nullptr;  ///< by layer name
  bool huge_pages = true;
};

/// Turns a verified graph into a plan: buffers, steps with packed weights, arena. Constants of the graph are
/// released once they are packed. Throws an input error naming the layer where the graph does not fit: more
/// than one input, values that are neither f32 nor quantized or do not lead with the free batch.
std::unique_ptr<Plan> lower(Graph& graph, const LowerOptions& options);

/// Removes a Softmax at the end of the first output, so that results are logits. Returns whether there was
/// one.
bool peel_softmax(Graph& graph);

}  // namespace xdn
