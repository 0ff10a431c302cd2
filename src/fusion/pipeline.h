#pragma once

#include <set>
#include <span>
#include <string>
#include <vector>

#include "fusion/cost.h"
#include "graph/graph.h"

namespace xdn {

/// One rewrite. run returns how many times it changed the graph; it finds the graph verified and with known
/// shapes, and may leave dead nodes and constants behind. Graph inputs and outputs keep their number, order,
/// names and types.
struct Pass {
  const char* name;
  int (*run)(Graph& graph);
  /// In place of run for a rewrite that has a price: it is applied where its RewriteCost pays or, if forced,
  /// wherever it is exact. Such passes wait for a round in which none before them changed anything.
  int (*run_where)(Graph& graph, bool forced) = nullptr;
};

/// Rewrites that every consumer wants: they only remove what computes nothing.
std::span<const Pass> cleanup_passes();
/// The cleanup and the classic fusions: BatchNorm, scale, bias, padding, activation and residual into Conv
/// and Gemm.
std::span<const Pass> traditional_passes();
/// The traditional ones and those that make shortcuts part of convolutions. See docs/fusion.md.
std::span<const Pass> aggressive_passes();

struct FuseOptions {
  std::set<std::string> disabled = {};  ///< passes, by name, that are left out
  std::set<std::string> forced = {};    ///< passes that are applied although they do not pay
  std::string dump_folder = {};  ///< gets NN_pass.txt, the graph's text, for every pass that changed it
  bool costs = false;            ///< fill PassStep::before and after
};

struct PassReport {
  std::string name;
  int applied = 0;   ///< rounds in which it changed something
  int rewrites = 0;  ///< how often, in all rounds
  double ms = 0;     ///< in all rounds, verification included
};
/// One pass of one round that changed the graph.
struct PassStep {
  std::string name;
  int rewrites = 0;
  PredictedCost before, after;
};
struct PipelineReport {
  std::vector<PassReport> passes;
  std::vector<PassStep> steps;  ///< in the order of application
  int rounds = 0;
  bool converged = false;  ///< the last round changed nothing
};

/// Runs the list, less the disabled names, again and again until a round changes nothing or kMostRounds are
/// over. The graph is verified at the beginning and after every pass that changed it, and constants
/// that nobody reads any more are freed at once; it is compacted at the end (ids change). Throws a usage
/// error where a disabled name is no pass of the list, or a forced one none that has a price.
inline constexpr int kMostRounds = 32;
PipelineReport run_passes(Graph& graph, std::span<const Pass> passes, const FuseOptions& options);
PipelineReport run_passes(Graph& graph, std::span<const Pass> passes,
                          const std::set<std::string>& disabled = {});

/// The usage errors of run_passes alone.
void check_passes(std::span<const Pass> passes, const FuseOptions& options);

/// Appends what was done to metadata["xdn.steps"], which writers of models keep: "fold_batchnorm x53; ...".
void record_steps(Graph& graph, const PipelineReport& report);

}  // namespace xdn
