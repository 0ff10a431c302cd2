#pragma once

#include "cli/exec_options.h"
#include "cli/model_input.h"
#include "evaluator/latency_measure.h"

namespace xdn::cli {

/// How a latency table is measured: the executor's options, and how many images how often.
struct LatencyFlags {
  ExecFlags exec;
  int64_t batch = 0, rounds = 0;  ///< 0: LatencyMeasureOptions' own

  /// --latency-batch and --latency-rounds; `exec` is the caller's to add or to fill.
  void add_options(CLI::App& app);
  /// For a float model: --precision int8 quantizes every variant with made-up ranges. The granularities are
  /// those of the widths that will be asked for.
  LatencyMeasureOptions options(const ModelInput& model, int64_t inner_granularity,
                                int64_t trunk_granularity) const;
};

/// As measure_latency_table, with a progress line.
pruning::LatencyTable measure_with_progress(const Graph& graph, const pruning::Groups& groups,
                                            LatencyMeasureOptions options);

/// "bf16 on avx512bf16, 2 x 1 threads, batches of 512": what a table holds for.
std::string table_line(const pruning::LatencyTable& table);

}  // namespace xdn::cli
