#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "pruning/groups.h"
#include "pruning/surgery.h"

namespace xdn::testing {

/// One line per group, "conv1 + conv3 x4 > conv2": filters of which layers, how many units, inputs of which
/// layers; then one per entry of what is kept, "! fc x10: graph output 'y'" or "! fc x10: softmax: Softmax
/// ...".
std::string summary(const Graph& graph, const pruning::Groups& groups);
std::string summary(const std::string& text);

/// The group that has this layer's filters; the first of several.
const pruning::Group& group_of_layer(const Graph& graph, const pruning::Groups& groups,
                                     const std::string& layer);

pruning::Removal remove_none(const pruning::Groups& groups);

/// Each unit with the probability, as long as every axis keeps `least` indices.
pruning::Removal random_removal(const Graph& graph, const pruning::Groups& groups, int64_t percent,
                                uint64_t seed, int64_t least = 1);

/// The smaller graph and the masked one are valid, have the outputs' names, and compute the same for random
/// images: not only at the outputs, but in every channel that remains of every value. Masking changes nothing
/// that remains. Returns the smaller.
Graph expect_masked_equals_removed(const Graph& graph, const pruning::Groups& groups,
                                   const pruning::Removal& removed);

/// In the masked graph, every removed channel of every value that nodes compute is zero.
void expect_zero_channels(const Graph& graph, const pruning::Groups& groups, const pruning::Removal& removed);

/// Random numbers for every graph input, batch 2.
std::vector<Tensor> random_images(const Graph& graph);

}  // namespace xdn::testing
