#pragma once

#include <set>
#include <span>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace xdn {

/// One rewrite. run returns whether it changed the graph; it finds the graph verified and with known shapes,
/// and may leave dead nodes and constants behind. Graph inputs and outputs keep their number, order, names
/// and types.
struct Pass {
  const char* name;
  bool (*run)(Graph& graph);
};

/// Rewrites that every consumer wants: they only remove what computes nothing.
std::span<const Pass> cleanup_passes();
/// The cleanup and the classic fusions: BatchNorm, scale, bias, padding, activation and residual into Conv
/// and Gemm.
std::span<const Pass> traditional_passes();

struct PassReport {
  std::string name;
  int applied = 0;  ///< rounds in which it changed something
  double ms = 0;    ///< in all rounds, verification included
};
struct PipelineReport {
  std::vector<PassReport> passes;
  int rounds = 0;
  bool converged = false;  ///< the last round changed nothing
};

/// Runs the list, less the `disabled` names, again and again until a round changes nothing or kMostRounds are
/// over. The graph is verified at the beginning and after every pass that changed it, and constants
/// that nobody reads any more are freed at once; it is compacted at the end (ids change). Throws a usage
/// error where a disabled name is no pass of the list.
inline constexpr int kMostRounds = 32;
PipelineReport run_passes(Graph& graph, std::span<const Pass> passes,
                          const std::set<std::string>& disabled = {});

}  // namespace xdn
