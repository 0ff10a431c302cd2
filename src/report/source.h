#pragma once

#include <string>
#include <vector>

#include "report/document.h"

namespace xdn::report {

/// One file that a RUN stands for, read and parsed.
struct Source {
  std::string path;
  std::string name;    ///< for people: the file's name, or its folder's where the file's says nothing
  Json json;           ///< an object; of a .jsonl file {"lines": [...]}
  bool lines = false;  ///< it was a .jsonl file
};

/// The files of a RUN: the file itself, or what a folder holds of experiment.json, optimize.json and
/// log.jsonl. Input errors name the file: missing, larger than 64 MiB, not JSON, nested deeper than 32, not
/// an object.
std::vector<Source> read_run(const std::string& run);

}  // namespace xdn::report
