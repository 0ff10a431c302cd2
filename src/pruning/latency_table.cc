#include "pruning/latency_table.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/sha256.h"
#include "graph/op_kinds.h"

namespace xdn::pruning {
namespace {

bool is_linear(const Graph& graph, const Node& node) {
  return xdn::is_linear(node.type) && graph.is_constant(node.input(1));
}

int64_t channels_of(const Dims& shape) {
  if (shape.size() < 2) return 1;
  return shape.size() == 3 ? shape.back() : shape[1];
}

/// seconds = constant + slope * in * out, both at least 0, by least squares of the relative error.
struct CostLine {
  double constant = 0, slope = 0;

  explicit CostLine(const std::vector<LatencyShape::Point>& points) {
    double w = 0, wx = 0, wxx = 0, wt = 0, wxt = 0;
    for (const auto& [in, out, seconds] : points) {
      const double x = static_cast<double>(in) * static_cast<double>(out);
      const double weight = 1 / std::max(seconds * seconds, 1e-30);
      w += weight;
      wx += weight * x;
      wxx += weight * x * x;
      wt += weight * seconds;
      wxt += weight * x * seconds;
    }
    const double spread = w * wxx - wx * wx;
    slope = spread > 1e-9 * w * wxx ? std::max(0.0, (w * wxt - wx * wt) / spread) : wxt / wxx;
    constant = (wt - slope * wx) / w;
    if (constant >= 0) return;
    constant = 0;
    slope = wxt / wxx;
  }
  double at(int64_t in, int64_t out) const {
    return constant + slope * static_cast<double>(in) * static_cast<double>(out);
  }
};

/// The line's value at a pair of widths, times what the points say of the line, near ones more.
double estimate(const LatencyShape& shape, const CostLine& line, int64_t in, int64_t out) {
  double sum = 0, weights = 0;
  for (const LatencyShape::Point& point : shape.points) {
    const double expected = line.at(point.in, point.out);
    if (expected <= 0) continue;
    const double x = std::log(static_cast<double>(in) / static_cast<double>(point.in));
    const double y = std::log(static_cast<double>(out) / static_cast<double>(point.out));
    const double distance = x * x + y * y;  // positive: the pair is not among the points
    const double weight = 1 / (distance * distance);
    sum += weight * point.seconds / expected;
    weights += weight;
  }
  return weights > 0 ? line.at(in, out) * sum / weights : 0;
}

/// Where a width lies among the measured ones.
struct Spot {
  size_t low, high;   ///< equal where there is one
  double share;       ///< of the way from low to high; below 0 or above 1 outside
  double proportion;  ///< below the smallest: the width to it; else 1
  bool above;         ///< the largest
};
Spot spot_of(const std::vector<int64_t>& widths, int64_t width, const PanelScale& scale) {
  const double x = scale.position(width);
  const auto at = [&](size_t i) { return scale.position(widths[i]); };
  const double proportion = std::min(1.0, x / at(0));
  if (widths.size() == 1) return {0, 0, 0, proportion, false};
  const auto next = std::upper_bound(widths.begin(), widths.end(), width);
  const auto high = std::clamp<size_t>(static_cast<size_t>(next - widths.begin()), 1, widths.size() - 1);
  const double apart = std::max(at(high) - at(high - 1), 1e-9);
  return {high - 1, high, (x - at(high - 1)) / apart, proportion, width > widths.back()};
}

double along(const Spot& spot, double low, double high) {
  if (spot.low == spot.high) return low * spot.proportion;
  const double line = low + spot.share * (high - low);
  if (spot.share < 0) return std::min(std::max(line, low * spot.proportion), low);
  return spot.above ? std::max(line, high) : line;
}

}  // namespace

LayerWidths layer_widths(const Graph& graph, const Node& node) {
  const ValueId first = node.input(0);
  return {first == kNoValue ? 1 : channels_of(graph.value(first).shape),
          channels_of(graph.value(node.output).shape)};
}

std::vector<std::string> table_names(const Graph& graph) {
  std::vector<std::string> names;
  std::set<std::string> taken;
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    const bool own = !node.name.empty() && taken.insert(node.name).second;
    names.push_back(own ? node.name : graph.value(node.output).name);
  }
  return names;
}

