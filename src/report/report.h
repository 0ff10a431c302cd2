#pragma once

#include <string>
#include <vector>

#include "report/document.h"

namespace xdn::report {

/// What the runs tell together; RUN is a folder with experiment.json, optimize.json or log.jsonl, or a verb's
/// JSON file. An empty title becomes the first run's. Input errors name the file, and the place in it.
Document read_document(const std::vector<std::string>& runs, const std::string& title = "");

struct WrittenPage {
  size_t bytes = 0;
  bool charts = false;  ///< whether this build has the chart library; without it the page has tables
};

/// Writes the page, whole or not at all.
WrittenPage write_page(const Document& document, const std::string& path);

}  // namespace xdn::report
