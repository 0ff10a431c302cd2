#pragma once

#include <gtest/gtest.h>

#include <string>

#include "fusion/pipeline.h"

namespace xdn::testing {

const Pass& find_pass(const std::string& name);
/// Runs the pass once; forced matters to those that have a price. Returns how often it rewrote.
int apply(const std::string& pass, Graph& graph, bool forced = false);

/// The graph as text that two graphs share if they compute with the same nodes in the same order: values
/// between inputs and outputs numbered, layer names dropped, constants reduced to their types.
std::string structure(const Graph& graph);

/// What a graph gives for random images, batch 2, and how far another that computes the same may be from it:
/// epsilon * (k + 8) * nodes * M, k being the longest sum of any node and M the largest magnitude of any
/// value.
struct Expected {
  std::vector<Tensor> inputs, outputs;
  double tolerance = 0;
};
Expected expected_of(const Graph& graph);
void expect_outputs(const Expected& expected, const Graph& graph);
/// Both in one.
void expect_same_outputs(const Graph& before, const Graph& after);

/// The pass turns `before` into the structure of `after`, leaves types known, keeps the outputs, and then
/// changes nothing more. Returns the rewritten graph.
Graph expect_rewrite(const std::string& pass, const std::string& before, const std::string& after,
                     bool forced = false);
/// The pass leaves the graph exactly as it is.
void expect_no_change(const std::string& pass, const std::string& text, bool forced = false);

/// The constant that input i of the last node reads.
Tensor last_constant(const Graph& graph, size_t i);

}  // namespace xdn::testing
