#pragma once

#include <map>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "quantization/histogram.h"

namespace xdn {

/// What calibration knows of one value.
struct ValueRange {
  Range seen;    ///< smallest and largest number
  Range levels;  ///< what its levels span: chosen by the method, or edited by hand
};

/// The product of a calibration, a readable file: which values of a model get 8 bits, and their ranges.
struct Ranges {
  std::string method;
  int64_t images = 0, seed = 0;
  std::map<std::string, ValueRange> values;  ///< by name
};

/// JSON, sorted by name, floats as the shortest text that reads back the same.
void write_ranges(const Ranges& ranges, const Graph& graph, const std::string& path);
/// Input error, naming file and value, unless the file holds a finite range for exactly the values `wanted`
/// of this graph, of the same shapes.
Ranges read_ranges(const std::string& path, const Graph& graph, const std::vector<std::string>& wanted);

}  // namespace xdn