std::string structure_digest(const Graph& graph) {
  Sha256 sha;
  const auto add = [&](const std::string& text) { sha.update(text.c_str(), text.size() + 1); };
  for (const ValueId input : graph.inputs()) add(to_string(graph.value(input).shape));
  const std::vector<std::string> names = table_names(graph);
  for (size_t i = 0; i < names.size(); ++i) {
    const Node& node = graph.node(graph.order()[i]);
    add(names[i]);
    add(std::string(op_info(node.type).name));
    add(to_string(graph.value(node.output).shape));
  }
  return sha.hex();
}

LatencyTable::LatencyTable(LatencyData data) : data_(std::move(data)) {
  for (size_t s = 0; s < data_.shapes.size(); ++s) {
    const LatencyShape& shape = data_.shapes[s];
    for (const std::string& layer : shape.layers) {
      if (!shape_of_.emplace(layer, s).second)
        throw input_error("stands in two shapes of the latency table").in_layer(layer);
    }
    const auto ascend = [](const LatencyShape::Point& a, const LatencyShape::Point& b) {
      return std::pair(a.in, a.out) >= std::pair(b.in, b.out);
    };
    const auto& points = shape.points;
    const bool sound = std::all_of(points.begin(), points.end(), [](const LatencyShape::Point& p) {
      return p.in >= 1 && p.out >= 1 && std::isfinite(p.seconds) && p.seconds >= 0;
    });
    if (points.empty() || !sound ||
        std::adjacent_find(points.begin(), points.end(), ascend) != points.end()) {
      throw input_error("shape '" + printable(shape.shape) +
                        "' of the latency table needs points of positive widths, in ascending order");
    }
    grids_.push_back(grid_of(shape));
  }
  scale_ = PanelScale(data_.shapes);
}

LatencyTable::Grid LatencyTable::grid_of(const LatencyShape& shape) {
  Grid grid;
  std::map<std::pair<int64_t, int64_t>, std::pair<double, int>> known;  // the sum, and of how many
  std::set<int64_t> in, out;
  for (const LatencyShape::Point& point : shape.points) {
    const int64_t row = shape.dense ? point.in : 1;
    auto& [sum, count] = known[{row, point.out}];
    sum += point.seconds;
    ++count;
    in.insert(row);
    out.insert(point.out);
  }
  grid.in.assign(in.begin(), in.end());
  grid.out.assign(out.begin(), out.end());
  const CostLine line(shape.points);
  for (const int64_t i : grid.in) {
    for (const int64_t o : grid.out) {
      const auto found = known.find({i, o});
      grid.seconds.push_back(found != known.end() ? found->second.first / found->second.second
                                                  : estimate(shape, line, i, o));
    }
  }
  return grid;
}

double LatencyTable::layer_seconds(const std::string& layer, int64_t in, int64_t out) const {
  const auto found = shape_of_.find(layer);
  if (found == shape_of_.end()) return 0;
  const Grid& grid = grids_[found->second];
  const bool dense = data_.shapes[found->second].dense;
  const Spot row = spot_of(grid.in, dense ? in : 1, {});
  const Spot column = spot_of(grid.out, out, dense ? scale_ : PanelScale());
  const auto at_row = [&](size_t i) {
    const double* seconds = grid.seconds.data() + i * grid.out.size();
    return along(column, seconds[column.low], seconds[column.high]);
  };
  return along(row, at_row(row.low), at_row(row.high));
}

double LatencyTable::predict(const Graph& graph) const {
  double seconds = fixed_seconds();
  const std::vector<std::string> names = table_names(graph);
  for (size_t i = 0; i < names.size(); ++i) {
    const Node& node = graph.node(graph.order()[i]);
    if (is_linear(graph, node) && !shape_of_.contains(names[i]))
      throw input_error("the latency table is of another model: it does not know this layer")
          .in_layer(names[i]);
    const LayerWidths widths = layer_widths(graph, node);
    seconds += layer_seconds(names[i], widths.in, widths.out);
  }
  return seconds;
}

void LatencyTable::check(const Graph& graph) const {
  if (structure_digest(graph) != data_.structure) {
    throw input_error("the latency table is of another model: '" + printable(data_.model) +
                      "', or of another image size");
  }
}

}  // namespace xdn::pruning
