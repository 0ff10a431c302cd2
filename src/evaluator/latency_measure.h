#pragma once

#include <atomic>
#include <functional>
#include <vector>

#include "executor/executor.h"
#include "pruning/groups.h"
#include "pruning/latency_table.h"

namespace xdn {

struct LatencyMeasureOptions {
  ExecOptions exec;     ///< how variants run; without `pixels`, bytes are scaled somehow
  int64_t batch = 512;  ///< images of a run
  int rounds = 7;       ///< turns of every variant: a timed run, several where they are short
  int64_t inner_granularity = 16, trunk_granularity = 32;  ///< of widths; see pruning::granularity_of
  /// Shares of the widths that are measured, the whole first. The variants are their number squared; see
  /// pruning::width_variants for what becomes of more than two groups that meet.
  std::vector<double> levels = {1, 0.75, 0.5, 0.25, 0.125};
  /// What becomes of a variant before it is planned: quantization. Layers keep their names.
  std::function<Graph(Graph)> prepare;
  std::atomic<int64_t>* done = nullptr;  ///< counts up to measurements()
};

/// How many steps of work measure_latency_table counts in `done`.
int64_t measurements(const Graph& graph, const pruning::Groups& groups, const LatencyMeasureOptions& options);

/// Times the layers of a float graph at many widths, in context: whole networks, cut to the widths of
/// width_variants, run through the executor in turn, and every step's time is taken. A step without a layer
/// of its own (conversions) counts for the layer behind it; a layer that runs inside another one's step (a
/// sum of two convolutions) takes part of that step's time by its multiply-accumulates. Input error where the
/// graph cannot be planned, or runs through the oracle.
pruning::LatencyTable measure_latency_table(const Graph& graph, const pruning::Groups& groups,
                                            const LatencyMeasureOptions& options);

}  // namespace xdn
