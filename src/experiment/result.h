#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "experiment/rows.h"

namespace xdn::experiment {

/// What was measured of a row.
struct RowResult {
  const Row* row = nullptr;
  std::vector<double> seconds = {};  ///< of whole passes, in the order of measuring
  int64_t images = 0, correct = 0;
  double macs = 0;            ///< effective multiply-accumulates of an image; 0: unknown
  std::string settings = {};  ///< "int8 on avx512vnni, 2 x 1 threads, tiles of 48", "batches of 128"
  bool tuned = false;         ///< with a record of xdn tune
  std::string command = {};   ///< that measures it again
  std::string missing = {};   ///< why there are no seconds

  bool measured() const { return !seconds.empty(); }
  double accuracy() const { return static_cast<double>(correct) / static_cast<double>(images); }
};

/// An experiment as it stands, complete or not.
struct Experiment {
  std::string title;
  int64_t images = 0;  ///< of a pass
  int repeats = 0;
  nlohmann::ordered_json environment = nlohmann::ordered_json::object();
  std::vector<RowResult> rows;     ///< those asked for, in the list's order
  std::vector<double> aa_seconds;  ///< passes of identical commands, ordered as is_first_of_aa() says
  std::vector<std::string> commands, notes;
  nlohmann::ordered_json evals = nlohmann::ordered_json::array();

  const RowResult* find(std::string_view name) const;
};

/// ONNX Runtime on the original, in float32 and from decoded tensors, against the fastest of our rows that is
/// at least as accurate as the original.
struct Headline {
  const RowResult* from = nullptr;   ///< nullptr: not measured
  const RowResult* best = nullptr;   ///< nullptr: no row is as accurate, or the original is not measured
  double ratio = 0, lo = 0, hi = 0;  ///< of the medians; of the fastest and slowest passes
};
Headline headline(const Experiment& experiment);

/// experiment.json: "title", "environment", "commands", "notes", "tables" ("title", "columns", "rows" of
/// text), "waterfall" ("unit", "steps": "name", "value", "accuracy", "from"), "points" ("name", "accuracy",
/// "images_per_second", "macs", "group"), "aa" ("ratio", "lo", "hi", "runs", "within"), "headline", "rows"
/// (all figures), "evals".
nlohmann::ordered_json to_json(const Experiment& experiment);

}  // namespace xdn::experiment
