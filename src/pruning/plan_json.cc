// {"version": 1,
//  "steps": [{
//   "method": "l2 mean mean global", "seed": 1, "keep": [...], "blocks": [...],
//   "groups": [
//    {"layers": ["conv1", "conv3"], "filters": [[0, 63]], "kept": [0, 2, [4, 40]], "reason": "..."}, ...],
//   "unprunable": [{"layers": ["fc"], "channels": 10, "at": "", "reason": "graph output 'prob'"}, ...]}]}
// In lists of filters [a, b] stands for a to b.
#include <limits>

#include "base/atomic_file.h"
#include "base/error.h"
#include "pruning/json_fields.h"
#include "pruning/plan.h"

namespace xdn::pruning {
namespace {

constexpr size_t kMostBytes = size_t{1} << 26;
constexpr uint64_t kMostFilters = 1 << 20;  ///< of a layer
constexpr size_t kMostNumbers = 1 << 24;    ///< in all lists together, once ranges are written out
constexpr int64_t kVersion = 1;

/// Runs of three and more become pairs.
Json ranges(const std::vector<int32_t>& numbers) {
  Json out = Json::array();
  for (size_t i = 0; i < numbers.size();) {
    size_t end = i + 1;
    while (end < numbers.size() && numbers[end] == numbers[end - 1] + 1) ++end;
    if (end - i >= 3) {
      out.push_back({numbers[i], numbers[end - 1]});
    } else {
      end = i + 1;
      out.push_back(numbers[i]);
    }
    i = end;
  }
  return out;
}

std::string lines(const std::vector<Json>& rows) {
  std::string out = "[";
  for (size_t i = 0; i < rows.size(); ++i) out += (i == 0 ? "\n    " : ",\n    ") + line(rows[i]);
  return out + "]";
}

std::string step_json(const PlanStep& step) {
  std::vector<Json> groups, unprunable;
  for (const PlannedGroup& group : step.groups) {
    Json row;
    row["layers"] = group.layers;
    row["filters"] = ranges(group.filters);
    row["kept"] = ranges(group.kept);
    row["reason"] = group.reason;
    groups.push_back(std::move(row));
  }
  for (const Kept& kept : step.unprunable) {
    Json row;
    row["layers"] = kept.layers;
    row["channels"] = kept.channels;
    row["at"] = kept.at;
    row["reason"] = kept.reason;
    unprunable.push_back(std::move(row));
  }
  return "  {\"method\": " + line(step.method) + ",\n   \"seed\": " + line(step.seed) +
         ",\n   \"keep\": " + line(step.keep) + ",\n   \"blocks\": " + line(step.blocks) +
         ",\n   \"groups\": " + lines(groups) + ",\n   \"unprunable\": " + lines(unprunable) + "}";
}

/// An object that holds lists of filters.
class PlanFields : public Fields {
 public:
  using Fields::Fields;

  /// Ascending; pairs are ranges. `room` says how many numbers the plan may still hold.
  std::vector<int32_t> filters(const char* name, size_t& room) const {
    std::vector<int32_t> out;
    for (const Json& value : array(name)) {
      const bool pair = value.is_array() && value.size() == 2;
      const std::string where = "an entry of " + at(name);
      const auto first = static_cast<int32_t>(as_natural(pair ? value[0] : value, kMostFilters - 1, where));
      const auto last = pair ? static_cast<int32_t>(as_natural(value[1], kMostFilters - 1, where)) : first;
      if (last < first || (!out.empty() && first <= out.back())) throw input_error(at(name) + " must ascend");
      const auto count = static_cast<size_t>(last - first) + 1;
      if (count > room) throw input_error(at(name) + " makes the plan too large");
      room -= count;
      for (int32_t filter = first; filter <= last; ++filter) out.push_back(filter);
    }
    return out;
  }
};

PlannedGroup parse_group(const Json& json, const std::string& where, size_t& room) {
  const PlanFields fields(json, where);
  PlannedGroup group{fields.strings("layers"), fields.filters("filters", room), fields.filters("kept", room),
                     fields.string("reason")};
  if (group.layers.empty()) throw input_error(fields.at("layers") + " is empty");
  if (!std::includes(group.filters.begin(), group.filters.end(), group.kept.begin(), group.kept.end())) {
    throw input_error(fields.at("kept") + " holds what is no filter of the group").in_layer(group.layers[0]);
  }
  return group;
}

PlanStep parse_step(const Json& json, const std::string& where, size_t& room) {
  const Fields fields(json, where);
  PlanStep step;
  step.method = fields.string("method");
  step.seed = fields.natural("seed", std::numeric_limits<uint64_t>::max());
  step.keep = fields.strings("keep");
  step.blocks = fields.strings("blocks");
  for (const Json& group : fields.array("groups")) {
    step.groups.push_back(
        parse_group(group, where + ", group " + std::to_string(step.groups.size() + 1), room));
  }
  for (const Json& json_kept : fields.array("unprunable")) {
    const Fields kept(json_kept, where + ", field 'unprunable'");
    step.unprunable.push_back({kept.strings("layers"),
                               static_cast<int64_t>(kept.natural("channels", kMostFilters)),
                               kept.string("at"), kept.string("reason")});
  }
  return step;
}

}  // namespace

std::string to_json(const Plan& plan) {
  std::string out = "{\"version\": " + std::to_string(kVersion) + ",\n \"steps\": [";
  for (size_t i = 0; i < plan.steps.size(); ++i) out += (i == 0 ? "\n" : ",\n") + step_json(plan.steps[i]);
  return out + "]}\n";
}

Plan parse_plan(const std::string& text) {
  const Json json = parse_json(text);
  const Fields fields(json, "a pruning plan");
  if (fields.natural("version", 1 << 20) != kVersion)
    throw input_error("is a pruning plan of a version that this program does not know");
  Plan plan;
  size_t room = kMostNumbers;
  for (const Json& step : fields.array("steps"))
    plan.steps.push_back(parse_step(step, "step " + std::to_string(plan.steps.size() + 1), room));
  return plan;
}

void write_plan(const Plan& plan, const std::string& path) {
  AtomicFile file(path);
  file.write(to_json(plan));
  file.commit();
}

Plan read_plan(const std::string& path) {
  try {
    return parse_plan(read_file(path, kMostBytes));
  } catch (Error& error) {
    throw error.in_file(path);
  }
}

}  // namespace xdn::pruning
