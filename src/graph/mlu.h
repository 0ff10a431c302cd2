#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "graph/graph.h"

namespace xdn {

/// How Cambricon's MLU100 holds the numbers of one tensor in 8 bits: x ~ q * 2^position / scale, q in s8.
struct MluDtype {
  int32_t position = 0;
  float scale = 1;
  bool operator==(const MluDtype&) const = default;
};
inline constexpr int32_t kMostMluPosition = 32;  ///< positions lie within +-32

/// The operands of a Conv, or of a Gemm or MatMul with constant weights, that the chip computes in 8 bits.
/// A convolution of bytes normalises pixels itself; `bottom` is about the result of that.
struct MluLayer {
  bool bytes = false;
  MluDtype bottom;
  std::optional<MluDtype> weights;  ///< nothing: as the rule gives it for the weights at hand
  bool operator==(const MluLayer&) const = default;
};
/// Which nodes of one graph; copies that are not compacted have the same ids.
using MluLayers = std::map<NodeId, MluLayer>;

/// What stands for (pixel - mean) * std before a convolution that normalises: a Sub named LAYER/mean, of one
/// number or one per channel, and a Mul named LAYER/std, of one number. Shapes must be known.
struct Normalisation {
  const Node* mean = nullptr;  ///< null: there is none
  const Node* std = nullptr;
  ValueId pixels = kNoValue;  ///< what is normalised; the convolution's input where nothing is
};
Normalisation find_normalisation(const Graph& graph, const Node& conv);

}  // namespace xdn
