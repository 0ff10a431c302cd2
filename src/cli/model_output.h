#pragma once

#include <string>

#include "formats/model_io.h"
#include "graph/graph.h"

namespace xdn::cli {

/// Call before long work. Input error unless OUT can be written and is none of MODEL's own files.
void check_model_output(const std::string& model, const std::string& out);

/// Writes the graph to OUT and, before, MODEL's preprocess file, where it has one, beside it.
/// Returns "OUT" or "OUT and OUT's preprocess file", for people.
std::string write_model(const Graph& graph, const std::string& model, const std::string& out,
                        const ExportOptions& options = {});

}  // namespace xdn::cli
