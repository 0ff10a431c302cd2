#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "pruning/panel_scale.h"

namespace xdn::pruning {

/// What a layer reads and writes.
struct LayerWidths {
  int64_t in = 1, out = 1;  ///< channels, or features, of the first input and of the output
  bool operator==(const LayerWidths&) const = default;
};
LayerWidths layer_widths(const Graph& graph, const Node& node);

/// What a latency table calls the live nodes, in execution order: by their names; by their outputs' where
/// they have none, or an earlier node's.
std::vector<std::string> table_names(const Graph& graph);

/// Seconds per image at some widths, of a run's time: waiting for tiles is divided among them. Layers that
/// are equal in all but their names share one.
struct LatencyShape {
  struct Point {
    int64_t in, out;
    double seconds;
  };
  std::string shape;                ///< "Conv 3x3 64x32x32 -> 64x32x32": what they have in common
  bool dense = true;                ///< multiply-accumulates grow with in * out; else the output alone counts
  std::vector<std::string> layers;  ///< table_names
  std::vector<Point> points;        ///< never empty; ascending by (in, out), no pair twice
};

/// What was measured, how and where.
struct LatencyData {
  std::string model;      ///< the graph's name, for readers only
  std::string structure;  ///< structure_digest of the graph
  std::string precision, isa, fusion, cpu;
  int64_t data_parallel = 1, model_parallel = 1;
  int64_t batch_tile = 0;  ///< 0: chosen for each width
  int64_t batch = 1;       ///< images of a run
  double fixed = 0;        ///< seconds per image of steps that belong to no layer: the input
  std::vector<LatencyShape> shapes;
};

/// A SHA-256 over the layers: names, operators and shapes, no weights.
std::string structure_digest(const Graph& graph);

/// Seconds per image of a model's layers by their widths, in one precision, on one machine.
class LatencyTable {
 public:
  /// Throws an input error where a layer stands twice, or a shape's points are not as they should be.
  explicit LatencyTable(LatencyData data);

  const LatencyData& data() const { return data_; }

  /// Seconds per image of what runs under this layer's name when it reads `in` and writes `out` channels. 0
  /// for layers without a step. Between measured widths bilinear, outputs by their PanelScale; below them
  /// along the line of the two nearest, but never less than in proportion to the widths; above them along
  /// that line, but never decreasing.
  double layer_seconds(const std::string& layer, int64_t in, int64_t out) const;
  /// What belongs to no layer: the input.
  double fixed_seconds() const { return data_.fixed; }
  /// Seconds per image of a graph pruned from the table's model; layers that are gone cost nothing. Throws an
  /// input error naming a Conv, Gemm or MatMul that the table does not know.
  double predict(const Graph& graph) const;
  /// Throws an input error unless the table is of this graph, whatever its weights.
  void check(const Graph& graph) const;

 private:
  /// A shape's points, completed to all pairs of their widths; of a shape that is not dense, by `out` alone.
  struct Grid {
    std::vector<int64_t> in, out;  ///< ascending
    std::vector<double> seconds;   ///< in.size() x out.size()
  };
  static Grid grid_of(const LatencyShape& shape);

  LatencyData data_;
  PanelScale scale_;
  std::vector<Grid> grids_;                 ///< one per shape
  std::map<std::string, size_t> shape_of_;  ///< by layer
};

/// JSON, a line per shape.
std::string to_json(const LatencyTable& table);
/// Throws an input error naming the field.
LatencyTable parse_latency_table(const std::string& json);
/// By way of AtomicFile; errors name the file.
void write_latency_table(const LatencyTable& table, const std::string& path);
LatencyTable read_latency_table(const std::string& path);

}  // namespace xdn::pruning
