#pragma once

#include <cstdint>

#include "graph/graph.h"

namespace xdn {

/// What computing something costs by the table in cost.cc, per image.
double predicted_seconds(double macs, double bytes);

/// A rewrite's site before and after, per image: effective multiply-accumulates, and bytes of weights and
/// activations read and written as the executor's plan does it.
struct RewriteCost {
  double macs_before = 0, macs_after = 0, bytes_before = 0, bytes_after = 0;

  double seconds_before() const { return predicted_seconds(macs_before, bytes_before); }
  double seconds_after() const { return predicted_seconds(macs_after, bytes_after); }
  bool pays() const { return seconds_after() < seconds_before(); }
};

/// A whole graph's, likewise.
struct PredictedCost {
  int64_t operators = 0, macs = 0, bytes = 0;
  double seconds = 0;
};
/// Shapes must be known.
PredictedCost predicted_cost(const Graph& graph);

namespace fusion {

/// Bytes of one image's part of the value; all of a constant.
double value_bytes(const Graph& graph, ValueId id);

/// Whether the plan adds this Conv, whose only reader takes it as residual, into that reader's sum: then it
/// is neither written nor read.
bool merges_in_plan(const Graph& graph, const Node& conv, const Node& reader);

}  // namespace fusion
}  // namespace xdn
