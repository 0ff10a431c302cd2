#include "fusion/pipeline.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "fusion/passes.h"

namespace xdn {
namespace {

using namespace fusion;

#define XDN_PASS(name) \
  Pass { #name, name }
constexpr Pass kCleanup[] = {XDN_PASS(eliminate_dead), XDN_PASS(eliminate_identity),
                             XDN_PASS(fold_constants)};

// fuse_relu and fuse_residual close a Conv for scales and shifts, so they come last.
constexpr Pass kTraditional[] = {
    XDN_PASS(eliminate_dead),     XDN_PASS(eliminate_identity),
    XDN_PASS(fold_constants),     XDN_PASS(fold_pad),
    XDN_PASS(fold_batchnorm),     XDN_PASS(fold_mul_into_conv),
    XDN_PASS(fold_add_into_conv), XDN_PASS(fold_affine_into_batchnorm),
    XDN_PASS(fuse_residual),      XDN_PASS(fuse_relu),
};
#undef XDN_PASS

}  // namespace

std::span<const Pass> cleanup_passes() { return kCleanup; }
std::span<const Pass> traditional_passes() { return kTraditional; }

PipelineReport run_passes(Graph& graph, std::span<const Pass> passes, const std::set<std::string>& disabled) {
  for (const std::string& name : disabled) {
    if (std::any_of(passes.begin(), passes.end(), [&](const Pass& pass) { return pass.name == name; }))
      continue;
    std::string known;
    for (const Pass& pass : passes) known += (known.empty() ? "" : ", ") + std::string(pass.name);
    throw Error(ErrorKind::kUsage, "unknown pass '" + printable(name) + "'; the passes are " + known);
  }
  infer_shapes(graph);
  verify(graph);
  PipelineReport report;
  for (const Pass& pass : passes) report.passes.push_back({pass.name, 0, 0});
  while (!report.converged && report.rounds < kMostRounds) {
    ++report.rounds;
    report.converged = true;
    for (size_t i = 0; i < passes.size(); ++i) {
      if (disabled.contains(passes[i].name)) continue;
      const auto start = std::chrono::steady_clock::now();
      if (passes[i].run(graph)) {
        graph.drop_unused_constants();
        infer_shapes(graph);
        verify(graph);
        ++report.passes[i].applied;
        report.converged = false;
      }
      report.passes[i].ms +=
          std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    }
  }
  graph.compact();
  return report;
}

}  // namespace xdn
