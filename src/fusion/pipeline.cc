#include "fusion/pipeline.h"

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "base/atomic_file.h"
#include "base/error.h"
#include "fusion/passes.h"

namespace xdn {
namespace {

using namespace fusion;

#define XDN_PASS(name) \
  Pass { #name, name }
#define XDN_COSTED_PASS(name) \
  Pass { #name, nullptr, name }

// THE list. Each level is the beginning of the next.
constexpr Pass kPasses[] = {
    XDN_PASS(eliminate_dead),
    XDN_PASS(eliminate_identity),
    XDN_PASS(fold_constants),
    // traditional; fuse_relu and fuse_residual close a Conv for scales and shifts, so they come last.
    XDN_PASS(turn_matmul_into_gemm),
    XDN_PASS(normalize_global_pool),
    XDN_PASS(normalize_flatten),
    XDN_PASS(fold_pad),
    XDN_PASS(fold_batchnorm),
    XDN_PASS(fold_mul_into_conv),
    XDN_PASS(fold_add_into_conv),
    XDN_PASS(fold_affine_into_batchnorm),
    XDN_PASS(fuse_residual),
    XDN_PASS(hoist_relu),
    XDN_PASS(fuse_relu),
    XDN_PASS(eliminate_relu),
    // aggressive; residual removal first, since the others take residuals away.
    XDN_COSTED_PASS(reserve_and_merge),
    XDN_COSTED_PASS(merge_projection),
    XDN_COSTED_PASS(dirac_shortcut),
};
#undef XDN_PASS
#undef XDN_COSTED_PASS
constexpr size_t kCleanup = 3, kTraditional = 15;

const Pass* find(std::span<const Pass> passes, const std::string& name) {
  const auto found =
      std::find_if(passes.begin(), passes.end(), [&](const Pass& pass) { return pass.name == name; });
  return found == passes.end() ? nullptr : &*found;
}

void check_names(std::span<const Pass> passes, const std::set<std::string>& names, bool forced) {
  for (const std::string& name : names) {
    const Pass* pass = find(passes, name);
    if (pass != nullptr && (!forced || pass->run_where != nullptr)) continue;
    std::string known;
    for (const Pass& row : passes) {
      if (!forced || row.run_where != nullptr) known += (known.empty() ? "" : ", ") + std::string(row.name);
    }
    if (known.empty()) {
      throw Error(ErrorKind::kUsage, "no pass '" + printable(name) + "': this level has none" +
                                         (forced ? " that can be forced" : ""));
    }
    throw Error(ErrorKind::kUsage, (forced ? "no pass to force: '" : "unknown pass '") + printable(name) +
                                       "'; the passes are " + known);
  }
}

void dump(const Graph& graph, const std::string& folder, size_t number, const char* pass) {
  const std::string digits = std::to_string(number);
  const std::string name = std::string(digits.size() < 2 ? 2 - digits.size() : 0, '0') + digits;
  AtomicFile file((std::filesystem::path(folder) / (name + "_" + pass + ".txt")).string());
  file.write(print(graph));
  file.commit();
}

/// Whether the pass changed the graph.
bool run_pass(Graph& graph, const Pass& pass, const FuseOptions& options, PipelineReport& report,
              PassReport& row) {
  const auto start = std::chrono::steady_clock::now();
  PassStep step{pass.name, 0, {}, {}};
  if (options.costs) step.before = report.steps.empty() ? predicted_cost(graph) : report.steps.back().after;
  step.rewrites =
      pass.run_where != nullptr ? pass.run_where(graph, options.forced.contains(pass.name)) : pass.run(graph);
  const bool changed = step.rewrites != 0;
  if (changed) {
    graph.drop_unused_constants();
    infer_shapes(graph);
    verify(graph);
    ++row.applied;
    row.rewrites += step.rewrites;
  }
  row.ms += std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  if (!changed) return false;
  if (options.costs) step.after = predicted_cost(graph);
  report.steps.push_back(std::move(step));
  if (!options.dump_folder.empty()) dump(graph, options.dump_folder, report.steps.size(), pass.name);
  return true;
}

}  // namespace

std::span<const Pass> cleanup_passes() { return std::span(kPasses).first<kCleanup>(); }
std::span<const Pass> traditional_passes() { return std::span(kPasses).first<kTraditional>(); }
std::span<const Pass> aggressive_passes() { return kPasses; }

void check_passes(std::span<const Pass> passes, const FuseOptions& options) {
  check_names(passes, options.disabled, false);
  check_names(passes, options.forced, true);
}

PipelineReport run_passes(Graph& graph, std::span<const Pass> passes, const FuseOptions& options) {
  check_passes(passes, options);
  infer_shapes(graph);
  verify(graph);
  PipelineReport report;
  for (const Pass& pass : passes) report.passes.push_back({pass.name, 0, 0, 0});
  while (!report.converged && report.rounds < kMostRounds) {
    ++report.rounds;
    report.converged = true;
    for (size_t i = 0; i < passes.size(); ++i) {
      const Pass& pass = passes[i];
      const bool waits = pass.run_where != nullptr && !report.converged;
      if (waits || options.disabled.contains(pass.name)) continue;
      if (run_pass(graph, pass, options, report, report.passes[i])) report.converged = false;
    }
  }
  graph.compact();
  return report;
}

PipelineReport run_passes(Graph& graph, std::span<const Pass> passes, const std::set<std::string>& disabled) {
  FuseOptions options;
  options.disabled = disabled;
  return run_passes(graph, passes, options);
}

void record_steps(Graph& graph, const PipelineReport& report) {
  std::string steps;
  for (const PassReport& pass : report.passes) {
    if (pass.rewrites == 0) continue;
    steps += (steps.empty() ? "" : "; ") + pass.name + " x" + std::to_string(pass.rewrites);
  }
  if (steps.empty()) return;
  std::string& recorded = graph.metadata["xdn.steps"];
  recorded += (recorded.empty() ? "" : "; ") + steps;
}

}  // namespace xdn
