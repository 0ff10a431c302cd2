#include "quantization/equalize.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "quantization/linear_layer.h"

namespace xdn {
namespace {

struct Pair {
  LinearLayer first, second;
};

/// Scaling a channel by a positive number before it is the same as after it.
bool scales_through(const Node& node) {
  switch (node.type) {
    case OpType::kIdentity:
    case OpType::kRelu:
    case OpType::kLeakyRelu:
    case OpType::kMaxPool:
    case OpType::kAveragePool:
    case OpType::kGlobalAveragePool:
      return true;
    default:
      return false;
  }
}

bool plain_conv(const Node& node) {
  return node.type == OpType::kConv && node.as<ConvAttrs>().act.kind == ActKind::kNone &&
         node.input(3) == kNoValue;
}

std::optional<LinearLayer> only_conv_after(const Graph& graph, const std::vector<std::vector<NodeId>>& users,
                                           ValueId value) {
  while (!graph.is_output(value) && users[static_cast<size_t>(value)].size() == 1) {
    const NodeId reader = users[static_cast<size_t>(value)][0];
    const Node& node = graph.node(reader);
    if (plain_conv(node) && node.input(0) == value) return linear_layer(graph, reader);
    if (!scales_through(node)) return std::nullopt;
    value = node.output;
  }
  return std::nullopt;
}

/// Weights and biases that only this layer reads: scaling must not reach another.
bool owns_constants(const std::vector<std::vector<NodeId>>& users, const LinearLayer& layer) {
  return users[static_cast<size_t>(layer.weights)].size() == 1 &&
         (layer.bias == kNoValue || users[static_cast<size_t>(layer.bias)].size() == 1);
}

std::vector<Pair> find_pairs(const Graph& graph) {
  std::vector<Pair> pairs;
  const auto users = graph.users();
  for (const NodeId id : graph.order()) {
    if (!plain_conv(graph.node(id))) continue;
    const auto first = linear_layer(graph, id);
    // A bias that is not of the plain form could not be scaled along.
    if (!first || !first->takes_bias || !owns_constants(users, *first)) continue;
    const auto second = only_conv_after(graph, users, graph.node(id).output);
    if (second && owns_constants(users, *second)) pairs.push_back({*first, *second});
  }
  return pairs;
}

/// For channel i of what the second convolution reads: the weights that meet it are rows
/// [row, row + rows) at k-offset [at, at + taps).
struct Column {
  int64_t row, rows, at, taps;
};
Column column_of(const Graph& graph, const LinearLayer& layer, int64_t i) {
  const Dims& dims = graph.constant(layer.weights).dims();
  const int64_t per_group = dims[1], taps = layer.k / dims[1], rows = layer.oc / layer.groups;
  return {i / per_group * rows, rows, i % per_group * taps, taps};
}

float largest_in_column(const Graph& graph, const LinearLayer& layer, int64_t i) {
  const auto weights = graph.constant(layer.weights).data<float>();
  const Column column = column_of(graph, layer, i);
  float largest = 0;
  for (int64_t r = column.row; r < column.row + column.rows; ++r) {
    for (int64_t t = 0; t < column.taps; ++t)
      largest = std::max(largest, std::abs(weights[static_cast<size_t>(r * layer.k + column.at + t)]));
  }
  return largest;
}

/// The factors by which the first's channels are divided.
std::vector<float> factors_of(const Graph& graph, const Pair& pair) {
  std::vector<float> factors(static_cast<size_t>(pair.first.oc), 1.0f);
  const auto weights = graph.constant(pair.first.weights).data<float>();
  for (int64_t i = 0; i < pair.first.oc; ++i) {
    const auto row =
        weights.subspan(static_cast<size_t>(i * pair.first.k), static_cast<size_t>(pair.first.k));
    float r1 = 0;
    for (const float w : row) r1 = std::max(r1, std::abs(w));
    const float r2 = largest_in_column(graph, pair.second, i);
    // Beyond these a channel is dead in one of them, and its bias would be blown up.
    constexpr float kLeast = 1e-3f, kMost = 1e3f;
    const float factor = std::sqrt(r1 / r2);
    if (r1 > 0 && r2 > 0 && factor >= kLeast && factor <= kMost) factors[static_cast<size_t>(i)] = factor;
  }
  return factors;
}

void apply(Graph& graph, const Pair& pair, const std::vector<float>& factors) {
  const auto first = graph.value(pair.first.weights).constant->mutable_data<float>();
  for (size_t i = 0; i < first.size(); ++i) first[i] /= factors[i / static_cast<size_t>(pair.first.k)];
  if (pair.first.bias != kNoValue) {
    const auto bias = graph.value(pair.first.bias).constant->mutable_data<float>();
    for (size_t i = 0; i < bias.size(); ++i) bias[i] /= factors[i];
  }
  const auto second = graph.value(pair.second.weights).constant->mutable_data<float>();
  for (int64_t i = 0; i < pair.first.oc; ++i) {
    const Column column = column_of(graph, pair.second, i);
    for (int64_t r = column.row; r < column.row + column.rows; ++r) {
      for (int64_t t = 0; t < column.taps; ++t)
        second[static_cast<size_t>(r * pair.second.k + column.at + t)] *= factors[static_cast<size_t>(i)];
    }
  }
}

}  // namespace

int equalize_layers(Graph& graph) {
  constexpr int kMostRounds = 20;
  constexpr float kClose = 0.01f;
  const std::vector<Pair> pairs = find_pairs(graph);
  std::vector<bool> scaled(pairs.size(), false);
  bool moved = true;
  for (int round = 0; round < kMostRounds && moved; ++round) {
    moved = false;
    for (size_t p = 0; p < pairs.size(); ++p) {
      const std::vector<float> factors = factors_of(graph, pairs[p]);
      if (std::all_of(factors.begin(), factors.end(),
                      [&](float factor) { return std::abs(factor - 1) <= kClose; })) {
        continue;
      }
      apply(graph, pairs[p], factors);
      scaled[p] = moved = true;
    }
  }
  return static_cast<int>(std::count(scaled.begin(), scaled.end(), true));
}

}  // namespace xdn
