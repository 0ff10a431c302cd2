#pragma once

#include <map>
#include <string>
#include <vector>

#include "executor/executor.h"
#include "graph/graph.h"

namespace xdn {

/// Whose time a plan's steps are. Layers are counted in the graph's execution order.
struct StepLayers {
  struct Part {
    size_t layer;
    double share;  ///< of the step's time
    bool own;      ///< the step has the layer's name, or stands before one that has
  };
  std::vector<std::vector<Part>> parts;  ///< by step; none: the input's, nobody's
};

/// Finds the layers of a graph in the plan made of it. Names of nodes must be unique.
class LayerMap {
 public:
  explicit LayerMap(const Graph& graph);
  StepLayers layers_of(const std::vector<StepReport>& steps) const;

 private:
  struct Layer {
    int64_t macs = 0;
    bool linear = false;
    std::vector<size_t> readers;
  };
  std::vector<Layer> layers_;
  std::map<std::string, size_t> by_name_, by_value_;
};

/// What layers must have in common to take equally long at equal widths: "Conv 3x3 64x32x32 -> 64x32x32".
std::string shape_key(const Graph& graph, const Node& node);
/// " +residual +conv" of a step's kernel.
std::string kernel_additions(const std::string& kernel);
/// Whether its multiply-accumulates grow with the product of its widths.
bool is_dense(const Graph& graph, const Node& node);

}  // namespace xdn
