#include "pruning/scores_file.h"

#include <cmath>
#include <limits>
#include <vector>

#include "base/atomic_file.h"
#include "base/error.h"
#include "pruning/json_fields.h"

namespace xdn::pruning {
namespace {

constexpr size_t kMostBytes = size_t{1} << 28;
constexpr std::string_view kCriterion = "taylor";

std::vector<double> numbers(const Json& json) {
  if (!json.is_array() || json.empty()) throw input_error("must have a list of numbers, one per filter");
  std::vector<double> out;
  for (const Json& value : json) {
    const double number = value.is_number() ? value.get<double>() : -1;
    if (!(number >= 0) || !std::isfinite(number)) {
      throw input_error("filter " + std::to_string(out.size()) + " must have a number of at least 0");
    }
    out.push_back(number);
  }
  return out;
}

}  // namespace

std::string to_json(const ScoresFile& scores) {
  std::string out = "{\"criterion\": " + line(kCriterion) + ", \"images\": " + line(scores.images) +
                    ", \"seed\": " + line(scores.seed) + ",\n \"layers\": {";
  bool first = true;
  for (const auto& [layer, values] : scores.layers) {
    out += (first ? "\n  " : ",\n  ") + line(layer) + ": " + line(values);
    first = false;
  }
  return out + "}}\n";
}

ScoresFile parse_scores(const std::string& text) {
  const Json json = parse_json(text);
  const Fields fields(json, "a file of scores");
  if (fields.string("criterion") != kCriterion)
    throw input_error(fields.at("criterion") + " must be \"" + std::string(kCriterion) + "\"");
  ScoresFile scores;
  scores.images = static_cast<int64_t>(
      fields.natural("images", static_cast<uint64_t>(std::numeric_limits<int64_t>::max())));
  scores.seed = fields.natural("seed", std::numeric_limits<uint64_t>::max());
  const Json& layers = fields.object("layers");
  for (const auto& [name, value] : json.items()) {
    if (name != "criterion" && name != "images" && name != "seed" && name != "layers")
      throw input_error(fields.at(printable(name).c_str()) + " is unknown");
  }
  for (const auto& [layer, values] : layers.items()) {
    try {
      scores.layers.emplace(layer, numbers(values));
    } catch (Error& error) {
      throw error.in_layer(layer);
    }
  }
  return scores;
}

void write_scores(const ScoresFile& scores, const std::string& path) {
  AtomicFile file(path);
  file.write(to_json(scores));
  file.commit();
}

ScoresFile read_scores(const std::string& path) {
  try {
    return parse_scores(read_file(path, kMostBytes));
  } catch (Error& error) {
    throw error.in_file(path);
  }
}

}  // namespace xdn::pruning
