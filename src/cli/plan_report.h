#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/output.h"
#include "executor/executor.h"

namespace xdn::cli {

/// Prints the plan: a line per step with its kernel, bytes and MACs, below it the candidates refused; then
/// settings, arena, and the instruction sets missing here.
void print_plan(const Output& output, const Executor& executor);
/// Adds "kernels" (an object per step), "arena_bytes" and "isas_missing".
void put_plan(nlohmann::ordered_json& json, const Executor& executor);

// For tables of steps.

inline constexpr size_t kPageWidth = 118;

/// Widths of the columns for layer and kernel, where the others and the gaps take `others` characters of the
/// page.
struct StepColumns {
  size_t layer = 5, kernel = 6;
  StepColumns(const std::vector<StepReport>& steps, size_t others);
};
/// The end of the text, which tells layers apart, where all of it is longer than width.
std::string tail(const std::string& text, size_t width);
std::string macs_or_blank(int64_t macs);
/// "layer", "kernel", "refused", "arith", "macs", "weight_bytes", "activation_bytes".
nlohmann::ordered_json step_json(const StepReport& step);

}  // namespace xdn::cli
